/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "job/client.h"

#include "base/err.h"
#include "base/log.h"
#include "base/scope.h"
#include "job/clock.h"
#include "job/job.h"
#include "job/protocol.h"
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>

enum {
    CONNECT_S = 15,
    DISLODGE_S = 15, /* for an answer */
    KILLED_S = 1,    /* for the front of a killed supervisor to kill the job */
    RIVAL_CHECK_MS = 100,
    ANSWER_MAX = 2 * PROTOCOL_LINE_MAX
};

struct client {
    int fd;
    uint64_t deadline_us; /* UINT64_MAX: none */
    /* Not NULL: who is asked to let go, and must not take over meanwhile. */
    const struct store_epoch *rival;
    struct store *store;
    size_t used;
    char buffer[ANSWER_MAX];
};

/* A run that loses its number to another tries again with the next: then it is the
 * current one, and waits for us to let go as we wait for it. */
static int check_rival(const struct client *c, struct err *e)
{
    struct store_epoch current;
    struct err ignored = {0};

    if (!c->rival || store_epoch_current(c->store, &current, &ignored) < 0 ||
        strcmp(current.socket, c->rival->socket) != 0)
        return 0;
    return err_set(e, ERR_FENCED, "run %ju on %s has taken over",
                   (uintmax_t)current.epoch, current.host);
}

static int poll_timeout_ms(const struct client *c)
{
    int left = clock_until_ms(c->deadline_us);

    return c->rival && left > RIVAL_CHECK_MS ? RIVAL_CHECK_MS : left;
}

static int wait_readable(const struct client *c, struct err *e)
{
    for (;;) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        int n = poll(&p, 1, poll_timeout_ms(c));

        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return err_sys(e, "wait for the supervisor");
        if (clock_us() >= c->deadline_us)
            return err_set(
                e, ERR_TIMEOUT,
                "the supervisor has not answered in time; the checkpoint may "
                "still be completed");
        if (check_rival(c, e) < 0)
            return -1;
    }
}

static int supervisor_ended(struct err *e)
{
    return err_set(e, ERR_GONE,
                   "the supervisor ended before it answered; `qckpt show` tells "
                   "what became of the job");
}

/* The next line, without its newline; it stays in the buffer until the next call. */
static int read_line(struct client *c, char **line, size_t *size, struct err *e)
{
    char *newline;

    while (!(newline = memchr(c->buffer, '\n', c->used))) {
        ssize_t n;

        if (c->used == sizeof(c->buffer))
            return err_set(e, ERR_CORRUPT, "the supervisor's answer is too long");
        if (wait_readable(c, e) < 0)
            return -1;
        n = recv(c->fd, c->buffer + c->used, sizeof(c->buffer) - c->used, MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0 && errno != ECONNRESET)
            return err_sys(e, "read the supervisor's answer");
        if (n <= 0)
            return supervisor_ended(e);
        c->used += (size_t)n;
    }
    *line = c->buffer;
    *size = (size_t)(newline - c->buffer);
    return 0;
}

static void drop_line(struct client *c, size_t size)
{
    memmove(c->buffer, c->buffer + size + 1, c->used - size - 1);
    c->used -= size + 1;
}

/* Reads to the last line of the answer. */
static int read_answer(struct client *c, job_progress *progress, void *arg,
                       struct protocol_answer *answer, struct err *e)
{
    do {
        char *line = NULL;
        size_t size = 0;

        if (read_line(c, &line, &size, e) < 0 ||
            protocol_read_answer(line, size, answer, e) < 0)
            return -1;
        drop_line(c, size);
        if (!answer->done && progress)
            progress(arg, answer->bytes, answer->total_bytes);
    } while (!answer->done);
    if (answer->e.kind == ERR_NONE)
        return 0;
    *e = answer->e;
    return -1;
}

/* An abstract name can be taken by anybody once its owner is gone. */
static int check_peer(int fd, struct err *e)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return err_sys(e, "ask who the supervisor is");
    if (peer.uid != geteuid() && geteuid() != 0)
        return err_set(e, ERR_UNSAFE, "the supervisor's socket belongs to user %u",
                       (unsigned)peer.uid);
    return 0;
}

static int connect_to(const struct store_epoch *run, struct err *e)
{
    const struct timeval patience = {.tv_sec = CONNECT_S};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(run->socket);
    auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return err_sys(e, "open a socket");
    if (length == 0 || length >= sizeof(address.sun_path))
        return err_set(e, ERR_CORRUPT, "the epoch file names no usable socket");
    memcpy(address.sun_path + 1, run->socket, length);
    /* It waits while the queue of the listener is full: others on this host can see the
     * name, and fill it. */
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)) < 0) {
        if (errno == ECONNREFUSED || errno == ENOENT)
            return err_set(e, ERR_GONE,
                           "the job is not running: its last supervisor was process %d "
                           "on %s",
                           (int)run->pid, run->host);
        if (errno == EAGAIN)
            return err_set(e, ERR_TIMEOUT, "the supervisor takes no requests");
        return err_sys(e, "connect to the supervisor");
    }
    if (check_peer(fd, e) < 0)
        return -1;
    return take_fd(&fd);
}

static int ask_client(struct client *c, const struct protocol_request *request,
                      job_progress *progress, void *arg, struct protocol_answer *answer,
                      struct err *e)
{
    char line[PROTOCOL_LINE_MAX];
    size_t size = protocol_write_request(request, line);

