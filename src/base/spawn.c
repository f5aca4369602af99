/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/spawn.h"

#include "base/err.h"
#include "base/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* One of the two streams that are read. */
struct stream {
    int fd;
    char *data;
    size_t size, room;
};

struct child {
    pid_t pid;
    int pidfd; /* readable when the child has ended; pidfd_open(2), Linux 5.3 */
    struct stream streams[2];
};

static void child_end(struct child *c)
{
    if (c->pid > 0) {
        kill(-c->pid, SIGKILL);
        while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    for (int i = 0; i < 2; i++) {
        scope_close(&c->streams[i].fd);
        free(c->streams[i].data);
    }
    scope_close(&c->pidfd);
}

static long long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

void spawn_helper_mask(sigset_t *mask)
{
    static const int free_signals[] = {SIGALRM, SIGCHLD, SIGPIPE, SIGTSTP, SIGTTIN,
                                       SIGTTOU, SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,
                                       SIGABRT, SIGSYS,  SIGTRAP};

    sigfillset(mask);
    for (size_t i = 0; i < sizeof(free_signals) / sizeof(free_signals[0]); i++)
        sigdelset(mask, free_signals[i]);
}

static int start(const struct spawn_how *how, int out, int err, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all, mask;
    int code;

    sigfillset(&all);
    spawn_helper_mask(&mask);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, err, 2);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &mask);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETPGROUP);
    code = posix_spawn(pid, how->path, &actions, &attributes, how->argv,
                       how->envp ? how->envp : environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return code;
}

/* A pipe whose ends are above 2, so that dup2 onto 1 and 2 hits neither. */
static int open_pipe(int ends[2], struct err *e)
{
    int raw[2];

    if (pipe2(raw, O_CLOEXEC) < 0)
        return err_sys(e, "pipe");
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(raw[i], F_DUPFD_CLOEXEC, 3);
        close(raw[i]);
    }
    if (ends[0] < 0 || ends[1] < 0)
        return err_sys(e, "duplicate a pipe");
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return 0;
}

static int child_start(const struct spawn_how *how, struct child *c, struct err *e)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, code, failed;

    failed = open_pipe(out, e);
    if (!failed)
        failed = open_pipe(err, e);
    c->streams[0].fd = out[0];
    c->streams[1].fd = err[0];
    if (!failed) {
        code = start(how, out[1], err[1], &c->pid);
        if (code)
            failed = err_code(e, code, "start %s", how->path);
    }
    scope_close(&out[1]);
    scope_close(&err[1]);
    if (failed)
        return -1;
    c->pidfd = syscall(SYS_pidfd_open, c->pid, 0);
    if (c->pidfd < 0)
        return err_sys(e, "watch %s", how->path);
    return 0;
}

/* Room for at least one more byte and the NUL. */
static int stream_grow(struct stream *s, struct err *e)
{
    size_t room = s->room ? s->room * 2 : 4096;
    char *data;

    if (s->size + 2 <= s->room)
        return 0;
    data = realloc(s->data, room);
    if (!data)
        return err_sys(e, "buffer for a program's output");
    s->data = data;
    s->room = room;
    return 0;
}

/* Takes what can be read at once; closes the stream at its end. */
static int stream_read(const struct spawn_how *how, struct stream *s, struct err *e)
{
    while (s->fd >= 0) {
        ssize_t n;

        if (stream_grow(s, e) < 0)
            return -1;
        n = read(s->fd, s->data + s->size, s->room - s->size - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0)
            return err_sys(e, "read from %s", how->path);
        if (n == 0) {
            close(take_fd(&s->fd));
            return 0;
        }
        s->size += n;
        s->data[s->size] = '\0';
        if (s->size > how->max_size)
            return err_set(e, ERR_FAILED, "%s prints more than %zu bytes", how->path,
                           how->max_size);
    }
    return 0;
}

/* Reads until the program has ended. A descendant that keeps the pipes open does not
 * keep us: what it prints later is not the program's answer. */
static int child_read(const struct spawn_how *how, struct child *c, struct err *e)
{
    long long deadline = now_ms() + how->timeout_ms;

    for (;;) {
        struct pollfd fds[3] = {{c->streams[0].fd, POLLIN, 0},
                                {c->streams[1].fd, POLLIN, 0},
                                {c->pidfd, POLLIN, 0}};
        long long left = deadline - now_ms();
        int n;

        if (left <= 0)
            return err_set(e, ERR_TIMEOUT, "%s did not end in %u.%03u s", how->path,
                           how->timeout_ms / 1000, how->timeout_ms % 1000);
        n = poll(fds, 3, (int)left);
        if (n < 0 && errno != EINTR)
            return err_sys(e, "wait for %s", how->path);
        if (n <= 0)
            continue;
        for (int i = 0; i < 2; i++)
            if (stream_read(how, &c->streams[i], e) < 0)
                return -1;
        if (fds[2].revents)
            return 0;
    }
}

int spawn_run(const struct spawn_how *how, struct spawn_output *output, struct err *e)
{
    __attribute__((cleanup(child_end))) struct child c = {
        .pidfd = -1, .streams = {{.fd = -1}, {.fd = -1}}};
    int status;

    if (child_start(how, &c, e) < 0 || child_read(how, &c, e) < 0)
        return -1;
    for (int i = 0; i < 2; i++)
        if (stream_grow(&c.streams[i], e) < 0)
            return -1;
    while (waitpid(c.pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_sys(e, "wait for %s", how->path);
    c.pid = 0;
    for (int i = 0; i < 2; i++)
        c.streams[i].data[c.streams[i].size] = '\0';
    output->status = status;
    output->out_size = c.streams[0].size;
    output->out = take_ptr(c.streams[0].data);
    output->err_size = c.streams[1].size;
    output->err = take_ptr(c.streams[1].data);
    return 0;
}

void spawn_output_free(struct spawn_output *output)
{
    free(output->out);
    free(output->err);
    *output = (struct spawn_output){0};
}
