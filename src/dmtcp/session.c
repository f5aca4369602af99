/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/session.h"

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/scope.h"
#include "base/str.h"
#include "dmtcp/tmpdir.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    DOOR_TIMEOUT_S = 20,
    LINK_TIMEOUT_S = 60,
    KILL_TRIES = 5000 /* of a millisecond */
};
/* How long a coordinator may need to die that has closed its connections already. */
enum { PIPE_TIMEOUT_MS = 2000, SHELL_SIGNAL = 128 };
enum { FILES_MIN = 850 };
enum { LAST_WORDS = 32 << 10, WORDS_MAX = 500 };

/* ---- opening ---- */

/* DMTCP moves its descriptors there, and ends a process in which it cannot. */
static int check_limit(struct err *e)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_sys(e, "read the limit of open files");
    if (limit.rlim_cur >= FILES_MIN)
        return 0;
    return err_set(e, ERR_REFUSED,
                   "only %llu open files are allowed (ulimit -n), and DMTCP takes "
                   "descriptors up to %d: allow 1024",
                   (unsigned long long)limit.rlim_cur, FILES_MIN - 1);
}

static int remember_children(struct session *s, struct err *e)
{
    struct proc_pids children = {0};

    if (proc_children(getpid(), &children, e) < 0) {
        proc_pids_free(&children);
        return -1;
    }
    /* Room for the door, a helper, the heart and each ssh, see not_the_jobs. */
    s->ignored =
        realloc(children.pid, (children.n + s->hosts.n + 3) * sizeof(*s->ignored));
    if (!s->ignored) {
        proc_pids_free(&children);
        return err_sys(e, "list of children");
    }
    s->n_ignored = children.n;
    return 0;
}

static int remember_stdio(struct session *s, const int stdio[3], struct err *e)
{
    for (int i = 0; i < 3; i++) {
        s->stdio[i] = fcntl(stdio[i], F_DUPFD_CLOEXEC, 3);
        if (s->stdio[i] < 0)
            return err_sys(e, "keep a copy of standard file %d", i);
    }
    return 0;
}

