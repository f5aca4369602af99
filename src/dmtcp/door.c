/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/door.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "base/str.h"
#include "dmtcp/guard.h"
#include "dmtcp/keeper.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char port_file[] = "coordinator.port", log_file[] = "coordinator.log";

enum {
    POLL_MS = 5,          /* the coordinator's port file is looked for this often */
    SETTLE_MS = 200,      /* until a port file that says something else counts */
    CLOSE_MS = 5000,      /* the door ends in microseconds; then it is killed */
    LOG_TAIL_SIZE = 4096, /* of the log, where its last line is looked for */
    LOG_LINE_SIZE = 300,
};

struct door {
    pid_t pid;
    int pidfd, channel, workdir;
    int port;
    bool closed;
    int end_status; /* of the coordinator, once closed */
    char closed_text[DOOR_TEXT_SIZE];
};

/* argv and envp of the coordinator. */
struct command {
    char *argv[16];
    char port_path[4096];
    char tmpdir[4096]; /* DMTCP_TMPDIR=... */
    char **envp;       /* the array is ours, its strings are not */
};

static void command_free(struct command *c)
{
    free(c->envp);
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/*
 * DMTCP's variables would set what the options do not (an interval, a log file), and
 * what is preloaded into the job has no business here. Its coordinator takes the
 * directory for temporary files from the environment only (4.2 parses --tmpdir and
 * forgets it), and is quiet by it only: it would note every process of the job.
 */
static int build_environment(struct command *c, struct err *e)
{
    size_t count = 0, used = 0;

    while (environ[count])
        count++;
    c->envp = calloc(count + 3, sizeof(*c->envp));
    if (!c->envp)
        return err_sys(e, "environment of DMTCP's coordinator");
    for (size_t i = 0; i < count; i++)
        if (!starts_with(environ[i], "DMTCP_") &&
            !starts_with(environ[i], "LD_PRELOAD=") &&
            !starts_with(environ[i], "LD_AUDIT="))
            c->envp[used++] = environ[i];
    c->envp[used++] = c->tmpdir;
    c->envp[used] = "DMTCP_QUIET=1";
    return 0;
}

static int build_command(const struct door_how *how, struct command *c, struct err *e)
{
    char *const argv[] = {(char *)how->coordinator,
                          "--quiet",
                          "--exit-on-last",
                          "--coord-port",
                          "0",
                          "--port-file",
                          c->port_path,
                          "--ckptdir",
                          (char *)how->workdir,
                          "--tmpdir",
                          (char *)how->tmpdir,
                          NULL};

    _Static_assert(sizeof(argv) <= sizeof(c->argv), "argv has room");
    memcpy(c->argv, argv, sizeof(argv));
    if (str_format(c->port_path, sizeof(c->port_path), e, "%s/%s", how->workdir,
                   port_file) < 0 ||
        str_format(c->tmpdir, sizeof(c->tmpdir), e, "DMTCP_TMPDIR=%s", how->tmpdir) < 0)
        return -1;
    return build_environment(c, e);
}

static int check_how(const struct door_how *how, struct err *e)
{
    const char *const paths[] = {how->coordinator, how->workdir, how->tmpdir};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (paths[i][0] != '/')
            return err_set(e, ERR_USAGE, "%s: DMTCP's coordinator needs absolute paths",
                           paths[i]);
    if (access(how->coordinator, X_OK) < 0)
        return err_sys(e, "%s", how->coordinator);
    return guard_check(e);
}

/* Does not block: the door must not wait for a connection that has gone again. */
static int listen_at(const struct door_how *how, int *port, struct err *e)
{
    in_addr_t address = how->hosts ? INADDR_ANY : INADDR_LOOPBACK;
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(address)};
    socklen_t size = sizeof(name);
    auto_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&name, size) < 0 ||
        listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&name, &size) < 0)
        return err_sys(e, "open a socket for DMTCP's coordinator");
    *port = ntohs(name.sin_port);
    return take_fd(&fd);
}

/* Empties what an earlier coordinator left in the directory. */
static int open_log(int workdir, struct err *e)
{
    int fd;

    if (io_remove_tree(workdir, port_file, e) < 0 ||
        io_remove_tree(workdir, log_file, e) < 0)
        return -1;
    fd = openat(workdir, log_file, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC,
                0600);
    return fd < 0 ? err_sys(e, "create %s", log_file) : fd;
}

static void keeper_forget(struct keeper *k)
{
    scope_close(&k->channel);
    scope_close(&k->listener);
    scope_close(&k->log);
    scope_close(&k->diag);
    free(k->hosts.addresses);
}
#define auto_keeper __attribute__((cleanup(keeper_forget)))

