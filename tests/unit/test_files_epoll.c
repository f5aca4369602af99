/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Epoll instances are saved and restored with what they watch. */
#include "files_scenario.h"
#include "tap.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void watch(int epoll, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        abort();
}

static void set_up_epoll(void)
{
    int extra;

    put(A, epoll_create1(0));
    put(B, eventfd(1, 0));
    put(C, eventfd(0, 0));
    watch(A, B, EPOLLIN, 0x1122334455667788);
    watch(A, C, EPOLLIN | EPOLLET, 2);
    put(D, epoll_create1(0));
    watch(D, A, EPOLLIN, 3);
    /* An entry whose number is gone, while the description lives on. */
    extra = dup(C);
    watch(D, extra, EPOLLOUT, 4);
    close(extra);
}

static void check_epoll(int process)
{
    struct epoll_event events[4];
    uint64_t seen = 0;

    CHECK_INT(epoll_wait(A, events, 4, 0), 1);
    CHECK(events[0].data.u64 == 0x1122334455667788);
    CHECK_INT(epoll_wait(D, events, 4, 0), 2);
    seen = events[0].data.u64 * 10 + events[1].data.u64;
    CHECK(seen == 34 || seen == 43);
    CHECK_INT(eventfd_write(C, 1), 0);
    CHECK_INT(epoll_wait(A, events, 4, 0), 2);
    CHECK_INT(epoll_wait(A, events, 4, 0), 1);
    CHECK_INT(epoll_ctl(A, EPOLL_CTL_DEL, B, NULL), 0);
    CHECK_INT(epoll_wait(A, events, 4, 0), 0);
}

static void epoll_watches_what_it_watched(void)
{
    run_twice(set_up_epoll, check_epoll);
}

static void set_up_shared_epoll(void)
{
    put(A, epoll_create1(0));
    put(B, eventfd(0, 0));
    put(C, eventfd(0, 0));
    watch(A, B, EPOLLIN, 5);
    if (scenario_fork() == 0) {
        put(B, eventfd(0, 0)); /* the number means something else here */
        scenario_stop();
    }
}

static void check_shared_epoll(int process)
{
    struct epoll_event event;
    eventfd_t seen;

    if (process == 1) {
        CHECK_INT(epoll_wait(A, &event, 1, 20000), 1);
        CHECK_INT(event.data.u64, 5);
        CHECK_INT(eventfd_write(C, 1), 0);
    } else {
        CHECK_INT(eventfd_write(B, 1), 0);
        /* What nobody has open any more is not watched any more. */
        CHECK_INT(eventfd_read(C, &seen), 0);
    }
}

static void an_epoll_instance_may_be_shared(void)
{
    run_twice(set_up_shared_epoll, check_shared_epoll);
}

int main(void)
{
    RUN(epoll_watches_what_it_watched);
    RUN(an_epoll_instance_may_be_shared);
    return tap_done();
}
