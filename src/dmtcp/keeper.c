/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/keeper.h"

#include "base/scope.h"
#include "dmtcp/coordinator.h"
#include "dmtcp/guard.h"
#include "dmtcp/hello.h"
#include "dmtcp/porch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Strangers are told of this often, so that nobody can fill the job's log. */
enum { STRANGER_PERIOD_S = 10 };

/*
 * From the first process that runs again after a checkpoint to the last that has said
 * so, the coordinator (3.2, 4.2) rejects every new process, which ends it: a job that
 * forks at that moment would be lost. So nobody is let in for as long as that may take;
 * a fork waits meanwhile. Between two looks the coordinator does its other work.
 */
enum { RESUME_MS = 300, RESUME_LOOK_MS = 2 };

/* Where descriptors lie once the door holds only its own. */
enum { SLOT_CHANNEL = 3, SLOT_LISTENER, SLOT_LOG, SLOT_DIAG, SLOTS_END };

struct door_state {
    struct keeper *keeper;
    struct coordinator coordinator;
    enum guard_barrier last; /* the barrier that was written last */
    bool held;
    uint64_t held_id;
    long long resumed_ms; /* when the job was let go after its last checkpoint, or 0 */
    int waiting;          /* accepted for a call that went away; -1: none */
    struct sockaddr_in waiting_peer;
    struct porch porch;
    struct sockaddr_in listener; /* its name */
    /* What the coordinator is to read first from the connection that it was given last,
     * or will be given next: its descriptor, -1 until then. */
    bool has_hello;
    int hello_fd;
    unsigned char hello[HELLO_SIZE];
    time_t told_s; /* when a stranger was told of; 0: never */
    unsigned untold;
};

/* 0, or -1: the caller does not take it. */
static int tell(const struct keeper *k, const struct keeper_packet *packet, int flags)
{
    ssize_t n;

    do
        n = send(k->channel, packet, sizeof(*packet), MSG_NOSIGNAL | flags);
    while (n < 0 && errno == EINTR);
    return n == sizeof(*packet) ? 0 : -1;
}

static _Noreturn void give_up(const struct keeper *k, const struct err *e)
{
    struct keeper_packet packet = {.what = KEEPER_FAILED, .error = e->kind};

    snprintf(packet.text, sizeof(packet.text), "%.*s", DOOR_TEXT_SIZE - 1, e->text);
    tell(k, &packet, 0);
    _exit(1);
}

/* The coordinator's socket has a high number, and each process of the job takes one. */
static int raise_file_limit(struct err *e)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_sys(e, "limit of open files");
    if (limit.rlim_max < COORDINATOR_FILES)
        return err_set(
            e, ERR_REFUSED,
            "DMTCP needs %d open files; the job's hard limit is %llu (ulimit "
            "-n, h_descriptors of the queue)",
            COORDINATOR_FILES, (unsigned long long)limit.rlim_max);
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_sys(e, "raise the limit of open files");
    return 0;
}

/* Leaves 0, 1, 2 as /dev/null and the four slots, whatever the caller had open: a
 * descriptor of its own kept here would keep a pipe of the job's from ending. */
static int keep_only_own(struct keeper *k, struct err *e)
{
    int *own[] = {&k->channel, &k->listener, &k->log, &k->diag};
    int null, count = SLOTS_END - SLOT_CHANNEL;

    for (int i = 0; i < count; i++) {
        int moved = fcntl(*own[i], F_DUPFD_CLOEXEC, COORDINATOR_SOCKET + 1);

        if (moved < 0)
            return err_sys(e, "move a descriptor");
        *own[i] = moved;
    }
    if (syscall(SYS_close_range, 0, COORDINATOR_SOCKET, 0) < 0)
        return err_set(e, ERR_REFUSED,
                       "DMTCP's coordinator cannot be guarded here: close_range is "
                       "missing (%s); Linux 5.9 is needed",
                       strerror(errno));
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null != 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
        fcntl(null, F_SETFD, 0) < 0)
        return err_sys(e, "open /dev/null");
    for (int i = 0; i < count; i++) {
        if (dup3(*own[i], SLOT_CHANNEL + i, O_CLOEXEC) < 0)
            return err_sys(e, "move a descriptor");
        *own[i] = SLOT_CHANNEL + i;
    }
    syscall(SYS_close_range, SLOTS_END, ~0U, 0);
    return 0;
}

static int settle(struct keeper *k, pid_t parent, struct err *e)
{
    sigset_t all;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    prctl(PR_SET_NAME, "qckpt-door");
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    /* Ignored, the coordinator could not be waited for. */
    signal(SIGCHLD, SIG_DFL);
    setsid();
    if (chdir("/") < 0)
        return err_sys(e, "change to /");
    if (raise_file_limit(e) < 0)
        return -1;
    return keep_only_own(k, e);
}

