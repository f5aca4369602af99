/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/porch.h"

#include "base/scope.h"
#include "dmtcp/hello.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void porch_init(struct porch *p)
{
    p->n = 0;
    p->knock = -1;
}

bool porch_is_full(const struct porch *p)
{
    return p->n == PORCH_MAX;
}

void porch_add(struct porch *p, int *fd, const struct sockaddr_in *address,
               long long now_ms)
{
    const int whole = HELLO_SIZE;

    /* poll(2) then tells of a whole message, or of the end, and of nothing less. */
    setsockopt(*fd, SOL_SOCKET, SO_RCVLOWAT, &whole, sizeof(whole));
    p->guest[p->n++] = (struct porch_guest){
        .fd = take_fd(fd), .address = *address, .until_ms = now_ms + PORCH_WAIT_MS};
}

static int leave(struct porch *p, int i, struct sockaddr_in *address)
{
    int fd = p->guest[i].fd;

    *address = p->guest[i].address;
    memmove(&p->guest[i], &p->guest[i + 1],
            (size_t)(p->n - i - 1) * sizeof(p->guest[0]));
    p->n--;
    return fd;
}

int porch_take(struct porch *p, struct sockaddr_in *address)
{
    const int any = 1;

    for (int i = 0; i < p->n; i++)
        if (p->guest[i].is_ready) {
            int fd = leave(p, i, address);

            setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &any, sizeof(any));
            return fd;
        }
    return -1;
}

bool porch_is_knock(struct porch *p, const struct sockaddr_in *address)
{
    if (p->knock < 0 || address->sin_port != p->knocker.sin_port ||
        address->sin_addr.s_addr != p->knocker.sin_addr.s_addr)
        return false;
    close(take_fd(&p->knock));
    return true;
}

int porch_poll(const struct porch *p, struct pollfd *fds, long long now_ms,
               int *timeout_ms)
{
    *timeout_ms = -1;
    for (int i = 0; i < p->n; i++) {
        long long left = p->guest[i].until_ms - now_ms;

        fds[i] = (struct pollfd){p->guest[i].is_ready ? -1 : p->guest[i].fd, POLLIN, 0};
        if (p->guest[i].is_ready)
            continue;
        if (left < 0)
            left = 0;
        if (*timeout_ms < 0 || left < *timeout_ms)
            *timeout_ms = (int)left;
    }
    return p->n;
}

/* One that is under way will do for all. When it cannot be made, the next who connects
 * has the coordinator ask too. */
static void knock(struct porch *p, const struct sockaddr_in *listener)
{
    struct sockaddr_in to = *listener;
    socklen_t size = sizeof(p->knocker);
    auto_fd int fd = -1;

    if (p->knock >= 0)
        return;
    if (to.sin_addr.s_addr == htonl(INADDR_ANY))
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* The kernel answers: it does not wait for the accept. */
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
        getsockname(fd, (struct sockaddr *)&p->knocker, &size) == 0)
        p->knock = take_fd(&fd);
}

bool porch_look(struct porch *p, const struct sockaddr_in *listener, long long now_ms,
                int *fd, struct sockaddr_in *address)
{
    bool somebody = false;

    for (int i = 0; i < p->n; i++) {
        struct porch_guest *g = &p->guest[i];
        enum hello_state state = g->is_ready ? HELLO_WHOLE : hello_look(g->fd);

        if (state == HELLO_FOREIGN ||
            (state == HELLO_AWAITED && now_ms >= g->until_ms)) {
            *fd = leave(p, i, address);
            return true;
        }
        g->is_ready = state == HELLO_WHOLE;
        somebody = somebody || g->is_ready;
    }
    if (somebody)
        knock(p, listener);
    return false;
}
