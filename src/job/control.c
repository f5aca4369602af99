/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "job/control.h"

#include "base/err.h"
#include "base/str.h"
#include "job/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/sockios.h>

enum {
    MAX_CLIENTS = 32,
    REQUEST_MAX = 512,
    /* A client that has sent no request for so long gives way to another. */
    SILENCE_US = 200000,
};

struct control_client {
    int fd;    /* -1: free */
    int epoll; /* the one that watches fd */
    enum { READING, QUEUED, SERVED } state;
    bool stop;
    uint64_t since_us;
    size_t used;
    char request[REQUEST_MAX];
};

struct control {
    int listener, epoll;
    struct control_client clients[MAX_CLIENTS];
};

static int listen_on(const char *name, struct err *e)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return err_sys(e, "open the control socket");
    memcpy(address.sun_path + 1, name, length);
    if (bind(fd, (struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)) < 0)
        return err_sys(e, "bind the control socket");
    if (listen(fd, MAX_CLIENTS) < 0)
        return err_sys(e, "listen on the control socket");
    return take_fd(&fd);
}

static int watch(struct control *c, int fd, struct control_client *client)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};

    return epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &event);
}

struct control *control_open(char name[CONTROL_NAME_SIZE], struct err *e)
{
    char nonce[STR_NONCE_SIZE];
    auto_control struct control *c = calloc(1, sizeof(*c));

    if (!c) {
        err_set(e, ERR_FAILED, "out of memory");
        return NULL;
    }
    for (int i = 0; i < MAX_CLIENTS; i++)
        c->clients[i].fd = -1;
    c->listener = -1;
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (c->epoll < 0) {
        err_sys(e, "create an epoll descriptor");
        return NULL;
    }
    if (str_nonce(nonce, e) < 0 ||
        str_format(name, CONTROL_NAME_SIZE, e, "qckpt-%s", nonce) < 0)
        return NULL;
    c->listener = listen_on(name, e);
    if (c->listener < 0)
        return NULL;
    if (watch(c, c->listener, NULL) < 0) {
        err_sys(e, "watch the control socket");
        return NULL;
    }
    return take_ptr(c);
}

/* A process that the engine forked may hold a copy of the descriptor: closing ours
 * alone would end neither the connection nor the watching. */
static void drop(struct control_client *client)
{
    if (client->fd < 0)
        return;
    epoll_ctl(client->epoll, EPOLL_CTL_DEL, client->fd, NULL);
    shutdown(client->fd, SHUT_RDWR);
    close(client->fd);
    client->fd = -1;
}

void control_close(struct control *c)
{
    for (int i = 0; i < MAX_CLIENTS; i++)
        drop(&c->clients[i]);
    if (c->listener >= 0)
        close(c->listener);
    if (c->epoll >= 0)
        close(c->epoll);
    free(c);
}

int control_fd(const struct control *c)
{
    return c->epoll;
}

static bool is_allowed(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    return peer.uid == geteuid() || peer.uid == 0;
}

static struct control_client *find_free(struct control *c)
{
    for (int i = 0; i < MAX_CLIENTS; i++)
        if (c->clients[i].fd < 0)
            return &c->clients[i];
    return NULL;
}

/* The client that has been silent for longest, if that is long. */
static struct control_client *find_silent(struct control *c)
{
    struct control_client *oldest = NULL;

    for (int i = 0; i < MAX_CLIENTS; i++) {
        struct control_client *client = &c->clients[i];

        if (client->fd >= 0 && client->state == READING &&
            (!oldest || client->since_us < oldest->since_us))
            oldest = client;
    }
    if (oldest && clock_us() - oldest->since_us < SILENCE_US)
        return NULL;
    return oldest;
}

static bool is_reading(const struct control *c)
{
    for (int i = 0; i < MAX_CLIENTS; i++)
        if (c->clients[i].fd >= 0 && c->clients[i].state == READING)
            return true;
    return false;
}

/* Fills a free slot, or that of a client that says nothing. False: no place now. */
static bool make_room(struct control *c, struct control_client **room)
{
    *room = find_free(c);
    if (*room)
        return true;
    *room = find_silent(c);
    if (*room) {
        drop(*room);
        return true;
    }
    /* Whoever is about to speak makes room soon; whoever waits for a checkpoint does
     * not, and then a new client is turned away. */
    return !is_reading(c);
}

