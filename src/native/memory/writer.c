/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/memory/writer.h"

#include "base/err.h"
#include "base/fault.h"
#include "base/scope.h"
#include "base/sum.h"
#include "native/memory/pack.h"
#include "native/memory/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child tells. One write() each, which a pipe takes whole or not at all up to
 * PIPE_BUF (pipe(7)); it never leaves the two processes. */
struct report {
    enum { REPORT_PROGRESS, REPORT_DONE, REPORT_FAILED } what;
    uint64_t bytes, total_bytes;
    struct writer_stats stats;
    struct err e;
};
_Static_assert(sizeof(struct report) <= PIPE_BUF, "a report is written at once");

struct writer {
    pid_t pid; /* 0: collected */
    int fd;
    bool ended;         /* nothing more will be reported */
    struct report last; /* REPORT_PROGRESS: it ended without a word */
};

SCOPE_DEFINE(writer, struct writer *, writer_close);
#define auto_writer SCOPE_USE(writer)

/* ---- the child ---- */

struct child {
    const struct image *img;
    const struct writer_source *sources;
    uint32_t n_sources;
    const struct writer_options *options;
    int fd;
    struct report report;
};

static void report_progress(void *arg, uint64_t bytes)
{
    struct child *c = arg;

    /* A full pipe: the supervisor has enough to read. */
    c->report.bytes = bytes;
    if (write(c->fd, &c->report, sizeof(c->report)) < 0)
        return;
}

static void report_end(struct child *c)
{
    int flags = fcntl(c->fd, F_GETFL);

    /* This one must arrive. Without anybody to read it nothing more can be done. */
    fcntl(c->fd, F_SETFL, flags & ~O_NONBLOCK);
    while (write(c->fd, &c->report, sizeof(c->report)) < 0 && errno == EINTR)
        continue;
}

static int add_size(int dirfd, const char *name, uint64_t *sum, struct err *e)
{
    struct stat st;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(e, "%s", name);
    *sum += st.st_size;
    return 0;
}