/* Forks the door. */
static int start(struct door *d, const struct door_how *how, struct err *e)
{
    auto_keeper struct keeper k = {
        .channel = -1, .listener = -1, .log = -1, .diag = -1};
    __attribute__((cleanup(command_free))) struct command command = {.envp = NULL};
    pid_t parent = getpid();
    int ends[2];

    if (build_command(how, &command, e) < 0 ||
        peer_resolve(how->hosts, &k.hosts, e) < 0)
        return -1;
    k.program = how->coordinator;
    k.argv = command.argv;
    k.envp = command.envp;
    k.listener = listen_at(how, &d->port, e);
    if (k.listener < 0)
        return -1;
    k.diag = peer_open(k.listener, e);
    k.log = k.diag < 0 ? -1 : open_log(d->workdir, e);
    if (k.log < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return err_sys(e, "socket pair for the door");
    d->channel = ends[0];
    k.channel = ends[1];
    d->pid = fork();
    if (d->pid == 0)
        keeper_run(&k, parent);
    if (d->pid < 0)
        return err_sys(e, "fork the door");
    d->pidfd = syscall(SYS_pidfd_open, d->pid, 0);
    if (d->pidfd >= 0)
        return 0;
    err_sys(e, "watch the door");
    kill(d->pid, SIGKILL);
    while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return -1;
}

/* Takes out colours (ESC [ ... letter) and what else cannot be printed, in place. */
static void make_printable(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        if (from[0] == '\033' && from[1] == '[') {
            from += 1;
            while (from[1] && !isalpha((unsigned char)from[1]))
                from++;
            from += from[1] != '\0';
        } else if (*from == '\n' || isprint((unsigned char)*from)) {
            *to++ = *from;
        }
    }
    *to = '\0';
}

