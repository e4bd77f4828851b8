/* Becomes the user's script: applies what the supervisor asks for, then executes it.
 *
 *     starter PARENT LAST [r<resource>=<soft>] [n<nice>] [o<oom_score_adj>] [c<cgroup.procs>]... -- PROGRAM [ARGUMENT]...
 *
 * PARENT is the supervisor's process, LAST the highest descriptor that the script is given.
 * Only the process itself can do this, between its start and the script's: the frozen supervisor starts this program
 * by posix_spawn, which gives it its session, streams, signal mask and environment (faas_supervisor/script/_start.py).
 * What fails is told on descriptor 3, which is closed by a successful exec: the step and errno, two ints.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Descriptors are given lowest first, so that ours are far below this, whatever the limit is. */
enum { STATUS = 3, MANY = 65536 };

/* STEPS of _start.py, in this order. */
enum step { PARENT, CGROUP, OOM_SCORE_ADJ, NICE, RLIMIT, EXEC };

static _Noreturn void fail(enum step step)
{
    int told[] = {step, errno};
    ssize_t written = write(STATUS, told, sizeof told); /* at most PIPE_BUF, so all or nothing */
    _exit(written == sizeof told ? 127 : 126);
}

static void put(const char *file, const char *text, enum step step)
{
    int handle = open(file, O_WRONLY | O_CLOEXEC);
    if (handle < 0 || write(handle, text, strlen(text)) < 0)
        fail(step);
    close(handle);
}

/* What is open above is not the script's business: what the supervisor was started with, or a library of it left. */
static void close_above(int last)
{
    struct rlimit files;
#if defined(SYS_close_range) && !defined(BEFORE_LINUX_5_9)
    if (syscall(SYS_close_range, last + 1, ~0U, 0) == 0)
        return;
#endif
    rlim_t most = getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < MANY ? files.rlim_cur : MANY;
    for (int number = last + 1; number < (int)most; number++)
        close(number);
}

static void die_with(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        fail(PARENT);
    /* It may have died before we asked; then no signal comes any more. */
    if (getppid() != parent)
        raise(SIGKILL);
}

static void limit(const char *text)
{
    char *end;
    int resource = (int)strtol(text, &end, 10);
    rlim_t soft = strtoull(end + 1, NULL, 10);
    struct rlimit both;
    if (getrlimit(resource, &both) != 0)
        fail(RLIMIT);
    both.rlim_cur = soft < both.rlim_max ? soft : both.rlim_max;
    if (setrlimit(resource, &both) != 0)
        fail(RLIMIT);
}

static void apply(const char *option)
{
    switch (option[0]) {
    case 'c':
        put(option + 1, "0", CGROUP); /* the writing process */
        break;
    case 'o':
        put("/proc/self/oom_score_adj", option + 1, OOM_SCORE_ADJ);
        break;
    case 'n':
        errno = 0; /* -1 may be the new value */
        if (nice(atoi(option + 1)) == -1 && errno != 0)
            fail(NICE);
        break;
    case 'r':
        limit(option + 1);
        break;
    }
}

int main(int argc, char **argv)
{
    int i = 3;
    if (argc < 5)
        return 2;
    int last = atoi(argv[2]);
    fcntl(STATUS, F_SETFD, FD_CLOEXEC);
    close_above(last > STATUS ? last : STATUS);
    die_with((pid_t)atol(argv[1]));
    for (; argv[i] != NULL && strcmp(argv[i], "--") != 0; i++)
        apply(argv[i]);
    if (argv[i] == NULL || argv[++i] == NULL)
        return 2;
    execv(argv[i], argv + i);
    fail(EXEC);
}
