/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A plugin of DMTCP for jobs that run on several hosts: a library that dmtcp_launch
 * loads into every process of such a job (--with-plugin), before its own libraries.
 *
 * What it does is not to add anything. DMTCP 4.2 cannot save and
 * restart connections between hosts, nor what was started by ssh, for a few mistakes
 * that can be put right from outside; each function here says which. DMTCP's functions
 * are those of its plugin interface (dmtcp.h) where nothing else is said, found when
 * the program is loaded.
 */
#include "dmtcp/processes.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

void dmtcp_global_barrier(const char *name) __attribute__((weak));
void dmtcp_get_local_ip_addr(struct in_addr *address) __attribute__((weak));
const char *dmtcp_get_ckpt_dir(void) __attribute__((weak));
const char *dmtcp_get_tmpdir(void) __attribute__((weak));
void *dmtcp_dlsym(void *handle, const char *symbol) __attribute__((weak));

/* jalib::JSockAddr::ANY, which begins with the address that is bound. */
extern struct sockaddr_in any_address[] __asm__("_ZN5jalib9JSockAddr3ANYE")
    __attribute__((weak));

void dmtcp_local_barrier(const char *name);
void dmtcp_ssh_register_fds(int is_sshd, int in, int out, int err, int sock,
                            int no_strict_checking, int is_rsh);

static bool is_restarting, is_bare_child;

static void *next(const char *name)
{
    return dmtcp_dlsym ? dmtcp_dlsym(RTLD_NEXT, name) : dlsym(RTLD_NEXT, name);
}

/* ---- what a process hands on to those that ssh starts ---- */

/* The job's threads stand still, perhaps with the environment locked: nothing is
 * allocated unless it must be. */
static void change(const char *variable, const char *value)
{
    char *now = getenv(variable);

    if (now && strlen(now) >= strlen(value))
        memcpy(now, value, strlen(value) + 1);
    else
        setenv(variable, value, 1);
}

static void change_directories(void)
{
    const char *images = dmtcp_get_ckpt_dir ? dmtcp_get_ckpt_dir() : NULL;
    const char *own = dmtcp_get_tmpdir ? dmtcp_get_tmpdir() : NULL;
    const char *slash = own ? strrchr(own, '/') : NULL;
    char tmpdir[PATH_MAX];

    if (images)
        change("DMTCP_CHECKPOINT_DIR", images);
    /* It has one of its own in that which it is given. */
    if (!slash || (size_t)(slash - own) >= sizeof(tmpdir))
        return;
    memcpy(tmpdir, own, slash - own);
    tmpdir[slash - own] = '\0';
    change("DMTCP_TMPDIR", tmpdir);
}

/* ---- barriers ---- */

/*
 * Between two steps of a checkpoint DMTCP lets the processes of each host wait for each
 * other only, though the steps send to other hosts: a host that is ahead sends the next
 * step's message to one that still waits for the end of the last step's, and takes both
 * for one, and then waits for ever. All processes go through the same steps, so that
 * all can wait for all.
 *
 * This is also the place, before anything is done in a checkpoint or a restart, to put
 * right more. The address at which a restarted process waits for its old connections is
 * told to the others as 0.0.0.0: it becomes this host's. What ssh starts is told to
 * compress its images when the others do not, and the reverse: none does. And it is
 * told of the directories of this run, not of those of the run that was saved.
 */
__attribute__((visibility("default"))) void dmtcp_local_barrier(const char *name)
{
    struct in_addr own = {0};

    change("DMTCP_GZIP", "0");
    if (dmtcp_get_local_ip_addr)
        dmtcp_get_local_ip_addr(&own);
    if (any_address)
        any_address[0].sin_addr = own;
    is_restarting = strcasestr(name, "restart") != NULL;
    if (is_restarting)
        change_directories();
    dmtcp_global_barrier(name);
}

/* ---- dmtcp_ssh and dmtcp_sshd, between which the output of a part goes ---- */

static bool is_called(const char *name)
{
    return strcmp(program_invocation_short_name, name) == 0;
}

static long bare_call(long number, long a, long b, long c)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

/* A restarted dmtcp_ssh starts a new ssh, and DMTCP asks the coordinator for a place
 * for it, which it refuses during a restart. That ssh is none of the job's processes:
 * it is made behind DMTCP's back. */