static int make_directories(struct session *s, const char *workdir, struct err *e)
{
    if (str_format(s->workdir, sizeof(s->workdir), e, "%s", workdir) < 0 ||
        str_format(s->images, sizeof(s->images), e, "%s/images", workdir) < 0 ||
        str_format(s->log, sizeof(s->log), e, "%s/dmtcp.log", workdir) < 0)
        return -1;
    if (mkdir(s->images, 0700) < 0)
        return err_sys(e, "make %s", s->images);
    s->images_fd = open(s->images, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (s->images_fd < 0)
        return err_sys(e, "open %s", s->images);
    s->tmpdir_fd = tmpdir_make(s->tmpdir, e);
    return s->tmpdir_fd < 0 ? -1 : 0;
}

static int open_all(struct session *s, const struct session_how *how, struct err *e)
{
    static const char *const none[] = {NULL};
    struct door_how door = {.workdir = how->workdir, .timeout_s = DOOR_TIMEOUT_S};

    if (check_limit(e) < 0 || install_find(how->prefix, &s->in, e) < 0 ||
        (how->hosts_file && hosts_read(how->hosts_file, &s->hosts, e) < 0) ||
        (how->across_hosts && !how->hosts_file && hosts_alone(&s->hosts, e) < 0) ||
        remember_children(s, e) < 0 || remember_stdio(s, how->stdio, e) < 0 ||
        make_directories(s, how->workdir, e) < 0)
        return -1;
    door.coordinator = s->in.coordinator;
    door.tmpdir = s->tmpdir;
    if (s->hosts.address[0])
        door.hosts = s->hosts.other ? (const char *const *)s->hosts.other : none;
    s->door = door_open(&door, e);
    return s->door ? 0 : -1;
}

int session_open(struct session *s, const struct session_how *how, struct err *e)
{
    *s = (struct session){.images_fd = -1, .tmpdir_fd = -1, .stdio = {-1, -1, -1}};
    if (open_all(s, how, e) == 0)
        return 0;
    session_close(s);
    return -1;
}

int session_find_self(char *out, size_t size, struct err *e)
{
    ssize_t n = readlink("/proc/self/exe", out, size);

    if (n < 0 || (size_t)n >= size)
        return err_sys(e, "find this program");
    out[n] = '\0';
    return 0;
}

/* In the list of those that are loaded into a program (ld.so(8), LD_PRELOAD) these end
 * a path, and nothing can quote them. */
static int can_be_listed(const char *path, struct err *e)
{
    return strpbrk(path, ": ")
               ? err_set(e, ERR_REFUSED,
                         "%s is needed, and cannot be loaded with a ':' or a blank in "
                         "its path; install qckpt elsewhere",
                         path)
               : 0;
}

int session_find_plugin(const char *name, char *out, size_t size, struct err *e)
{
    char self[PATH_MAX], *slash;

    if (session_find_self(self, sizeof(self), e) < 0)
        return -1;
    slash = strrchr(self, '/');
    /* As it was built, not installed. */
    if (str_format(out, size, e, "%.*s/../dmtcp/%s", (int)(slash - self), self, name) <
        0)
        return -1;
    if (access(out, R_OK) == 0)
        return can_be_listed(out, e);
    /* Beside bin/, wherever that is, unless it was configured to be elsewhere. */
    if (str_format(out, size, e, "%.*s%s" QCKPT_LIBEXECDIR "/qckpt/%s",
                   QCKPT_LIBEXECDIR[0] == '/' ? 0 : (int)(slash - self), self,
                   QCKPT_LIBEXECDIR[0] == '/' ? "" : "/../", name) < 0)
        return -1;
    if (access(out, R_OK) < 0)
        return err_set(e, ERR_REFUSED, "%s is needed: %s; install qckpt whole", out,
                       strerror(errno));
    return can_be_listed(out, e);
}

int session_link(struct session *s, struct err *e)
{
    char self[PATH_MAX];
    const struct links_how how = {.hosts = (const char *const *)s->hosts.other,
                                  .self = self,
                                  .workdir = s->workdir,
                                  .tmpdir = s->tmpdir,
                                  .timeout_s = LINK_TIMEOUT_S};

    if (s->hosts.n == 0)
        return 0;
    return session_find_self(self, sizeof(self), e) < 0
               ? -1
               : links_open(&how, &s->links, e);
}

int session_use_host(struct session *s, size_t link, const char *const *kept, size_t n,
                     const struct gate *gate, struct err *e)
{
    struct link *to = &s->links.link[link];
    const struct gate_host host = {
        .name = to->host, .cpu = to->cpu, .kept = kept, .n_kept = n};
    char keep[GATE_KEEP_SIZE];

    if (gate->use(gate->arg, &host, keep, e) < 0)
        return -1;
    free(to->keep);
    to->keep = strdup(keep);
    return to->keep ? 0 : err_sys(e, "hosts of the job");
}

int session_use_hosts(struct session *s, const struct gate *gate, struct err *e)
{
    for (size_t i = 0; gate && i < s->links.n; i++)
        if (session_use_host(s, i, NULL, 0, gate, e) < 0)
            return -1;
    return 0;
}

void session_close(struct session *s)
{
    struct err left = {0};

    links_close(&s->links);
    hosts_free(&s->hosts);
    door_close(s->door);
    s->door = NULL;
    if (s->tmpdir[0] && io_remove_tree(AT_FDCWD, s->tmpdir, &left) < 0)
        log_warning("%s is left behind: %s", s->tmpdir, left.text);
    s->tmpdir[0] = '\0';
    for (int i = 0; i < 3; i++) {
        scope_close(&s->stdio[i]);
        s->stdio[i] = -1;
    }
    scope_close(&s->images_fd);
    scope_close(&s->tmpdir_fd);
    s->images_fd = s->tmpdir_fd = -1;
    local_free(&s->local);
    free(s->ignored);
    s->ignored = NULL;
}

/* ---- what DMTCP's programs are given ---- */

int session_arguments(const struct session *s, struct words *argv, struct err *e)
{
    /* DMTCP tells it to what ssh starts elsewhere. */
    const char *address = s->hosts.address[0] ? s->hosts.address : "127.0.0.1";
    char *const start[] = {"-j", "-h", (char *)address, "-p", NULL};

    if (words_add_all(argv, start, e) < 0 ||
        words_add(argv, e, "%d", door_port(s->door)) < 0 ||
        words_add(argv, e, "--ckptdir") < 0 ||
        words_add(argv, e, "%s", s->images) < 0 || words_add(argv, e, "--tmpdir") < 0 ||
        words_add(argv, e, "%s", s->tmpdir) < 0)
        return -1;
    return 0;
}

static bool is_dmtcps(const char *variable)
{
    static const char *const prefixes[] = {"DMTCP_", "JALIB_", "MTCP_"};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

int session_environment(const struct session *s, char *const *envp, struct words *out,
                        struct err *e)
{
    for (; *envp; envp++)
        if (!is_dmtcps(*envp) && words_add(out, e, "%s", *envp) < 0)
            return -1;
    /* Warnings, but no notes; not onto the job's standard error. */
    if (words_add(out, e, "DMTCP_QUIET=1") < 0 ||
        words_add(out, e, "JALIB_STDERR_PATH=%s", s->log) < 0)
        return -1;
    /* From there DMTCP takes it for what ssh starts, but not from --tmpdir. */
    if (s->hosts.address[0] && words_add(out, e, "DMTCP_TMPDIR=%s", s->tmpdir) < 0)
        return -1;
    return words_add(out, e, "DMTCP_FAIL_RC=%d", SESSION_FAIL_STATUS);
}

/* ---- events ---- */

enum door_event session_hear(struct session *s)
{
    char text[DOOR_TEXT_SIZE];

    while (!s->is_closed) {
        enum door_event event = door_next(s->door, text, sizeof(text));

        if (event == DOOR_STRANGER) {
            memcpy(s->stranger, text, sizeof(text));
            continue;
        }
        s->is_closed = event == DOOR_CLOSED;
        if (s->is_closed) {
            memcpy(s->why, text, sizeof(text));
            s->coordinator_status = door_end_status(s->door);
        }
        return event;
    }
    return DOOR_CLOSED;
}

void session_release_foreign(struct session *s)
{
    struct err gone = {0};

    if (session_hear(s) == DOOR_WRITTEN)
        door_release(s->door, &gone);
}

void session_tell(struct session *s)
{
    if (s->stranger[0])
        log_warning("%s", s->stranger);
    s->stranger[0] = '\0';
}

/* ---- processes ---- */

/* Children of ours that are not the job's. */
static size_t not_the_jobs(const struct session *s)
{
    size_t n = s->n_ignored;

    if (s->door)
        s->ignored[n++] = door_pid(s->door);
    if (s->helper > 0)
        s->ignored[n++] = s->helper;
    if (s->links.heart > 0)
        s->ignored[n++] = s->links.heart;
    for (size_t i = 0; i < s->links.n; i++)
        s->ignored[n++] = s->links.link[i].ssh;
    return n;
}

int session_processes(const struct session *s, struct processes *out, struct err *e)
{
    return processes_list(s->ignored, not_the_jobs(s), out, e);
}

int session_own_processes(const struct session *s, struct processes *out, struct err *e)
{
    if (session_processes(s, out, e) < 0)
        return -1;
    if (s->hosts.address[0])
        processes_drop_outside(out);
    return 0;
}

static bool is_ignored(const struct session *s, pid_t pid)
{
    size_t n = not_the_jobs(s);

    for (size_t i = 0; i < n; i++)
        if (s->ignored[i] == pid)
            return true;
    return false;
}

/* One at a time and by pid: others of our children are not to be collected here. */
bool session_reap(struct session *s)
{
    struct proc_pids children = {0};
    struct err ignored = {0};
    int status;

    if (proc_children(getpid(), &children, &ignored) < 0)
        children.n = 0;
    for (size_t i = 0; i < children.n; i++) {
        pid_t pid = children.pid[i];

        if (is_ignored(s, pid) || waitpid(pid, &status, WNOHANG) != pid)
            continue;
        if (pid == s->root && (WIFEXITED(status) || WIFSIGNALED(status))) {
            s->has_ended = true;
            s->status = status;
        }
    }
    proc_pids_free(&children);
    /* Its status was collected elsewhere and is not known: it was killed meanwhile. */
    if (!s->has_ended && s->root > 0 && kill(s->root, 0) < 0 && errno == ESRCH) {
        s->has_ended = true;
        s->status = SIGKILL;
    }
    return s->has_ended;
}

bool session_has_failed(const struct session *s)
{
    return s->has_ended && WIFEXITED(s->status) &&
           WEXITSTATUS(s->status) == SESSION_FAIL_STATUS;
}

/* Of the root, or of what a shell waited for. */
static bool has_broken_pipe(int status)
{
    return WIFSIGNALED(status) ? WTERMSIG(status) == SIGPIPE
                               : WEXITSTATUS(status) == SHELL_SIGNAL + SIGPIPE;
}

bool session_lost_coordinator(struct session *s)
{
    if (!s->is_closed && s->has_ended && has_broken_pipe(s->status) &&
        door_await_end(s->door, PIPE_TIMEOUT_MS))
        while (session_hear(s) != DOOR_CLOSED)
            ;
    return s->is_closed && s->coordinator_status != 0;
}

/* Word for word what jassert writes before it ends a process. */
bool session_has_error(const struct session *s)
{
    static const char last[] = ": Terminating...\n";
    auto_fd int fd = open(s->log, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    char buffer[LAST_WORDS];
    size_t kept = 0;
    ssize_t n;

    while (fd >= 0 && (n = read(fd, buffer + kept, sizeof(buffer) - kept)) > 0) {
        size_t all = kept + (size_t)n;

        if (memmem(buffer, all, last, sizeof(last) - 1))
            return true;
        kept = all < sizeof(last) ? all : sizeof(last);
        memmove(buffer, buffer + all - kept, kept);
    }
    return false;
}

void session_kill(struct session *s)
{
    links_kill(&s->links);
    for (int i = 0; i < KILL_TRIES; i++) {
        auto_processes struct processes left = {0};
        struct err ignored = {0};

        session_reap(s);
        if (session_processes(s, &left, &ignored) < 0 || left.n == 0)
            return;
        for (size_t k = 0; k < left.n; k++)
            kill(left.process[k].pid, SIGKILL);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}

/* ---- files ---- */

static bool is_temporary(const char *name)
{
    static const char end[] = ".temp";
    size_t n = strlen(name);

    return n >= sizeof(end) && strcmp(name + n - (sizeof(end) - 1), end) == 0;
}

int session_clear_images(struct session *s, bool all, struct err *e)
{
    int copy = openat(s->images_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;

    if (!dir)
        return err_sys(e, "list %s", s->images);
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            (!all && is_temporary(entry->d_name)))
            continue;
        if (io_remove_tree(s->images_fd, entry->d_name, e) < 0)
            return -1;
    }
    return 0;
}

static void make_one_line(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        if (*from == '\033') { /* colours: ESC [ ... m */
            from += strcspn(from, "m");
            if (!*from)
                break;
        } else if ((unsigned char)*from >= ' ') {
            *to++ = *from;
        } else if (to > text && to[-1] != ' ') {
            *to++ = ' ';
        }
    }
    while (to > text && to[-1] == ' ')
        to--;
    *to = '\0';
}

/* The first error: others follow from it. What is behind it is a back trace. */
static const char *find_error(char *text)
{
    static const char mark[] = "Error] at ";
    char *error = strstr(text, mark), *end;

    if (!error) {
        size_t n = strlen(text);

        return n > WORDS_MAX ? text + n - WORDS_MAX : text;
    }
    end = strstr(error, ": Terminating...");
    if (end)
        *end = '\0';
    return error + sizeof(mark) - 1;
}

void session_last_words(const struct session *s, char *out, size_t size)
{
    auto_fd int fd = open(s->log, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    off_t start = end > LAST_WORDS ? end - LAST_WORDS : 0;
    char text[LAST_WORDS + 1];
    ssize_t n = fd < 0 ? 0 : pread(fd, text, LAST_WORDS, start);

    text[n > 0 ? n : 0] = '\0';
    make_one_line(text);
    if (text[0])
        snprintf(out, size, "DMTCP says: %.*s", WORDS_MAX, find_error(text));
    else
        snprintf(out, size, "DMTCP does not say why");
}
