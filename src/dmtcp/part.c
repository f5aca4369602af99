/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/part.h"

#include "base/err.h"
#include "base/io.h"
#include "base/proc.h"
#include "base/scope.h"
#include "cpu/cpu.h"
#include "dmtcp/processes.h"
#include "dmtcp/tmpdir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

const char part_word[] = "--dmtcp-part";

enum { KILL_TRIES = 5000 /* of a millisecond */ };

struct part {
    const char *workdir, *tmpdir;
    char *command;     /* what has been told of it, see part.h; owned */
    size_t n_letters;  /* two of each byte */
    size_t room_bytes; /* of `command` */
    pid_t child;       /* it, or 0 */
    bool is_empty;     /* nothing of the job runs here, as was told last */
    int tmpdir_fd;
};

/* ---- the job's processes on this host ---- */

static bool is_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* DMTCP keeps a file of it open in each process; it is not always mapped. */
static bool has_open(pid_t pid, const char *tmpdir)
{
    char path[64], target[PATH_MAX];
    auto_dir DIR *dir = NULL;
    struct dirent *entry;

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

        if (n > 0) {
            target[n] = '\0';
            if (is_below(target, tmpdir))
                return true;
        }
    }
    return false;
}

/* dmtcp_launch and dmtcp_restart have none open for a moment, but are called with it.
 */
static bool is_called_with(pid_t pid, const char *tmpdir)
{
    auto_free char *line = NULL;
    struct err ignored = {0};
    size_t size = 0;

    if (proc_file(pid, "cmdline", &line, &size, &ignored) < 0)
        return false;
    for (size_t at = 0; at < size; at += strlen(line + at) + 1)
        if (strcmp(line + at, tmpdir) == 0)
            return true;
    return false;
}

/* This program is called with it too, and so is the shell by which sshd starts it. */
static bool is_above(pid_t pid)
{
    pid_t at = getpid();
    struct proc_stat st;
    struct err ignored = {0};

    while (at > 1 && at != pid && proc_stat_read(at, &st, &ignored) == 0)
        at = st.ppid;
    return at == pid;
}

static int list(const struct part *p, struct processes *all, struct err *e)
{
    auto_dir DIR *dir = opendir("/proc");
    struct dirent *entry;

    if (!dir)
        return err_sys(e, "list /proc");
    while ((entry = readdir(dir))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid > 0 && !is_above(pid) &&
            (has_open(pid, p->tmpdir) || is_called_with(pid, p->tmpdir)) &&
            processes_add_tree(pid, all, e) < 0)
            return -1;
    }
    return 0;
}

static void kill_all(const struct part *p)
{
    for (int i = 0; i < KILL_TRIES; i++) {
        auto_processes struct processes all = {0};
        struct err ignored = {0};

        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (list(p, &all, &ignored) == 0 && all.n == 0)
            return;
        for (size_t k = 0; k < all.n; k++)
            kill(all.process[k].pid, SIGKILL);
        poll(NULL, 0, 1);
    }
}

/* It may be wrong about what has been started a moment ago. */
static void tell_if_empty(struct part *p, bool is_empty)
{
    if (is_empty != p->is_empty)
        printf("empty %d\n", is_empty);
    p->is_empty = is_empty;
}

static void look_if_empty(struct part *p)
{
    auto_processes struct processes all = {0};
    struct err ignored = {0};

    if (list(p, &all, &ignored) == 0)
        tell_if_empty(p, all.n == 0);
}

static void answer_count(const struct part *p)
{
    auto_processes struct processes all = {0};
    const char *name = "";
    struct err e = {0};
    size_t foreign = 0;
    uint64_t bytes = 0;

    if (list(p, &all, &e) == 0)
        processes_drop_outside(&all);
    if (e.kind != ERR_NONE || processes_measure(&all, &e) < 0) {
        printf("refused %s\n", e.text);
        return;
    }
    for (size_t i = 0; i < all.n; i++) {
        bytes += all.process[i].image_bytes;
        if (all.process[i].under_dmtcp)
            continue;
        foreign++;
        name = all.process[i].name;
    }
    printf("count %zu %zu %" PRIu64 " %s\n", all.n - foreign, foreign, bytes, name);
}

/* ---- its life ---- */

static int take_letter(struct part *p, char letter)
{
    size_t at = p->n_letters / 2;
    unsigned char bits = (unsigned char)(letter - 'A');

    if (at == p->room_bytes) {
        size_t more = at ? 2 * at : 4096;
        char *grown = realloc(p->command, more);

        if (!grown)
            return -1;
        p->command = grown;
        p->room_bytes = more;
    }
    if (p->n_letters++ % 2 == 0)
        p->command[at] = (char)(bits << 4);
    else
        p->command[at] = (char)(p->command[at] | bits);
    return 0;
}