    if (send(c->fd, line, size, MSG_NOSIGNAL) != (ssize_t)size) {
        /* It has ended since it was connected to. */
        if (errno == EPIPE || errno == ECONNRESET)
            return supervisor_ended(e);
        return err_sys(e, "send a request to the supervisor");
    }
    return read_answer(c, progress, arg, answer, e);
}

static int find_run(struct store *store, struct store_epoch *run, struct err *e)
{
    struct err none = {0};
    struct utsname here;
    int status;

    if (store_epoch_current(store, run, e) < 0) {
        if (e->kind == ERR_NOTHING)
            return err_set(e, ERR_GONE, "no job was ever started in %s",
                           store_path(store));
        return -1;
    }
    if (store_done_read(store, &status, NULL, &none) == 0)
        return err_set(e, ERR_GONE, "the job has ended with status %d", status);
    if (uname(&here) < 0)
        return err_sys(e, "ask for this host's name");
    if (strcmp(here.nodename, run->host) != 0)
        return err_set(e, ERR_GONE,
                       "the job was started on host %s, this is %s: ask there",
                       run->host, here.nodename);
    return 0;
}

/* Asks the supervisor of the job's current run. */
static int ask(struct store *store, const struct protocol_request *request,
               unsigned timeout_s, job_progress *progress, void *arg,
               struct protocol_answer *answer, struct err *e)
{
    struct client client = {.deadline_us = UINT64_MAX};
    struct store_epoch run;
    auto_fd int fd = -1;

    if (find_run(store, &run, e) < 0)
        return -1;
    fd = connect_to(&run, e);
    if (fd < 0)
        return -1;
    client.fd = fd;
    if (timeout_s > 0)
        client.deadline_us = clock_us() + timeout_s * UINT64_C(1000000);
    return ask_client(&client, request, progress, arg, answer, e);
}

int job_request_checkpoint(struct store *store, bool stop, unsigned timeout_s,
                           job_progress *progress, void *arg,
                           struct job_checkpoint *result, struct err *e)
{
    const struct protocol_request request = {.op = OP_CHECKPOINT, .stop = stop};
    struct protocol_answer answer;

    if (ask(store, &request, timeout_s, progress, arg, &answer, e) < 0)
        return -1;
    *result = answer.checkpoint;
    return 0;
}

int job_request_status(struct store *store, unsigned timeout_s,
                       struct job_status *status, struct err *e)
{
    const struct protocol_request request = {.op = OP_STATUS};
    struct protocol_answer answer;

    if (ask(store, &request, timeout_s, NULL, NULL, &answer, e) < 0)
        return -1;
    *status = answer.status;
    return 0;
}

/* Until nobody holds the other end. */
static bool wait_hung_up(int fd, uint64_t deadline_us)
{
    while (clock_us() < deadline_us) {
        struct pollfd p = {.fd = fd, .events = POLLRDHUP};

        poll(&p, 1, clock_until_ms(deadline_us));
        if (p.revents & (POLLRDHUP | POLLHUP | POLLERR))
            return true;
    }
    return false;
}

/* A supervisor that is stopped, or that waits for a file system which does not answer.
 * Its socket says who it is; its front sees it die and ends what is left of the job. */
static int kill_silent(const struct store_epoch *before, int fd, struct err *e)
{
    const struct timespec moment = {.tv_sec = KILLED_S};
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
        peer.pid == before->pid && kill(peer.pid, SIGKILL) == 0 &&
        wait_hung_up(fd, clock_us() + DISLODGE_S * UINT64_C(1000000))) {
        nanosleep(&moment, NULL);
        log_warning("process %d, the supervisor of run %ju, did not answer and was "
                    "killed",
                    (int)before->pid, (uintmax_t)before->epoch);
        return 0;
    }
    return err_set(e, ERR_TIMEOUT,
                   "run %ju of this job, process %d on this host, neither answers nor "
                   "dies: the job is not started beside it",
                   (uintmax_t)before->epoch, (int)before->pid);
}

static int ask_to_let_go(struct store *store, const struct store_epoch *before, int fd,
                         struct err *e)
{
    const struct protocol_request request = {.op = OP_CHECK_EPOCH};
    struct client client = {.fd = fd,
                            .deadline_us = clock_us() + DISLODGE_S * UINT64_C(1000000),
                            .rival = before,
                            .store = store};
    struct protocol_answer answer;

    return ask_client(&client, &request, NULL, NULL, &answer, e);
}

int client_dislodge(struct store *store, const struct store_epoch *before,
                    struct err *e)
{
    struct err why = {0};
    struct utsname here;
    auto_fd int fd = -1;

    if (uname(&here) < 0 || strcmp(here.nodename, before->host) != 0 ||
        !before->socket[0])
        return 0;
    fd = connect_to(before, &why);
    /* Whoever took the name of a dead one could let us wait. */
    if (fd < 0 && (why.kind != ERR_TIMEOUT || kill(before->pid, 0) < 0))
        return 0;
    if (fd >= 0 && ask_to_let_go(store, before, fd, &why) < 0 &&
        why.kind == ERR_FENCED) {
        *e = why;
        return -1;
    }
    if (fd >= 0 && why.kind != ERR_TIMEOUT)
        return 0;
    return kill_silent(before, fd, e);
}
