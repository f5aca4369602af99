/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Unix sockets. Pairs inside the job are made again with what waits in them;
 * connections that leave the job come back as closed by the peer; names are taken at
 * the last moment.
 */
#include "base/err.h"
#include "base/log.h"
#include "base/scope.h"
#include "image/codec.h"
#include "native/files/kind.h"
#include "native/files/unix_name.h"

#include <linux/sockios.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum unix_state {
    UNIX_ALONE = 1, /* connected to nothing */
    UNIX_LISTEN,
    UNIX_PAIR,  /* with `peer`, which is in the job and has this as its peer */
    UNIX_CUT,   /* the peer is gone, or outside the job */
    UNIX_SENDS, /* datagrams, to `peer` if that is in the job, else to `remote` */
    UNIX_WAITS, /* for the listener `peer`, which is in the job, to accept it */
};

enum { SHUT_RECEIVE = 1, SHUT_SEND = 2 };

/* What `detail` holds. */
struct unix_socket {
    uint32_t type, state;
    uint32_t peer; /* index of a file, or IMAGE_NONE */
    uint32_t shut, backlog;
    struct unix_name name, remote;
    struct files_queue queue;
    /* while saving */
    uint64_t peer_ino;
    bool established, has_sent;
    /* while restoring: where the options are in `detail` */
    size_t options_at;
};

static void clear(struct unix_socket *u)
{
    unix_name_free(&u->name);
    unix_name_free(&u->remote);
    files_queue_free(&u->queue);
}
#define auto_socket __attribute__((cleanup(clear)))

static void forget(void *notes)
{
    clear(notes);
    free(notes);
}

/* ---- saving ---- */

static int get_int(int sock, int name)
{
    int value = 0;
    socklen_t size = sizeof(value);

    return getsockopt(sock, SOL_SOCKET, name, &value, &size) < 0 ? -1 : value;
}

static int save(struct files_save *s, const struct found *f, uint32_t index,
                struct err *e)
{
    struct saved *known = &s->files[index];
    struct unix_socket *u = calloc(1, sizeof(*u));
    struct unix_diag diag;
    int unread = 0;

    if (!u)
        return err_sys(e, "a unix socket");
    known->notes = u;
    u->type = get_int(known->copy, SO_TYPE);
    if (unix_diag_query(&s->diag, f->st.st_ino, &diag, e) < 0)
        return err_wrap(e, "process %d descriptor %d", f->pid, f->fd);
    u->peer_ino = diag.peer_ino;
    u->shut = diag.shut;
    u->backlog = diag.backlog;
    u->has_sent = ioctl(known->copy, SIOCOUTQ, &unread) == 0 && unread > 0;
    /* A datagram socket that others send to is called established, too. */
    u->established =
        u->type == SOCK_DGRAM ? unix_name_has_peer(known->copy) : diag.established;
    if (get_int(known->copy, SO_ACCEPTCONN) > 0)
        u->state = UNIX_LISTEN;
    if (unix_name_read(&u->name, known->copy, false, f->host_pid, e) < 0 ||
        unix_name_read(&u->remote, known->copy, true, f->host_pid, e) < 0)
        return err_wrap(e, "process %d descriptor %d", f->pid, f->fd);
    /* Nothing can wait in a socket that was never connected. */
    if (u->state == UNIX_LISTEN || (u->type != SOCK_DGRAM && !u->established))
        return 0;
    return files_queue_peek(&u->queue, known->copy, u->type, known, e);
}

static uint32_t find_peer(const struct files_save *s, uint32_t index)
{
    const struct unix_socket *u = s->files[index].notes;
    uint32_t at, n;

    if (u->peer_ino == 0)
        return IMAGE_NONE;
    n = files_save_find(s, s->files[index].dev, u->peer_ino, &at);
    if (n == 0 || s->img->files[s->order[at]].kind != IMAGE_FILE_UNIX)
        return IMAGE_NONE;
    return s->order[at];
}

/* The listener of the job that has not accepted this connection yet: its other end has
 * no descriptor, and has not been closed either. */