__attribute__((visibility("default"))) pid_t fork(void)
{
    static pid_t (*real)(void);
    long pid;

    if (is_restarting && is_called("dmtcp_ssh")) {
        pid = bare_call(SYS_fork, 0, 0, 0);
        is_bare_child = pid == 0;
        if (pid >= 0)
            return (pid_t)pid;
        errno = (int)-pid;
        return -1;
    }
    if (!real)
        real = (pid_t(*)(void))next("fork");
    return real();
}

__attribute__((visibility("default"))) int execvp(const char *file, char *const argv[])
{
    static int (*real)(const char *, char *const *);

    if (is_called("dmtcp_ssh"))
        setenv(PROCESSES_OUTSIDE, "1", 1);
    if (is_bare_child) {
        unsetenv("LD_PRELOAD");
        errno = (int)-bare_call(SYS_execve, (long)file, (long)argv, (long)environ);
        return -1;
    }
    if (!real)
        real = (int (*)(const char *, char *const *))next("execvp");
    return real(file, argv);
}

static struct {
    bool is_ssh, is_sshd; /* which this process is; neither: no relay */
    int out, err;         /* dmtcp_ssh: where the output of the real ssh comes from */
    int sock;             /* connects the two; they only look whether it is open */
} relay;

/* Until poll says otherwise, so that the end of ssh does not overtake its output. */
static void block_sigchld(void)
{
    sigset_t chld;

    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, NULL);
}

__attribute__((visibility("default"))) void
dmtcp_ssh_register_fds(int is_sshd, int in, int out, int err, int sock,
                       int no_strict_checking, int is_rsh)
{
    static void (*real)(int, int, int, int, int, int, int);

    relay.is_ssh = !is_sshd;
    relay.is_sshd = is_sshd;
    relay.out = out;
    relay.err = err;
    relay.sock = sock;
    if (relay.is_ssh)
        block_sigchld();
    if (!real)
        real =
            (void (*)(int, int, int, int, int, int, int))next("dmtcp_ssh_register_fds");
    real(is_sshd, in, out, err, sock, no_strict_checking, is_rsh);
}

static bool is_null_device(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/*
 * dmtcp_ssh ends its relay for good when its own input ends: in a batch job, whose
 * input is /dev/null, before it has begun. That input is not looked at.
 *
 * And it ends at once when ssh has, with what it has not passed on. It learns of that
 * only while it waits here and has nothing left to write.
 */
__attribute__((visibility("default"))) int poll(struct pollfd *fds, nfds_t n,
                                                int timeout_ms)
{
    static int (*real)(struct pollfd *, nfds_t, int);
    bool has_output = false;
    sigset_t set;
    int result;

    if (!real)
        real = (int (*)(struct pollfd *, nfds_t, int))next("poll");
    if (!relay.is_ssh)
        return real(fds, n, timeout_ms);
    for (nfds_t i = 0; i < n; i++) {
        if (fds[i].fd == STDIN_FILENO && is_null_device(STDIN_FILENO))
            fds[i].fd = -1;
        has_output = has_output || (fds[i].events & POLLOUT);
    }
    if (has_output)
        return real(fds, n, timeout_ms);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    result = real(fds, n, timeout_ms);
    block_sigchld();
    return result;
}

static void pass_on(int from, int to)
{
    char buffer[4096];
    ssize_t n;

    while ((n = read(from, buffer, sizeof(buffer))) != 0) {
        char *at = buffer;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return;
        while (n > 0) {
            ssize_t done = write(to, at, (size_t)n);
            struct pollfd room = {.fd = to, .events = POLLOUT};

            if (done > 0) {
                at += done;
                n -= done;
            } else if (errno == EAGAIN) {
                ppoll(&room, 1, NULL, NULL);
            } else if (errno != EINTR) {
                return;
            }
        }
    }
}

/*
 * Both end with the status that this returns as if it were an exit status: as such the
 * wait status of a program is 0 but for a signal. Besides, the real ssh of a restarted
 * dmtcp_ssh does not know how the part has ended; dmtcp_sshd tells it.
 */
__attribute__((visibility("default"))) pid_t wait(int *status)
{
    int how = 0;
    pid_t pid = waitpid(-1, &how, 0);
    unsigned char code, told;

    if (pid > 0 && (relay.is_ssh || relay.is_sshd)) {
        code = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
        if (relay.is_sshd) {
            send(relay.sock, &code, 1, MSG_NOSIGNAL);
        } else {
            pass_on(relay.out, STDOUT_FILENO);
            pass_on(relay.err, STDERR_FILENO);
            if (recv(relay.sock, &told, 1, MSG_DONTWAIT) == 1)
                code = told;
        }
        how = code;
    }
    if (status)
        *status = how;
    return pid;
}