/* NULL: it is none. */
static char **arguments(const struct part *p)
{
    size_t size = p->n_letters / 2, n = 0;
    char **argv;

    if (size == 0 || p->n_letters % 2 || p->command[size - 1])
        return NULL;
    for (size_t i = 0; i < size; i++)
        n += !p->command[i];
    argv = calloc(n + 1, sizeof(*argv));
    n = 0;
    for (char *at = p->command; argv && at < p->command + size; at += strlen(at) + 1)
        argv[n++] = at;
    return argv;
}

/* The connection is not the job's: it must end when this program does. */
static _Noreturn void become(char *const *argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(STDIN_FILENO);
    if (open("/dev/null", O_RDONLY) != STDIN_FILENO ||
        dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        _exit(126);
    execv(argv[0], argv);
    fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void start_command(struct part *p)
{
    auto_free char **argv = p->child == 0 ? arguments(p) : NULL;
    pid_t pid;

    tell_if_empty(p, false);
    pid = argv ? fork() : -1;
    if (pid == 0)
        become(argv);
    p->child = pid > 0 ? pid : p->child;
    if (pid < 0)
        printf("ended %d\n", W_EXITCODE(126, 0));
}

static void collect(struct part *p)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == p->child) {
            p->child = 0;
            printf("ended %d\n", status);
        }
}

/* False: the connection has ended. */
static bool obey(struct part *p)
{
    char said[4096];
    ssize_t n = read(STDIN_FILENO, said, sizeof(said));

    if (n < 0)
        return errno == EINTR;
    for (ssize_t i = 0; i < n; i++)
        if (said[i] == 'c') {
            answer_count(p);
        } else if (said[i] == 'k') {
            kill_all(p);
            puts("gone");
        } else if (said[i] == '.') {
            look_if_empty(p);
        } else if (said[i] == 's') {
            start_command(p);
        } else if (said[i] >= 'A' && said[i] <= 'P' && take_letter(p, said[i]) < 0) {
            return false;
        }
    return n > 0;
}

static void look_after(struct part *p)
{
    enum { LOOK_MS = 500 };
    unsigned silent_ms = 0;

    while (silent_ms < PART_SILENCE_S * 1000) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        int ready = poll(&in, 1, LOOK_MS);

        collect(p);
        silent_ms = ready > 0 ? 0 : silent_ms + LOOK_MS;
        if (ready > 0 && !obey(p))
            return;
        /* That something runs here must be known soon, that nothing does need not. */
        if (p->is_empty)
            look_if_empty(p);
        fflush(stdout);
    }
}

/* What lives of a run whose part was killed is in nobody's care any more. */
static int make_tmpdir(struct part *p, struct err *e)
{
    bool is_taken_over;

    p->tmpdir_fd = tmpdir_make_at(p->tmpdir, &is_taken_over, e);
    if (p->tmpdir_fd >= 0 && is_taken_over)
        kill_all(p);
    return p->tmpdir_fd < 0 ? -1 : 0;
}

/* The directory of images must be the one that the supervisor sees. */
static int prepare(struct part *p, struct err *e)
{
    auto_fd int fd = open(p->workdir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return err_sys(e,
                       "%s, which must be on a file system that all hosts of the job "
                       "share",
                       p->workdir);
    if (faccessat(fd, "images", W_OK, AT_EACCESS) < 0)
        return err_sys(e, "%s/images", p->workdir);
    return make_tmpdir(p, e);
}

static int say_cpu(struct err *e)
{
    char text[CPU_TEXT_SIZE];
    struct cpu here;

    if (cpu_read(&here, e) < 0 || cpu_format(&here, text, sizeof(text), e) < 0)
        return err_wrap(e, "what its CPU offers");
    for (char *at = text; *at; at++)
        if (*at == '\n')
            *at = '\t';
    printf("cpu %s\n", text);
    return 0;
}

static int run(struct part *p)
{
    char host[256];
    struct err e = {0}, ignored = {0};

    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    gethostname(host, sizeof(host));
    host[sizeof(host) - 1] = '\0';
    if (say_cpu(&e) < 0 || prepare(p, &e) < 0) {
        printf("refused %s\n", e.text);
        return 1;
    }
    printf("ready %s\n", host);
    fflush(stdout);
    look_after(p);
    kill_all(p);
    io_remove_tree(AT_FDCWD, p->tmpdir, &ignored);
    return 0;
}

void part_as_told(int argc, char **argv)
{
    if (argc < 4 || strcmp(argv[1], part_word) != 0)
        return;
    if (argc > 4) {
        puts("refused it has another version of qckpt than the job's first host");
        exit(1);
    }
    exit(run(&(struct part){.workdir = argv[2], .tmpdir = argv[3], .tmpdir_fd = -1}));
}
