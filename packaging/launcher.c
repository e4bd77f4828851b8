/* Starts the frozen supervisor with the C library that it brings along, so that it runs in any image.
 *
 * The program `supervisor` (and its copy `fwatchdog`) is this, linked statically. It finds its folder, takes out of
 * the environment what the image meant for its own loader and C library, and executes, from the folder INSIDE beside it,
 * the bundled loader with `app.bin`, the program that PyInstaller made. INSIDE is `_internal-` and a digest of what
 * is in it: a new version never changes a file under a running one, however it is copied.
 *
 * What it promises to the Python code (faas_supervisor/frozen.py):
 *   _SUP_NAME          the name that it was started under: a front is chosen by it
 *   _SUP_SAVED_<NAME>  the variable <NAME> as the image had it
 *   PR_SET_CHILD_SUBREAPER is set: descendants that lose their parent become ours
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

#if !defined LOADER || !defined INSIDE
#error "LOADER is the file name of the bundled ld.so, such as ld-linux-x86-64.so.2; INSIDE that of its folder"
#endif

/* Failure `internal` of docs/exit-codes.md. */
enum { INTERNAL = 110 };

/* Beside LD_*: what makes a C library, or OpenSSL, load files of the image that were made for another one. */
static const char *const foreign[] = {
    "GCONV_PATH", "GETCONF_DIR", "GLIBC_TUNABLES", "LOCPATH", "NLSPATH",
    "OPENSSL_CONF", "OPENSSL_ENGINES", "OPENSSL_MODULES",
};

/* Of another supervisor, or of another program made by PyInstaller, that started us. */
static const char *const stale[] = {"_SUP_", "_PYI_", "_MEIPASS2="};

static _Noreturn void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("supervisor: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(INTERNAL);
}

/* Like sprintf, into memory of its own: nothing is ever cut. */
static char *text(const char *format, ...)
{
    char *result;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&result, format, arguments) < 0)
        fail("out of memory");
    va_end(arguments);
    return result;
}

static void *array(size_t length)
{
    void *result = calloc(length, sizeof(char *));
    if (result == NULL)
        fail("out of memory");
    return result;
}

static bool starts_with(const char *string, const char *prefix)
{
    return strncmp(string, prefix, strlen(prefix)) == 0;
}

/* The folder that holds `program` if it is ours, else NULL. */
static char *folder_of(const char *program)
{
    char *folder = text("%s", program);
    char *slash = strrchr(folder, '/');
    if (slash != NULL) {
        *slash = '\0';
        char *application = text("%s/" INSIDE "/app.bin", folder);
        bool found = access(application, F_OK) == 0;
        free(application);
        if (found)
            return folder;
    }
    free(folder);
    return NULL;
}

/* By /proc, which follows links and needs no directory of the path to be readable; else by what was executed. */
static char *find_folder(const char *executed)
{
    static char path[PATH_MAX];
    char *folder = NULL;
    ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    if (length > 0 && (size_t)length < sizeof path) {
        path[length] = '\0';
        folder = folder_of(path);
    }
    if (folder == NULL && realpath(executed, path) != NULL)
        folder = folder_of(path);
    if (folder == NULL)
        fail("there is no folder " INSIDE " beside %s; copy the whole folder", executed);
    if (strpbrk(folder, ":;$") != NULL)
        fail("%s can't be a place for libraries: it has a ':', ';' or '$' in its name", folder);
    return folder;
}

static bool is_foreign(const char *variable)
{
    if (starts_with(variable, "LD_"))
        return true;
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        size_t length = strlen(foreign[i]);
        if (strncmp(variable, foreign[i], length) == 0 && variable[length] == '=')
            return true;
    }
    return false;
}

static bool is_stale(const char *variable)
{
    for (size_t i = 0; i < sizeof stale / sizeof *stale; i++)
        if (starts_with(variable, stale[i]))
            return true;
    return false;
}

static char **make_environment(const char *folder, const char *name)
{
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **result = array(count + 5);
    size_t end = 0;
    for (size_t i = 0; i < count; i++)
        if (!is_stale(environ[i]))
            result[end++] = is_foreign(environ[i]) ? text("_SUP_SAVED_%s", environ[i]) : environ[i];
    result[end++] = text("_SUP_NAME=%s", name);
    /* PyInstaller's own: where the application is, that nothing has to be unpacked or started once more, and what
     * `ps` shows. tests/frozen/test_bootloader.py tells when a new version reads them otherwise. */
    result[end++] = text("_PYI_ARCHIVE_FILE=%s/" INSIDE "/app.bin", folder);
    result[end++] = "_PYI_PARENT_PROCESS_LEVEL=-1";
    result[end++] = "_PYI_LINUX_PROCESS_NAME=supervisor";
    return result;
}

static char **make_arguments(const char *folder, int argc, char **argv)
{
    char **result = array((size_t)argc + 8);
    size_t end = 0;
    result[end++] = text("%s/" INSIDE "/" LOADER, folder);
    result[end++] = "--inhibit-cache"; /* that of the image */
    result[end++] = "--library-path";
    result[end++] = text("%s/" INSIDE, folder);
    result[end++] = "--preload";
    result[end++] = text("%s/" INSIDE "/nssfix.so", folder);
    result[end++] = text("%s/" INSIDE "/app.bin", folder);
    for (int i = 1; i < argc; i++)
        result[end++] = argv[i];
    return result;
}

int main(int argc, char **argv)
{
    const char *executed = (const char *)getauxval(AT_EXECFN);
    if (executed == NULL)
        executed = argc > 0 ? argv[0] : "";
    const char *slash = strrchr(executed, '/');
    char *folder = find_folder(executed);
    char **arguments = make_arguments(folder, argc, argv);
    char **environment = make_environment(folder, slash != NULL ? slash + 1 : executed);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* can only fail before Linux 3.4 */
    execve(arguments[0], arguments, environment);
    fail("%s can't be executed: %s%s", arguments[0], strerror(errno),
         errno == EACCES ? "; is the volume mounted noexec?" : "");
}