static void accept_all(struct control *c)
{
    struct control_client *room;

    while (make_room(c, &room)) {
        int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0)
            return;
        if (!room || !is_allowed(fd)) {
            close(fd);
            continue;
        }
        *room = (struct control_client){
            .fd = fd, .epoll = c->epoll, .state = READING, .since_us = clock_us()};
        if (watch(c, fd, room) < 0)
            drop(room);
    }
}

/* Room for the last line is kept: progress is sent only when all before was read. */
static bool has_read_all(const struct control_client *client)
{
    int queued;

    return ioctl(client->fd, SIOCOUTQ, &queued) == 0 && queued == 0;
}

static void send_line(struct control_client *client, const char *line, size_t size)
{
    if (send(client->fd, line, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size)
        drop(client);
}

void control_answer(struct control_client *client, const char *line, size_t size)
{
    if (client->fd < 0)
        return;
    send_line(client, line, size);
    drop(client);
}

static void answer_error(struct control_client *client, const struct err *error)
{
    char line[PROTOCOL_LINE_MAX];

    control_answer(client, line, protocol_write_error(error, line));
}

/* Reads what there is; a whole line is a request. After that a client has nothing to
 * say: more is nonsense, and the end of its stream means that it has gone. */
static void read_client(struct control_client *client, control_handler *handler,
                        void *arg)
{
    struct protocol_request request;
    struct err e = {0};
    char *newline;
    ssize_t n = recv(client->fd, client->request + client->used,
                     sizeof(client->request) - client->used, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || client->state != READING) {
        drop(client);
        return;
    }
    client->used += (size_t)n;
    newline = memchr(client->request, '\n', client->used);
    if (newline) {
        size_t size = (size_t)(newline - client->request);

        client->used = 0;
        if (protocol_read_request(client->request, size, &request, &e) < 0)
            answer_error(client, &e);
        else
            handler(arg, client, &request);
    } else if (client->used == sizeof(client->request)) {
        drop(client);
    }
}

void control_serve(struct control *c, control_handler *handler, void *arg)
{
    struct epoll_event events[MAX_CLIENTS + 1];
    int count = epoll_wait(c->epoll, events, MAX_CLIENTS + 1, 0);

    bool has_new = false;

    for (int i = 0; i < count; i++) {
        struct control_client *client = events[i].data.ptr;

        if (!client)
            has_new = true;
        else if (client->fd >= 0)
            read_client(client, handler, arg);
    }
    if (has_new)
        accept_all(c);
}

void control_queue(struct control_client *client, bool stop)
{
    client->state = QUEUED;
    client->stop = stop;
}

bool control_is_queued(const struct control *c, bool *stop)
{
    bool queued = false;

    *stop = false;
    for (int i = 0; i < MAX_CLIENTS; i++) {
        const struct control_client *client = &c->clients[i];

        if (client->fd < 0 || client->state != QUEUED)
            continue;
        queued = true;
        *stop |= client->stop;
    }
    return queued;
}

bool control_begin(struct control *c)
{
    bool any = false;

    for (int i = 0; i < MAX_CLIENTS; i++)
        if (c->clients[i].fd >= 0 && c->clients[i].state == QUEUED) {
            c->clients[i].state = SERVED;
            any = true;
        }
    return any;
}

void control_progress(struct control *c, uint64_t bytes, uint64_t total_bytes)
{
    char line[PROTOCOL_LINE_MAX];
    size_t size = protocol_write_progress(bytes, total_bytes, line);

    for (int i = 0; i < MAX_CLIENTS; i++) {
        struct control_client *client = &c->clients[i];

        if (client->fd >= 0 && client->state == SERVED && has_read_all(client))
            send_line(client, line, size);
    }
}

void control_finish(struct control *c, const char *line, size_t size)
{
    for (int i = 0; i < MAX_CLIENTS; i++)
        if (c->clients[i].fd >= 0 && c->clients[i].state == SERVED)
            control_answer(&c->clients[i], line, size);
}

void control_refuse_all(struct control *c, const struct err *error)
{
    for (int i = 0; i < MAX_CLIENTS; i++)
        if (c->clients[i].fd >= 0 && c->clients[i].state != READING)
            answer_error(&c->clients[i], error);
}