static const char *who(const struct peer *peer, char *out, size_t size)
{
    char address[INET_ADDRSTRLEN];
    pid_t pid;

    inet_ntop(AF_INET, &peer->address.sin_addr, address, sizeof(address));
    switch (peer->kind) {
    case PEER_STRANGER:
        pid = peer_process(peer->inode);
        if (pid > 0)
            snprintf(out, size, "user %u (process %d)", (unsigned)peer->uid, pid);
        else
            snprintf(out, size, "user %u", (unsigned)peer->uid);
        break;
    case PEER_ELSEWHERE:
        snprintf(out, size, "somebody on %s, which is none of the job's hosts,",
                 address);
        break;
    case PEER_OURS:
        snprintf(out, size, "somebody at %s port %u who did not speak as DMTCP does",
                 address, ntohs(peer->address.sin_port));
        break;
    default:
        snprintf(out, size, "somebody at %s port %u who hung up at once", address,
                 ntohs(peer->address.sin_port));
        break;
    }
    return out;
}

/* The coordinator has had its answer: this may take its time, but not the caller's
 * attention without end. */
static void report_stranger(struct door_state *s, const struct peer *peer)
{
    struct keeper_packet packet = {.what = KEEPER_STRANGER};
    struct timespec now;
    char name[128], more[64] = "";

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (s->told_s && now.tv_sec - s->told_s < STRANGER_PERIOD_S) {
        s->untold++;
        return;
    }
    if (s->untold)
        snprintf(more, sizeof(more), ", and %u others since the last such message",
                 s->untold);
    snprintf(packet.text, sizeof(packet.text),
             "%s connected to the job's DMTCP coordinator and was turned away%s",
             who(peer, name, sizeof(name)), more);
    if (tell(s->keeper, &packet, MSG_DONTWAIT) < 0) {
        s->untold++;
        return;
    }
    s->told_s = now.tv_sec ? now.tv_sec : 1;
    s->untold = 0;
}

/* The next connection: one that an interrupted call left, one that has spoken by now,
 * or a new one. *is_known: it has been looked at. */
static int next_connection(struct door_state *s, struct sockaddr_in *peer,
                           bool *is_known)
{
    socklen_t size = sizeof(*peer);
    int fd;

    *is_known = false;
    s->hello_fd = -1;
    if (s->waiting >= 0) {
        *is_known = true;
        *peer = s->waiting_peer;
        return take_fd(&s->waiting);
    }
    s->has_hello = false;
    fd = porch_take(&s->porch, peer);
    if (fd >= 0) {
        *is_known = true;
        return fd;
    }
    if (porch_is_full(&s->porch)) {
        poll(NULL, 0, RESUME_LOOK_MS);
        errno = EAGAIN;
        return -1;
    }
    return accept4(s->keeper->listener, (struct sockaddr *)peer, &size, SOCK_CLOEXEC);
}

static long long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Whether new processes have to wait, see RESUME_MS. */
static bool resumes(struct door_state *s)
{
    if (s->resumed_ms && now_ms() - s->resumed_ms > RESUME_MS)
        s->resumed_ms = 0;
    return s->resumed_ms != 0;
}

/* Whether the new connection may be given to the coordinator now. Else *code is what
 * that is told, and the connection is closed or waits. */
static bool may_enter(struct door_state *s, int *fd, const struct sockaddr_in *address,
                      int *code)
{
    struct peer peer;
    enum hello_state state;

    *code = EAGAIN;
    if (porch_is_knock(&s->porch, address))
        return false;
    peer = peer_identify(s->keeper->diag, *fd, address, &s->keeper->hosts);
    state = peer.kind == PEER_OURS ? hello_look(*fd) : HELLO_FOREIGN;
    if (state == HELLO_AWAITED)
        porch_add(&s->porch, fd, address, now_ms());
    if (state != HELLO_FOREIGN)
        return state == HELLO_WHOLE;
    *code = ECONNABORTED;
    report_stranger(s, &peer);
    return false;
}

/* The listening socket does not block: one who has gone again is nobody to wait for. */
static void on_accept(struct door_state *s, const struct guard_call *call)
{
    int guard = s->coordinator.listener, code;
    struct sockaddr_in address = {0};
    auto_fd int fd = -1;
    bool is_known;

    if (resumes(s)) {
        poll(NULL, 0, RESUME_LOOK_MS);
        guard_fail(guard, call->id, EAGAIN);
        return;
    }
    fd = next_connection(s, &address, &is_known);
    if (fd < 0) {
        guard_fail(guard, call->id, errno);
        return;
    }
    if (!is_known && !may_enter(s, &fd, &address, &code)) {
        guard_fail(guard, call->id, code);
        return;
    }
    if (!s->has_hello)
        s->has_hello = hello_take(fd, s->hello);
    if (guard_give(guard, call, &fd, &address, &s->hello_fd) < 0 && fd >= 0) {
        s->waiting = take_fd(&fd);
        s->waiting_peer = address;
    }
}