/* The last line of the coordinator's log that says anything; empty when none does. */
static void last_words(const struct door *d, char out[LOG_LINE_SIZE])
{
    auto_fd int fd = openat(d->workdir, log_file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    char tail[LOG_TAIL_SIZE + 1], *line;
    off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    off_t from = size > LOG_TAIL_SIZE ? size - LOG_TAIL_SIZE : 0;
    ssize_t n = size <= 0 ? 0 : pread(fd, tail, LOG_TAIL_SIZE, from);
    size_t length;

    tail[n > 0 ? n : 0] = '\0';
    make_printable(tail);
    length = strlen(tail);
    while (length > 0 && isspace((unsigned char)tail[length - 1]))
        tail[--length] = '\0';
    line = strrchr(tail, '\n');
    snprintf(out, LOG_LINE_SIZE, "%.*s", LOG_LINE_SIZE - 1, line ? line + 1 : tail);
}

static void remember_end(struct door *d, const struct keeper_packet *packet)
{
    char words[LOG_LINE_SIZE];

    last_words(d, words);
    d->closed = true;
    d->end_status = packet->status;
    snprintf(d->closed_text, sizeof(d->closed_text), "%.150s%s%s", packet->text,
             words[0] ? "; the last line of its log: " : "", words);
}

/* One packet without waiting: 1, or 0: none; the end of the channel is KEEPER_ENDED. */
static int take(struct door *d, struct keeper_packet *packet)
{
    ssize_t n = recv(d->channel, packet, sizeof(*packet), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n != sizeof(*packet))
        *packet = (struct keeper_packet){
            .what = KEEPER_ENDED,
            .status = SIGKILL,
            .text = "the guard of DMTCP's coordinator was killed, and it with it"};
    packet->text[sizeof(packet->text) - 1] = '\0';
    return 1;
}

static long long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* What the coordinator wrote as its port: 0 as long as it has written nothing. */
static int read_port(const struct door *d)
{
    auto_free char *text = NULL;
    struct err ignored;

    if (io_read_file(d->workdir, port_file, 64, &text, NULL, &ignored) < 0)
        return 0;
    return (int)strtol(text, NULL, 10);
}

/* Takes one packet of the start. */
static int hear_start(struct door *d, bool *started, struct err *e)
{
    struct keeper_packet packet;

    if (!take(d, &packet))
        return 0;
    switch (packet.what) {
    case KEEPER_STARTED:
        *started = true;
        return 0;
    case KEEPER_FAILED:
        return err_set(e, packet.error, "%s", packet.text);
    case KEEPER_ENDED:
        remember_end(d, &packet);
        return err_set(e, ERR_FAILED, "%s", d->closed_text);
    default:
        return 0; /* a stranger who found the port before the job did */
    }
}

/* Until the coordinator says that it listens at our socket. */
static int await_ready(struct door *d, const struct door_how *how, struct err *e)
{
    long long deadline = now_ms() + how->timeout_s * 1000LL, other_since = 0;
    bool started = false;

    for (;;) {
        struct pollfd channel = {d->channel, POLLIN, 0};
        int port;

        if (poll(&channel, 1, POLL_MS) > 0 && hear_start(d, &started, e) < 0)
            return -1;
        port = started ? read_port(d) : 0;
        if (port == d->port)
            return 0;
        if (port && !other_since)
            other_since = now_ms();
        if (port && now_ms() - other_since >= SETTLE_MS)
            return err_set(e, ERR_FAILED,
                           "%s listens at port %d, not at the socket that it was given "
                           "(port %d): this version of DMTCP is not known to qckpt; "
                           "use 3.x or 4.x",
                           how->coordinator, port, d->port);
        if (now_ms() >= deadline)
            return err_set(e, ERR_TIMEOUT, "%s did not get ready in %u s",
                           how->coordinator, how->timeout_s);
    }
}

struct door *door_open(const struct door_how *how, struct err *e)
{
    struct door *d = malloc(sizeof(*d));

    if (!d) {
        err_sys(e, "the door");
        return NULL;
    }
    *d = (struct door){.pidfd = -1, .channel = -1, .workdir = -1};
    if (check_how(how, e) == 0) {
        d->workdir = open(how->workdir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (d->workdir < 0)
            err_sys(e, "open %s", how->workdir);
        else if (start(d, how, e) == 0 && await_ready(d, how, e) == 0)
            return d;
    }
    door_close(d);
    return NULL;
}

int door_port(const struct door *d)
{
    return d->port;
}

pid_t door_pid(const struct door *d)
{
    return d->pid;
}

int door_fd(const struct door *d)
{
    return d->channel;
}

enum door_event door_next(struct door *d, char *text, size_t size)
{
    struct keeper_packet packet = {.text = ""};
    enum door_event event = DOOR_NOTHING;

    if (!d->closed && take(d, &packet)) {
        switch (packet.what) {
        case KEEPER_WRITTEN:
            event = DOOR_WRITTEN;
            break;
        case KEEPER_RESTORED:
            event = DOOR_RESTORED;
            break;
        case KEEPER_STRANGER:
            event = DOOR_STRANGER;
            break;
        case KEEPER_ENDED:
            remember_end(d, &packet);
            break;
        default:
            break;
        }
    }
    if (d->closed)
        event = DOOR_CLOSED;
    snprintf(text, size, "%s", d->closed ? d->closed_text : packet.text);
    return event;
}

int door_end_status(const struct door *d)
{
    return d->end_status;
}

/* The door ends with the coordinator, after its last packet. */
bool door_await_end(const struct door *d, int timeout_ms)
{
    long long deadline = now_ms() + timeout_ms;
    struct pollfd end = {d->channel, 0, 0}; /* POLLHUP only */
    long long left = timeout_ms;

    while (!d->closed && !end.revents && left >= 0) {
        poll(&end, 1, (int)left);
        left = deadline - now_ms();
    }
    return d->closed || end.revents;
}

int door_release(struct door *d, struct err *e)
{
    ssize_t n;

    do
        n = send(d->channel, "", 1, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n == 1)
        return 0;
    return err_set(e, ERR_GONE, "DMTCP's coordinator has ended");
}

/* The pid may have been reaped by the caller already, and be another's by now: only the
 * pidfd is sure. */
static void end(struct door *d)
{
    struct pollfd ended = {d->pidfd, POLLIN, 0};
    long long deadline = now_ms() + CLOSE_MS;

    while (now_ms() < deadline && poll(&ended, 1, CLOSE_MS) < 0 && errno == EINTR)
        ;
    if (!ended.revents)
        syscall(SYS_pidfd_send_signal, d->pidfd, SIGKILL, NULL, 0);
    while (waitid(P_PIDFD, d->pidfd, NULL, WEXITED) < 0 && errno == EINTR)
        ;
}

void door_close(struct door *d)
{
    if (!d)
        return;
    /* The door ends the coordinator when it sees the end of its channel. A close would
     * end nothing while another child of the caller's holds a copy. */
    if (d->channel >= 0)
        shutdown(d->channel, SHUT_RDWR);
    scope_close(&d->channel);
    if (d->pidfd >= 0)
        end(d);
    scope_close(&d->pidfd);
    scope_close(&d->workdir);
    free(d);
}
