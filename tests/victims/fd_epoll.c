/* SPDX-License-Identifier: GPL-3.0-or-later */
/* epoll: data, level and edge, one-shot, a closed duplicate, epoll in epoll, waiting.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "victim.h"

static void add(int ep, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event ev = {.events = events, .data.u64 = data};

    NEED(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0);
}

/* The events of `ep` now, by data; 0 for an entry that is not ready. */
static uint32_t ready(int ep, uint64_t data)
{
    struct epoll_event evs[8];
    int n;

    do
        n = epoll_wait(ep, evs, 8, 0);
    while (n < 0 && errno == EINTR);
    for (int i = 0; i < n; i++)
        if (evs[i].data.u64 == data)
            return evs[i].events;
    return 0;
}

int main(void)
{
    int ep = epoll_create1(EPOLL_CLOEXEC), once = epoll_create1(0),
        outer = epoll_create1(0);
    int edge = epoll_create1(0), quiet[2], data[2], edged[2],
        ev = eventfd(1, EFD_NONBLOCK);
    struct epoll_event change = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 9};
    char buf[16];

    NEED(ep >= 0 && once >= 0 && outer >= 0 && edge >= 0 && ev >= 0);
    NEED(pipe(quiet) == 0 && pipe(data) == 0 && pipe(edged) == 0);
    NEED(write(data[1], "abc", 3) == 3);
    add(ep, quiet[0], EPOLLIN, 0x1122334455667788ULL);
    add(ep, data[0], EPOLLIN, 2);
    add(once, ev, EPOLLIN | EPOLLONESHOT, 9);
    add(outer, ep, EPOLLIN, 4);
    add(edge, edged[0], EPOLLIN | EPOLLET, 5);
    NEED(ready(once, 9) == EPOLLIN);
    NEED(write(edged[1], "x", 1) == 1);
    NEED(ready(edge, 5) == EPOLLIN);
    NEED(ready(edge, 5) == 0);
    victim_wait();
    CHECK_INT("level: ready", ready(ep, 2), EPOLLIN);
    CHECK_INT("quiet: not ready", ready(ep, 0x1122334455667788ULL), 0);
    NEED(write(quiet[1], "y", 1) == 1);
    CHECK_INT("then ready, with its data", ready(ep, 0x1122334455667788ULL), EPOLLIN);
    CHECK_INT("one-shot: not again", ready(once, 9), 0);
    NEED(epoll_ctl(once, EPOLL_CTL_MOD, ev, &change) == 0);
    CHECK_INT("until armed", ready(once, 9), EPOLLIN);
    CHECK_INT("epoll in epoll", ready(outer, 4), EPOLLIN);
    NEED(read(edged[0], buf, sizeof(buf)) == 1);
    /* A restart may show the old edge once more: a spurious event is allowed, a lost
     * not. */
    ready(edge, 5);
    CHECK_INT("edge: no new event", ready(edge, 5), 0);
    NEED(write(edged[1], "z", 1) == 1);
    CHECK_INT("edge: the next event", ready(edge, 5), EPOLLIN);
    CHECK_INT("and only once", ready(edge, 5), 0);
    CHECK("remove", epoll_ctl(ep, EPOLL_CTL_DEL, data[0], NULL) == 0);
    CHECK("a second entry for the same is refused",
          epoll_ctl(ep, EPOLL_CTL_ADD, quiet[0], &change) < 0 && errno == EEXIST);
    return victim_end();
}