static uint32_t find_listener(const struct files_save *s, const struct unix_socket *u)
{
    if (u->type == SOCK_DGRAM || u->peer_ino || u->shut == (SHUT_RECEIVE | SHUT_SEND))
        return IMAGE_NONE;
    for (uint32_t i = 0; i < s->n_files; i++) {
        const struct unix_socket *other = s->files[i].notes;

        if (s->img->files[i].kind == IMAGE_FILE_UNIX && other->state == UNIX_LISTEN &&
            unix_name_is(&other->name, &u->remote))
            return i;
    }
    return IMAGE_NONE;
}

static void find_state(const struct files_save *s, uint32_t index)
{
    struct unix_socket *u = s->files[index].notes;
    const struct unix_socket *peer;

    u->peer = IMAGE_NONE;
    if (u->state == UNIX_LISTEN)
        return;
    if (!u->established) {
        u->state = UNIX_ALONE;
        return;
    }
    u->peer = find_peer(s, index);
    peer = u->peer == IMAGE_NONE ? NULL : s->files[u->peer].notes;
    if (!peer && find_listener(s, u) != IMAGE_NONE) {
        u->state = UNIX_WAITS;
        u->peer = find_listener(s, u);
        return;
    }
    if (peer && u->peer != index && peer->peer_ino == s->files[index].ino)
        u->state = UNIX_PAIR;
    else if (u->type == SOCK_DGRAM && u->remote.size)
        u->state = UNIX_SENDS;
    else
        u->state = UNIX_CUT;
    if (u->state == UNIX_CUT)
        u->peer = IMAGE_NONE;
}

static bool has_empty(const struct files_queue *q)
{
    for (uint32_t i = 0; i < q->n_messages; i++)
        if (q->messages[i].size == 0)
            return true;
    return false;
}

/* The kernel shows an empty message to MSG_PEEK with an offset only once (skb->peeked).
 * So that the next checkpoint sees it, too, the messages are taken and sent again. */
static int renew(struct files_save *s, uint32_t index, struct err *e)
{
    const struct saved *known = &s->files[index];
    const struct unix_socket *u = known->notes;
    char byte;

    if (u->state != UNIX_PAIR)
        return files_refuse_now(known, e,
                                "a socket in which an empty message waits: try again "
                                "when it has been read");
    for (uint32_t i = 0; i < u->queue.n_messages; i++)
        recv(known->copy, &byte, 1, MSG_DONTWAIT);
    return files_queue_fill(&u->queue, s->files[u->peer].copy, FILES_FILL_SOCKET, e);
}

static int pair(struct files_save *s, uint32_t index, struct err *e)
{
    struct unix_socket *u = s->files[index].notes;
    struct enc c = {0};

    find_state(s, index);
    if (u->state == UNIX_WAITS && u->has_sent)
        return files_refuse_now(&s->files[index], e,
                                "a connection that has sent something and was not "
                                "accepted yet: try again when it was");
    if (has_empty(&u->queue) && renew(s, index, e) < 0)
        return -1;
    enc_u32(&c, u->type);
    enc_u32(&c, u->state);
    enc_u32(&c, u->peer);
    enc_u32(&c, u->shut);
    enc_u32(&c, u->backlog);
    unix_name_encode(&c, &u->name);
    unix_name_encode(&c, &u->remote);
    files_queue_encode(&c, &u->queue);
    files_sockopt_encode(&c, s->files[index].copy, AF_UNIX, u->type);
    return enc_blob(&c, &s->img->files[index].detail, e);
}

/* ---- restoring ---- */