static int count_stored(int dirfd, uint64_t *sum, struct err *e)
{
    static const char *const names[] = {"memory", "memory.sum", "image", "image.sum"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (add_size(dirfd, names[i], sum, e) < 0)
            return -1;
    return 0;
}

static int write_memory(struct child *c, const struct plan *plan,
                        struct pack_index *index, struct err *e)
{
    struct sum_file *file = sum_create(c->options->dirfd, "memory", e);
    struct pack_job job = {.img = c->img,
                           .sources = c->sources,
                           .plan = plan,
                           .options = c->options,
                           .file = file,
                           .progress = report_progress,
                           .arg = c};

    if (!file)
        return -1;
    if (pack_run(&job, index, e) < 0) {
        sum_abandon(file);
        return -1;
    }
    fault_point("writer-sync");
    return sum_finish(file, e);
}

static int write_all(struct child *c, struct err *e)
{
    struct pack_index index = {0};
    struct image img = *c->img;
    struct plan plan = {0};

    if (plan_make(&plan, c->img, c->sources, c->n_sources, e) < 0)
        return -1;
    c->report.total_bytes = plan.total;
    if (write_memory(c, &plan, &index, e) < 0 ||
        plan_check_alive(c->img, c->sources, c->n_sources, e) < 0)
        return -1;
    img.chunks = index.chunks;
    img.n_chunks = index.n_chunks;
    img.runs = index.runs;
    img.n_runs = index.n_runs;
    fault_point("writer-image");
    if (image_save(&img, c->options->dirfd, e) < 0)
        return -1;
    for (uint32_t i = 0; i < index.n_chunks; i++)
        c->report.stats.bytes += index.chunks[i].raw_size;
    return count_stored(c->options->dirfd, &c->report.stats.stored_bytes, e);
}

/* Signals as a new program has them: the supervisor's handlers mean nothing here. */
static void reset_signals(void)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    /* The end of the supervisor ends the writer, but not in the middle of a report. */
    signal(SIGPIPE, SIG_IGN);
    /* A limit on the size of files (h_fsize of the queue) is an error of write(2). */
    signal(SIGXFSZ, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int compare_fds(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return x < y ? -1 : x > y;
}

/* Closes everything but what the writer works with: the control socket, the terminal
 * and pipes of the job would else stay open as long as the slowest file system. */
static int close_others(const struct child *c, struct err *e)
{
    auto_free int *keep = calloc(2 * (size_t)c->n_sources + 2, sizeof(*keep));
    size_t n = 0;
    int next = 0, fd;

    if (!keep)
        return err_set(e, ERR_FAILED, "out of memory");
    keep[n++] = c->fd;
    keep[n++] = c->options->dirfd;
    for (uint32_t i = 0; i < c->n_sources; i++) {
        keep[n++] = c->sources[i].mem_fd;
        keep[n++] = c->sources[i].pagemap_fd;
    }
    qsort(keep, n, sizeof(*keep), compare_fds);
    for (size_t i = 0; i < n; i++) {
        if (keep[i] > next)
            close_range(next, keep[i] - 1, 0);
        if (keep[i] >= next)
            next = keep[i] + 1;
    }
    close_range(next, ~0U, 0);
    /* A stray line for stderr must not land in a file of ours. */
    while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
        continue;
    if (fd >= 0)
        close(fd);
    return 0;
}

static _Noreturn void run_child(struct child *c, pid_t parent)
{
    reset_signals();
    prctl(PR_SET_NAME, "qckpt-writer");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    if (close_others(c, &c->report.e) == 0 && write_all(c, &c->report.e) == 0)
        c->report.what = REPORT_DONE;
    else
        c->report.what = REPORT_FAILED;
    report_end(c);
    _exit(c->report.what == REPORT_DONE ? 0 : 1);
}

/* ---- the supervisor's side ---- */

static struct writer *new_writer(int *child_fd, struct err *e)
{
    auto_writer struct writer *w = calloc(1, sizeof(*w));
    int ends[2];

    if (!w || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        err_sys(e, "start the writer");
        if (w)
            w->fd = -1;
        return NULL;
    }
    w->fd = ends[0];
    *child_fd = ends[1];
    return take_ptr(w);
}

struct writer *writer_start(const struct image *img,
                            const struct writer_source *sources, uint32_t n_sources,
                            const struct writer_options *o, struct err *e)
{
    auto_fd int child_fd = -1;
    auto_writer struct writer *w = new_writer(&child_fd, e);
    struct child c = {.img = img,
                      .sources = sources,
                      .n_sources = n_sources,
                      .options = o,
                      .fd = child_fd};
    pid_t parent = getpid();

    if (!w)
        return NULL;
    w->pid = fork();
    if (w->pid == 0)
        run_child(&c, parent);
    if (w->pid < 0) {
        w->pid = 0;
        err_sys(e, "start the writer");
        return NULL;
    }
    return take_ptr(w);
}

int writer_fd(const struct writer *w)
{
    return w->fd;
}

pid_t writer_pid(const struct writer *w)
{
    return w->pid;
}

bool writer_poll(struct writer *w, uint64_t *bytes, uint64_t *total_bytes)
{
    while (!w->ended) {
        struct report r;
        ssize_t n = read(w->fd, &r, sizeof(r));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n == (ssize_t)sizeof(r))
            w->last = r;
        w->ended = n != (ssize_t)sizeof(r) || r.what != REPORT_PROGRESS;
    }
    *bytes = w->last.bytes;
    *total_bytes = w->last.total_bytes;
    return w->ended;
}

/* The wait status; -1 when somebody else collected it. */
static int collect(struct writer *w)
{
    int status = -1;

    while (w->pid > 0 && waitpid(w->pid, &status, 0) < 0) {
        if (errno == EINTR)
            continue;
        status = -1;
        break;
    }
    w->pid = 0;
    return status;
}

static int describe_death(int status, struct err *e)
{
    if (status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return err_set(e, ERR_FAILED,
                       "the writer was killed (signal 9): if memory ran out, the "
                       "kernel's log says so");
    if (status != -1 && WIFSIGNALED(status))
        return err_set(e, ERR_FAILED, "the writer was ended by signal %d (%s)",
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
    return err_set(e, ERR_FAILED, "the writer ended without a result");
}

int writer_finish(struct writer *w, struct writer_stats *stats, struct err *e)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    uint64_t bytes, total_bytes;
    int status;

    while (!writer_poll(w, &bytes, &total_bytes))
        poll(&p, 1, -1);
    status = collect(w);
    if (w->last.what == REPORT_DONE) {
        *stats = w->last.stats;
        return 0;
    }
    if (w->last.what == REPORT_FAILED) {
        *e = w->last.e;
        return -1;
    }
    return describe_death(status, e);
}

void writer_close(struct writer *w)
{
    if (!w)
        return;
    if (w->pid > 0) {
        kill(w->pid, SIGKILL);
        collect(w);
    }
    if (w->fd >= 0)
        close(w->fd);
    free(w);
}