static void look_at_porch(struct door_state *s)
{
    struct peer peer = {.kind = PEER_OURS};
    int fd;

    while (porch_look(&s->porch, &s->listener, now_ms(), &fd, &peer.address)) {
        close(fd);
        report_stranger(s, &peer);
    }
}

/*
 * One write for each process of the job: the first of a barrier decides. A checkpoint
 * begins with DMT:SUSPEND, so the DMT:WriteCkpt of the next one is not taken for one
 * more of this.
 */
static void on_barrier(struct door_state *s, const struct guard_call *call)
{
    struct keeper_packet packet = {
        .what = call->barrier == BARRIER_WRITTEN ? KEEPER_WRITTEN : KEEPER_RESTORED};
    int guard = s->coordinator.listener;

    if (s->held && !guard_waits(guard, s->held_id)) {
        s->held_id = call->id; /* the held write was interrupted, and asks again */
        return;
    }
    if (!s->held && call->barrier != s->last) {
        s->last = call->barrier;
        if (s->last != BARRIER_SUSPEND && tell(s->keeper, &packet, MSG_DONTWAIT) == 0) {
            s->held = true;
            s->held_id = call->id;
            return;
        }
    }
    guard_continue(guard, call->id);
}

/* The first of a connection, or any other. */
static void on_read(struct door_state *s, const struct guard_call *call)
{
    int guard = s->coordinator.listener;

    if (!s->has_hello || call->fd != s->hello_fd)
        guard_continue(guard, call->id);
    else if (guard_fill(guard, call, s->hello) == 0)
        s->has_hello = false;
}

static void on_call(struct door_state *s)
{
    struct guard_call call;

    guard_receive(s->coordinator.listener, &call);
    switch (call.kind) {
    case GUARD_NONE:
        break;
    case GUARD_ACCEPT:
        on_accept(s, &call);
        break;
    case GUARD_BARRIER:
        on_barrier(s, &call);
        break;
    case GUARD_READ:
        on_read(s, &call);
        break;
    case GUARD_OTHER:
        guard_continue(s->coordinator.listener, call.id);
        break;
    }
}

static int wait_for_coordinator(const struct coordinator *c)
{
    int status = 0;

    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static _Noreturn void on_end(struct door_state *s)
{
    int status = wait_for_coordinator(&s->coordinator);
    struct keeper_packet packet = {.what = KEEPER_ENDED, .status = status};

    if (WIFSIGNALED(status))
        snprintf(packet.text, sizeof(packet.text),
                 "DMTCP's coordinator was killed by signal %d", WTERMSIG(status));
    else
        snprintf(packet.text, sizeof(packet.text),
                 "DMTCP's coordinator ended with status %d", WEXITSTATUS(status));
    tell(s->keeper, &packet, 0);
    _exit(0);
}

/* A byte: go on. The end: the caller closes the door. */
static void on_caller(struct door_state *s)
{
    char byte;
    ssize_t n = recv(s->keeper->channel, &byte, 1, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        kill(s->coordinator.pid, SIGKILL);
        wait_for_coordinator(&s->coordinator);
        _exit(0);
    }
    if (s->held) {
        s->held = false;
        if (s->last == BARRIER_WRITTEN)
            s->resumed_ms = now_ms();
        /* Interrupted just now: it asks again, and is let by as one of `last`. */
        guard_continue(s->coordinator.listener, s->held_id);
    }
}

static void wait_for_calls(struct door_state *s)
{
    struct coordinator *c = &s->coordinator;
    struct pollfd fds[3 + PORCH_MAX] = {{c->pidfd, POLLIN, 0},
                                        {s->keeper->channel, POLLIN, 0},
                                        {c->listener, POLLIN, 0}};
    int timeout_ms, n = porch_poll(&s->porch, fds + 3, now_ms(), &timeout_ms);

    if (poll(fds, 3 + (nfds_t)n, timeout_ms) < 0)
        return;
    if (fds[0].revents)
        on_end(s);
    if (fds[1].revents)
        on_caller(s);
    look_at_porch(s);
    if (fds[2].revents & POLLIN)
        on_call(s);
    else if (fds[2].revents)
        c->listener = -1; /* nobody is left under the filter */
}

_Noreturn void keeper_run(struct keeper *k, pid_t parent)
{
    struct keeper_packet started = {.what = KEEPER_STARTED};
    struct door_state state = {.keeper = k, .waiting = -1, .hello_fd = -1};
    struct coordinator_how how = {k->program, k->argv, k->envp, SLOT_LISTENER,
                                  SLOT_LOG};
    socklen_t size = sizeof(state.listener);
    struct err e = {0};

    porch_init(&state.porch);
    if (settle(k, parent, &e) < 0 ||
        coordinator_start(&how, &state.coordinator, &e) < 0)
        give_up(k, &e);
    getsockname(k->listener, (struct sockaddr *)&state.listener, &size);
    tell(k, &started, 0);
    for (;;)
        wait_for_calls(&state);
}
