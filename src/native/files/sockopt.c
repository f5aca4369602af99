/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/codec.h"
#include "image/image.h"
#include "native/files/kind.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72 /* since Linux 5.14 */
#endif

enum { BUF_LOCK_SEND = 1, BUF_LOCK_RECEIVE = 2, VALUE_MAX = 64 };

enum buffer { NOT_A_BUFFER, SEND_BUFFER, RECEIVE_BUFFER };

static const struct option {
    int level, name;
    enum buffer buffer;
} options[] = {
    {SOL_SOCKET, SO_SNDBUF, SEND_BUFFER},
    {SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER},
    {SOL_SOCKET, SO_KEEPALIVE},
    {SOL_SOCKET, SO_REUSEADDR},
    {SOL_SOCKET, SO_REUSEPORT},
    {SOL_SOCKET, SO_BROADCAST},
    {SOL_SOCKET, SO_OOBINLINE},
    {SOL_SOCKET, SO_LINGER},
    {SOL_SOCKET, SO_RCVTIMEO},
    {SOL_SOCKET, SO_SNDTIMEO},
    {SOL_SOCKET, SO_RCVLOWAT},
    {SOL_SOCKET, SO_PRIORITY},
    {SOL_SOCKET, SO_PASSCRED},
    {SOL_SOCKET, SO_TIMESTAMP},
    {SOL_SOCKET, SO_DONTROUTE},
    {IPPROTO_IP, IP_TOS},
    {IPPROTO_IP, IP_TTL},
    {IPPROTO_IP, IP_MULTICAST_TTL},
    {IPPROTO_IP, IP_MULTICAST_LOOP},
    {IPPROTO_IP, IP_PKTINFO},
    {IPPROTO_IPV6, IPV6_V6ONLY},
    {IPPROTO_IPV6, IPV6_TCLASS},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO},
    {IPPROTO_TCP, TCP_NODELAY},
    {IPPROTO_TCP, TCP_CORK},
    {IPPROTO_TCP, TCP_KEEPIDLE},
    {IPPROTO_TCP, TCP_KEEPINTVL},
    {IPPROTO_TCP, TCP_KEEPCNT},
    {IPPROTO_TCP, TCP_USER_TIMEOUT},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT},
    {IPPROTO_TCP, TCP_LINGER2},
};

static bool applies(const struct option *o, int domain, int type)
{
    if (o->level == IPPROTO_IP)
        return domain == AF_INET;
    if (o->level == IPPROTO_IPV6)
        return domain == AF_INET6;
    if (o->level == IPPROTO_TCP)
        return (domain == AF_INET || domain == AF_INET6) && type == SOCK_STREAM;
    return true;
}

/* A size that the kernel chooses must stay the kernel's choice. */
static bool is_chosen(int sock, int domain, enum buffer buffer)
{
    int locks = 0;
    socklen_t size = sizeof(locks);

    if (buffer == NOT_A_BUFFER)
        return true;
    if (getsockopt(sock, SOL_SOCKET, SO_BUF_LOCK, &locks, &size) < 0)
        return domain == AF_UNIX;
    return locks & (buffer == SEND_BUFFER ? BUF_LOCK_SEND : BUF_LOCK_RECEIVE);
}

void files_sockopt_encode(struct enc *c, int sock, int domain, int type)
{
    struct enc list = {0};
    uint32_t n = 0;

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        const struct option *o = &options[i];
        char value[VALUE_MAX];
        socklen_t size = sizeof(value);

        if (!applies(o, domain, type) || !is_chosen(sock, domain, o->buffer) ||
            getsockopt(sock, o->level, o->name, value, &size) < 0)
            continue;
        enc_u32(&list, o->level);
        enc_u32(&list, o->name);
        enc_bytes(&list, value, size);
        n++;
    }
    c->failed |= list.failed;
    enc_u32(c, n);
    enc_raw(c, list.data, list.size);
    enc_free(&list);
}

static const struct option *find(int level, int name)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        if (options[i].level == level && options[i].name == name)
            return &options[i];
    return NULL;
}

/* What the new host does not allow stays as it is there. */
static void apply(int sock, const struct option *o, const void *value, socklen_t size)
{
    char now[VALUE_MAX];
    socklen_t now_size = sizeof(now);
    int buffer_size;

    if (getsockopt(sock, o->level, o->name, now, &now_size) == 0 && now_size == size &&
        memcmp(now, value, size) == 0)
        return;
    if (o->buffer != NOT_A_BUFFER && size == sizeof(buffer_size)) {
        /* The kernel doubles what is set and shows that (socket(7)). */
        memcpy(&buffer_size, value, size);
        buffer_size /= 2;
        setsockopt(sock, o->level, o->name, &buffer_size, sizeof(buffer_size));
        return;
    }
    setsockopt(sock, o->level, o->name, value, size);
}

int files_sockopt_decode(struct dec *d, int sock)
{
    uint32_t n = dec_u32(d);

    for (uint32_t i = 0; i < n && !d->failed; i++) {
        int level = dec_u32(d), name = dec_u32(d);
        size_t size;
        const void *value = dec_bytes(d, &size);
        const struct option *o = find(level, name);

        if (d->failed || size > VALUE_MAX || !o) {
            d->failed = true;
            break;
        }
        if (sock >= 0)
            apply(sock, o, value, size);
    }
    return d->failed ? -1 : 0;
}
