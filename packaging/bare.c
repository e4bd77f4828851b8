/* The bare supervisor, one file: unpacks the frozen folder once, and starts it from there.
 *
 * Behind this program, in the same file, come a tar archive (not compressed: it is unpacked as fast as it can be
 * written, with no foreign code) and a trailer that archives.py writes. The folder goes beside the file, or where that
 * can't be written into a private folder for temporary files. It is called after the digest of the archive, and gets
 * its name when it is complete: whoever sees it may use it, and of several that unpack at a time the first wins.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { INTERNAL = 110, BLOCK = 512, DIGEST = 32, PIECE = 256 * 1024 };

#define MAGIC "supervisor-bare\n"

struct trailer {
    char magic[sizeof MAGIC - 1];
    char digest[DIGEST]; /* hexadecimal */
    uint64_t offset;
    uint64_t size;
};

/* As POSIX has it (ustar). */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2],
        owner[32], group[32], device[16], prefix[155], rest[12];
};

static int self = -1;
static char own_path[PATH_MAX];
static struct trailer trailer;
static char reason[2 * PATH_MAX] = "";

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

/* Remembers why a place can't be used, for the case that none can. */
static bool unusable(const char *place, const char *why)
{
    snprintf(reason + strlen(reason), sizeof reason - strlen(reason), "\n  %s: %s", place, why);
    return false;
}

static void read_trailer(const char *executed)
{
    ssize_t length = readlink("/proc/self/exe", own_path, sizeof own_path - 1);
    if (length > 0)
        own_path[length] = '\0';
    else if (realpath(executed, own_path) == NULL)
        fail("%s can't be found: %s", executed, strerror(errno));
    self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (self < 0)
        self = open(own_path, O_RDONLY | O_CLOEXEC);
    struct stat file;
    if (self < 0 || fstat(self, &file) != 0)
        fail("%s can't be read: %s", own_path, strerror(errno));
    off_t end = file.st_size - (off_t)sizeof trailer;
    if (pread(self, &trailer, sizeof trailer, end) != (ssize_t)sizeof trailer ||
        memcmp(trailer.magic, MAGIC, sizeof trailer.magic) != 0 || (off_t)(trailer.offset + trailer.size) != end)
        fail("%s is not complete; get it again", own_path);
}

/* A folder that somebody else may have made, or could change, is not ours to run. */
static bool is_trusted(const char *folder, bool private)
{
    struct stat it, executable;
    if (lstat(folder, &it) != 0)
        return unusable(folder, strerror(errno));
    if (!S_ISDIR(it.st_mode))
        return unusable(folder, "is no folder");
    if ((it.st_mode & (private ? 077 : 022)) != 0)
        return unusable(folder, "others may change or read it");
    bool known = it.st_uid == geteuid();
    if (!private && fstat(self, &executable) == 0)
        known = known || it.st_uid == executable.st_uid || it.st_uid == 0;
    return known || unusable(folder, "belongs to somebody else");
}

static bool can_hold(const char *parent, bool private)
{
    struct statvfs system;
    struct stat it;
    if (statvfs(parent, &system) != 0 || stat(parent, &it) != 0)
        return unusable(parent, strerror(errno));
    if ((system.f_flag & ST_NOEXEC) != 0)
        return unusable(parent, "is mounted noexec");
    /* Beside the file itself it is as good a place as that: whoever may rename there could have replaced the file. */
    if (private && (it.st_mode & S_IWOTH) != 0 && (it.st_mode & S_ISVTX) == 0)
        return unusable(parent, "anybody may rename folders in it");
    return true;
}

static bool copy_file(const char *path, off_t from, off_t size, mode_t mode)
{
    static char piece[PIECE];
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return false;
    while (size > 0) {
        ssize_t got = pread(self, piece, size < PIECE ? (size_t)size : PIECE, from);
        if (got <= 0 || write(file, piece, (size_t)got) != got) {
            if (got == 0)
                errno = EIO;
            else if (errno == 0)
                errno = ENOSPC; /* a short write */
            close(file);
            return false;
        }
        from += got;
        size -= got;
    }
    bool done = fchmod(file, mode) == 0;
    return close(file) == 0 && done;
}

static bool unpack(const char *folder)
{
    struct header header;
    off_t at = (off_t)trailer.offset, end = at + (off_t)trailer.size;
    while (at + BLOCK <= end && pread(self, &header, BLOCK, at) == BLOCK && header.name[0] != '\0') {
        at += BLOCK;
        off_t size = (off_t)strtoull(header.size, NULL, 8);
        mode_t mode = (mode_t)strtoul(header.mode, NULL, 8);
        char *path = text("%s/%.155s%s%.100s", folder, header.prefix, header.prefix[0] ? "/" : "", header.name);
        errno = 0;
        bool done = header.type == '5' ? mkdir(path, 0755) == 0 && chmod(path, mode) == 0
                                       : copy_file(path, at, size, mode);
        free(path);
        if (!done)
            return false;
        at += (size + BLOCK - 1) / BLOCK * BLOCK;
    }
    return true;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)type, (void)where;
    remove(path); /* what can't be removed is left, as by anybody who is killed */
    return 0;
}

/* Unpacks into a folder of another name beside `target`, and renames it. */
static bool make(const char *target, bool private)
{
    char *temporary = text("%s.XXXXXX", target);
    if (mkdtemp(temporary) == NULL)
        return unusable(target, strerror(errno));
    bool done = unpack(temporary) && chmod(temporary, private ? 0700 : 0755) == 0 && rename(temporary, target) == 0;
    int error = errno;
    if (!done)
        nftw(temporary, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(temporary);
    if (!done && (error == EEXIST || error == ENOTEMPTY))
        return is_trusted(target, private); /* somebody else was first */
    return done || unusable(target, strerror(error));
}

/* The folder at `place`/`name`, made if it isn't there; NULL if it can't be had there. */
static char *folder_at(const char *place, const char *name, bool private)
{
    char *target = text("%s/%s", place, name);
    struct stat it;
    if (can_hold(place, private) && (lstat(target, &it) == 0 ? is_trusted(target, private) : make(target, private)))
        return target;
    free(target);
    return NULL;
}

static char *find_folder(void)
{
    char *name = text(".supervisor-%.*s", DIGEST, trailer.digest);
    char *place = text("%s", own_path);
    *strrchr(place, '/') = '\0';
    char *folder = folder_at(place, name, false);
    const char *places[] = {getenv("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm"};
    char *mine = text("supervisor-%ju-%.*s", (uintmax_t)geteuid(), DIGEST, trailer.digest);
    for (size_t i = 0; folder == NULL && i < sizeof places / sizeof *places; i++)
        if (places[i] != NULL && places[i][0] == '/')
            folder = folder_at(places[i], mine, true);
    if (folder == NULL)
        fail("there is no place to unpack to; set TMPDIR to a folder that can hold programs:%s", reason);
    return folder;
}

int main(int argc, char **argv)
{
    const char *executed = (const char *)getauxval(AT_EXECFN);
    if (executed == NULL)
        executed = argc > 0 ? argv[0] : "";
    const char *slash = strrchr(executed, '/');
    read_trailer(executed);
    /* A folder half unpacked would stay if we were ended meanwhile; it takes less than a second. */
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    char *folder = find_folder();
    sigprocmask(SIG_SETMASK, &before, NULL);
    bool watchdog = strcmp(slash != NULL ? slash + 1 : executed, "fwatchdog") == 0;
    char *program = text("%s/supervisor/%s", folder, watchdog ? "fwatchdog" : "supervisor");
    execv(program, argv);
    fail("%s can't be executed: %s", program, strerror(errno));
}