static int decode(const struct image_file *file, struct unix_socket *u, struct err *e)
{
    struct dec d = {.data = file->detail.data, .size = file->detail.size};

    *u = (struct unix_socket){.type = dec_u32(&d), .state = dec_u32(&d)};
    u->peer = dec_u32(&d);
    u->shut = dec_u32(&d);
    u->backlog = dec_u32(&d);
    if (unix_name_decode(&d, &u->name) < 0 || unix_name_decode(&d, &u->remote) < 0 ||
        files_queue_decode(&d, &u->queue) < 0)
        d.failed = true;
    u->options_at = d.pos;
    files_sockopt_decode(&d, -1);
    if (u->type != SOCK_STREAM && u->type != SOCK_DGRAM && u->type != SOCK_SEQPACKET)
        d.failed = true;
    if (u->state < UNIX_ALONE || u->state > UNIX_WAITS)
        d.failed = true;
    if (dec_end(&d, "unix socket", e) == 0)
        return 0;
    clear(u);
    return err_set(e, ERR_CORRUPT, "the record of a unix socket is damaged");
}

static void set_options(const struct image_file *file, const struct unix_socket *u,
                        int sock)
{
    struct dec d = {
        .data = file->detail.data, .size = file->detail.size, .pos = u->options_at};

    files_sockopt_decode(&d, sock);
}

static int check_peer(const struct files_restore *r, uint32_t index,
                      const struct unix_socket *u, struct err *e)
{
    auto_socket struct unix_socket peer = {0};
    bool mutual;

    if (u->state != UNIX_PAIR && u->state != UNIX_WAITS && u->peer == IMAGE_NONE)
        return 0;
    if (u->peer >= r->img->n_files || r->img->files[u->peer].kind != IMAGE_FILE_UNIX)
        return err_set(e, ERR_CORRUPT, "the peer of a unix socket is missing");
    if (u->state != UNIX_PAIR && u->state != UNIX_WAITS)
        return 0;
    if (decode(&r->img->files[u->peer], &peer, e) < 0)
        return -1;
    if (u->state == UNIX_WAITS)
        mutual = peer.state == UNIX_LISTEN && peer.type == u->type;
    else
        mutual = peer.peer == index && peer.state == UNIX_PAIR &&
                 peer.type == u->type && u->peer != index;
    return mutual ? 0
                  : err_set(e, ERR_CORRUPT, "the peer of a unix socket has another");
}

static int check(const struct files_restore *r, uint32_t index, struct err *e)
{
    auto_socket struct unix_socket u = {0};

    if (decode(&r->img->files[index], &u, e) < 0)
        return -1;
    return check_peer(r, index, &u, e);
}

static int shut(int sock, uint32_t bits, struct err *e)
{
    static const int how[] = {
        [SHUT_RECEIVE] = SHUT_RD,
        [SHUT_SEND] = SHUT_WR,
        [SHUT_RECEIVE | SHUT_SEND] = SHUT_RDWR,
    };

    bits &= SHUT_RECEIVE | SHUT_SEND;
    if (bits && shutdown(sock, how[bits]) < 0)
        return err_sys(e, "shut a unix socket down");
    return 0;
}

/* Both ends of a pair. `p` is the peer's record. */
static int open_pair(struct files_restore *r, uint32_t index,
                     const struct unix_socket *u, const struct unix_socket *p,
                     struct err *e)
{
    const struct image_file *files = r->img->files;
    int ends[2];

    if (socketpair(AF_UNIX, u->type | SOCK_CLOEXEC, 0, ends) < 0)
        return err_sys(e, "a pair of unix sockets");
    auto_fd int mine = ends[0];
    auto_fd int theirs = ends[1];
    set_options(&files[index], u, mine);
    set_options(&files[u->peer], p, theirs);
    if (files_queue_fill(&u->queue, theirs, FILES_FILL_SOCKET, e) < 0 ||
        files_queue_fill(&p->queue, mine, FILES_FILL_SOCKET, e) < 0 ||
        shut(mine, u->shut, e) < 0 || shut(theirs, p->shut, e) < 0)
        return -1;
    if (files_pool_put(r, index, &mine, e) < 0)
        return -1;
    return files_pool_put(r, u->peer, &theirs, e);
}

static int open_cut(struct files_restore *r, uint32_t index,
                    const struct unix_socket *u, struct err *e)
{
    int ends[2];

    if (socketpair(AF_UNIX, u->type | SOCK_CLOEXEC, 0, ends) < 0)
        return err_sys(e, "a pair of unix sockets");
    auto_fd int mine = ends[0];
    auto_fd int theirs = ends[1];
    set_options(&r->img->files[index], u, mine);
    if (files_queue_fill(&u->queue, theirs, FILES_FILL_SOCKET, e) < 0)
        return -1;
    return files_pool_put(r, index, &mine, e);
}

static int open_state(struct files_restore *r, uint32_t index,
                      const struct unix_socket *u, struct err *e)
{
    auto_socket struct unix_socket peer = {0};
    auto_fd int sock = -1;

    switch (u->state) {
    case UNIX_PAIR:
        if (decode(&r->img->files[u->peer], &peer, e) < 0)
            return -1;
        return open_pair(r, index, u, &peer, e);
    case UNIX_CUT:
        return open_cut(r, index, u, e);
    default:
        sock = socket(AF_UNIX, u->type | SOCK_CLOEXEC, 0);
        if (sock < 0)
            return err_sys(e, "a unix socket");
        set_options(&r->img->files[index], u, sock);
        return files_pool_put(r, index, &sock, e);
    }
}

static int open_file(struct files_restore *r, uint32_t index, struct err *e)
{
    auto_socket struct unix_socket u = {0};

    if (decode(&r->img->files[index], &u, e) < 0)
        return -1;
    return open_state(r, index, &u, e);
}

/* Whether a socket of this state has a name of its own; one that accept(2) returned
 * has its listener's. */
static bool owns_name(const struct unix_socket *u)
{
    return u->type == SOCK_DGRAM || u->state == UNIX_LISTEN || u->state == UNIX_ALONE;
}

/* Datagrams that wait in a socket that is no pair's: sent to its name. */
static int fill_named(int sock, const struct unix_socket *u, struct err *e)
{
    auto_fd int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (u->queue.n_messages == 0)
        return 0;
    if (sender < 0 || unix_name_connect_back(sender, sock) < 0)
        return err_sys(e, "put back what waits in a unix socket");
    return files_queue_fill(&u->queue, sender, FILES_FILL_SOCKET, e);
}

static int take_name(const struct files_restore *r, uint32_t index,
                     const struct unix_socket *u, struct err *e)
{
    int sock = r->pool[index];

    if (!owns_name(u) || (u->name.size == 0 && u->state != UNIX_LISTEN) ||
        unix_name_is_bound(sock))
        return 0;
    if (unix_name_bind(&u->name, sock, u->type, e) < 0)
        return -1;
    if (u->state == UNIX_LISTEN && listen(sock, u->backlog) < 0)
        return err_sys(e, "listen on a unix socket");
    if (u->state == UNIX_ALONE || u->state == UNIX_SENDS)
        return fill_named(sock, u, e);
    return 0;
}

/* What it sends to must have its name first. */
static int connect_again(const struct files_restore *r, uint32_t index,
                         const struct unix_socket *u, struct err *e)
{
    auto_socket struct unix_socket target = {0};

    if (u->peer != IMAGE_NONE && (decode(&r->img->files[u->peer], &target, e) < 0 ||
                                  take_name(r, u->peer, &target, e) < 0))
        return -1;
    if (unix_name_connect(&u->remote, r->pool[index]) < 0)
        log_warning("nobody receives any more what a unix socket of the job sends to "
                    "%s: %m",
                    unix_name_text(&u->remote));
    return 0;
}

static int commit(const struct files_restore *r, uint32_t index, struct err *e)
{
    auto_socket struct unix_socket u = {0};

    if (decode(&r->img->files[index], &u, e) < 0 || take_name(r, index, &u, e) < 0)
        return -1;
    if (u.state == UNIX_SENDS || u.state == UNIX_WAITS)
        return connect_again(r, index, &u, e);
    return 0;
}

const struct file_kind file_kind_unix = {
    .name = "a unix socket",
    .save = save,
    .pair = pair,
    .forget = forget,
    .check = check,
    .make = open_file,
    .commit = commit,
};
