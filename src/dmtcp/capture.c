/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/capture.h"

#include "base/err.h"
#include "base/fault.h"
#include "base/scope.h"
#include "base/str.h"
#include "dmtcp/command.h"
#include "dmtcp/ready.h"
#include "dmtcp/record.h"
#include "dmtcp/session.h"
#include "dmtcp/sums.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { HOPELESS = 10 }; /* times the time-out */
enum { LOOK_MS = 250, COMPRESSOR_MS = 10 };

struct capture {
    struct session *session;
    struct capture_how how;
    enum {
        CAPTURE_ASKED,  /* the job stops and writes */
        CAPTURE_SUMS,   /* everything is written; a child makes the sums */
        CAPTURE_DONE,   /* it has */
        CAPTURE_FAILED, /* see `failure` */
    } state;
    bool is_held;    /* the job stands still, and door_release would let it go */
    bool is_overdue; /* failed, but DMTCP has not answered yet */
    struct err failure;
    int epoll, timer;
    uint64_t asked_us, grown_us, grown_bytes, total_bytes;
    struct record record;
    struct command_list workers; /* when the job was asked */
    struct sums sums;
    struct capture_stats stats;
};

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * UINT64_C(1000000) + t.tv_nsec / 1000;
}

/* ---- beginning ---- */

static int watch(struct capture *c, int fd, struct err *e)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return err_sys(e, "watch a checkpoint");
    return 0;
}

static int watch_all(struct capture *c, struct err *e)
{
    const struct itimerspec often = {.it_interval.tv_nsec = LOOK_MS * 1000000,
                                     .it_value.tv_nsec = LOOK_MS * 1000000};

    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (c->epoll < 0 || c->timer < 0 || timerfd_settime(c->timer, 0, &often, NULL) < 0)
        return err_sys(e, "watch a checkpoint");
    return watch(c, c->timer, e) < 0 ? -1 : watch(c, door_fd(c->session->door), e);
}

static struct capture *capture_new(struct session *s, const struct capture_how *how,
                                   struct err *e)
{
    struct capture *c = calloc(1, sizeof(*c));

    if (!c) {
        err_sys(e, "a checkpoint");
        return NULL;
    }
    c->session = s;
    c->how = *how;
    c->epoll = c->timer = c->sums.fd = -1;
    return c;
}

static int prepare(struct capture *c, struct err *e)
{
    struct session *s = c->session;
    struct ready ready;

    /* A process that has not come to rename its image yet would end without it. */
    if (watch_all(c, e) < 0 || ready_wait_running(s, c->how.timeout_s, e) < 0 ||
        session_clear_images(s, true, e) < 0 ||
        ready_for_checkpoint(s, c->how.timeout_s, &ready, e) < 0)
        return -1;
    memcpy(c->record.root, ready.root, sizeof(c->record.root));
    c->workers = ready.workers;
    c->total_bytes = ready.image_bytes;
    c->record.gzip = c->how.gzip;
    c->record.major = s->in.major;
    c->record.minor = s->in.minor;
    return str_format(c->record.directory, sizeof(c->record.directory), e, "%s",
                      s->images);
}

struct capture *capture_begin(struct session *s, const struct capture_how *how,
                              struct err *e)
{
    struct capture *c = capture_new(s, how, e);

    if (!c)
        return NULL;
    if (prepare(c, e) < 0 || command_checkpoint(&s->in, door_port(s->door), e) < 0) {
        capture_end(c);
        return NULL;
    }
    c->asked_us = c->grown_us = now_us();
    fault_point("dmtcp-asked");
    return c;
}

int capture_fd(const struct capture *c)
{
    return c->epoll;
}

/* ---- when everything is written ---- */

static void let_go(struct capture *c)
{
    struct err gone = {0};

    if (!c->is_held)
        return;
    c->is_held = false;
    /* It can only have ended, and DOOR_CLOSED tells that. */
    door_release(c->session->door, &gone);
}

static void fail(struct capture *c, const struct err *why)
{
    c->failure = *why;
    c->state = CAPTURE_FAILED;
    if (!c->how.stop)
        let_go(c);
}

/* The compressors are children of ours by now: DMTCP gives them no parent. */
static int wait_for_compressors(struct capture *c, struct err *e)
{
    for (;;) {
        auto_processes struct processes all = {0};
        uint64_t bytes = images_growth(c->session->images_fd);

        if (session_processes(c->session, &all, e) < 0)
            return -1;
        if (!images_is_written(c->session->images, &all))
            return 0;
        if (bytes != c->grown_bytes) {
            c->grown_bytes = bytes;
            c->grown_us = now_us();
        }
        if (now_us() - c->grown_us > c->how.timeout_s * UINT64_C(1000000))
            return err_set(e, ERR_TIMEOUT, "gzip does not get on for %u s",
                           c->how.timeout_s);
        poll(NULL, 0, COMPRESSOR_MS);
    }
}

/* The first part of a process's id is its host's. */
static bool is_of_same_host(const char *a, const char *b)
{
    size_t n = strcspn(a, "-");

    return strncmp(a, b, n + 1) == 0;
}

/* Not every process was there when the job was asked, but its host was. */
static int find_host(const struct capture *c, struct image *image, struct err *e)
{
    const char *host = NULL;

    for (size_t i = 0; i < c->workers.n; i++) {
        const struct command_worker *w = &c->workers.worker[i];

        if (!is_of_same_host(w->unique, image->unique))
            continue;
        if (host && strcmp(host, w->host) != 0)
            return err_set(e, ERR_REFUSED,
                           "hosts %s and %s have the same host id (gethostid(3)), by "
                           "which DMTCP tells processes apart: give each its own "
                           "/etc/hostid",
                           host, w->host);
        host = w->host;
    }
    if (!host)
        return err_set(e, ERR_REFUSED,
                       "%s is of a host on which nothing ran when the job was asked",
                       image->name);
    return str_format(image->host, sizeof(image->host), e, "%s", host);
}

static size_t count_images(const struct images *set, const char *host)
{
    size_t n = 0;

    for (size_t i = 0; i < set->n; i++)
        n += strcmp(set->image[i].host, host) == 0;
    return n;
}

static int differs(size_t processes, size_t images, const char *where, struct err *e)
{
    return err_set(e, ERR_REFUSED,
                   "the job has %zu processes%s, but DMTCP has written %zu images: one "
                   "has ended meanwhile, or is not under DMTCP",
                   processes, where, images);
}

/* The same for each host of a job that has several. */
static int check_hosts(struct capture *c, size_t live, struct err *e)
{
    struct images *set = &c->record.images;
    const char *here = NULL;
    size_t total = live;

    for (size_t i = 0; i < set->n; i++) {
        if (find_host(c, &set->image[i], e) < 0)
            return -1;
        if (strcmp(set->image[i].unique, c->record.root) == 0)
            here = set->image[i].host;
    }
    if (!here)
        return err_set(e, ERR_REFUSED, "the job's first process has not been written");
    if (count_images(set, here) != live)
        return differs(live, count_images(set, here), " on this host", e);
    for (size_t i = 0; i < c->session->links.n; i++) {
        struct link *link = &c->session->links.link[i];
        struct links_count count;
        char where[300];

        if (ready_count_part(link, &count, e) < 0)
            return -1;
        snprintf(where, sizeof(where), " on host %s", link->host);
        if (count.under_dmtcp != count_images(set, link->name))
            return differs(count.under_dmtcp, count_images(set, link->name), where, e);
        total += count.under_dmtcp;
    }
    return total == set->n ? 0 : differs(total, set->n, " on its hosts", e);
}

/* One image for each live process, or it is not the job. */
static int check_set(struct capture *c, struct err *e)
{
    auto_processes struct processes live = {0};
    struct images *set = &c->record.images;
    pid_t unwaited;

    if (session_reap(c->session))
        return err_set(e, ERR_GONE, "the job ended while it was being saved");
    unwaited = session_unwaited(c->session);
    if (unwaited)
        return ready_refuse_unwaited(unwaited, e);
    if (session_own_processes(c->session, &live, e) < 0 ||
        images_list(c->session->images_fd, set, e) < 0)
        return -1;
    if (c->session->links.n > 0) {
        if (check_hosts(c, live.n, e) < 0)
            return -1;
    } else if (live.n != set->n) {
        return differs(live.n, set->n, "", e);
    }
    c->stats.processes = set->n;
    /* DMTCP has one of its own in each process. Those elsewhere are taken to have one
     * besides. */
    c->stats.threads = set->n - live.n;
    for (size_t i = 0; i < live.n; i++)
        c->stats.threads += live.process[i].threads - (live.process[i].threads > 1);
    for (size_t i = 0; i < set->n; i++)
        c->stats.bytes += set->image[i].size_bytes;
    return 0;
}

static int take_images(struct capture *c, struct err *e)
{
    if (c->how.gzip && wait_for_compressors(c, e) < 0)
        return -1;
    if (check_set(c, e) < 0)
        return -1;
    record_note_stdio(c->session->stdio, c->record.stdio);
    if (images_link(c->session->images_fd, &c->record.images, c->how.dirfd, e) < 0)
        return -1;
    return local_save(&c->session->local, c->how.carry_tmpdir, c->how.dirfd, &c->record,
                      e);
}

/* The job stands still. */
static void written(struct capture *c)
{
    struct err e = {0};

    c->is_held = true;
    if (c->state != CAPTURE_ASKED) {
        c->is_overdue = false;
        let_go(c);
        return;
    }
    if (take_images(c, &e) < 0) {
        fail(c, &e);
        return;
    }
    if (!c->how.stop)
        let_go(c);
    c->stats.pause_us = now_us() - c->asked_us;
    fault_point("dmtcp-written");
    if (sums_begin(&c->sums, c->how.dirfd, &c->record, c->how.gzip, &e) < 0 ||
        watch(c, c->sums.fd, &e) < 0) {
        fail(c, &e);
        return;
    }
    c->session->helper = c->sums.pid;
    c->grown_bytes = 0;
    c->state = CAPTURE_SUMS;
}

/* ---- steps ---- */

static void closed(struct capture *c)
{
    struct err e = {0};

    c->is_held = c->is_overdue = false;
    if (c->state != CAPTURE_ASKED)
        return;
    err_set(&e, ERR_GONE, "DMTCP's coordinator has ended: %s", c->session->why);
    fail(c, &e);
}

/* Whom DMTCP may be waiting for. */
static void overdue(struct capture *c)
{
    char who[160] = "";
    struct err e = {0};

    ready_name_hindrance(c->session, who, sizeof(who));
    err_set(&e, ERR_TIMEOUT,
            "DMTCP has not got on for %u s with stopping the job and writing its "
            "images%s%s; the job goes on when DMTCP does",
            c->how.timeout_s, who[0] ? ": " : "", who);
    c->is_overdue = true;
    fail(c, &e);
}

static void look_at_growth(struct capture *c)
{
    uint64_t bytes = images_growth(c->session->images_fd), ticks;

    while (read(c->timer, &ticks, sizeof(ticks)) > 0)
        ;
    if (bytes != c->grown_bytes) {
        c->grown_bytes = bytes;
        c->grown_us = now_us();
    } else if (now_us() - c->grown_us > c->how.timeout_s * UINT64_C(1000000)) {
        overdue(c);
    }
}

static void hear(struct capture *c)
{
    for (;;)
        switch (session_hear(c->session)) {
        case DOOR_WRITTEN:
            written(c);
            break;
        case DOOR_CLOSED:
            closed(c);
            return;
        default:
            return;
        }
}

static void collect_sums(struct capture *c)
{
    struct pollfd p = {.fd = c->sums.fd, .events = POLLIN};
    uint64_t ticks;
    struct err e = {0};

    while (read(c->timer, &ticks, sizeof(ticks)) > 0)
        ;
    if (poll(&p, 1, 0) <= 0)
        return;
    if (sums_finish(&c->sums, &e) == 0)
        c->state = CAPTURE_DONE;
    else
        fail(c, &e);
    c->session->helper = 0;
}

bool capture_step(struct capture *c, uint64_t *bytes, uint64_t *total_bytes)
{
    struct err e = {0};

    hear(c);
    if (c->state == CAPTURE_ASKED && c->session->has_ended) {
        err_set(&e, ERR_GONE, "the job ended while it was being saved");
        fail(c, &e);
    }
    if (c->state == CAPTURE_ASKED)
        look_at_growth(c);
    *bytes = c->state == CAPTURE_SUMS ? *c->sums.bytes : 0;
    *total_bytes = c->total_bytes;
    if (c->state == CAPTURE_SUMS)
        collect_sums(c);
    return c->state == CAPTURE_DONE || c->state == CAPTURE_FAILED;
}

int capture_finish(struct capture *c, struct capture_stats *stats, struct err *e)
{
    uint64_t bytes, total;

    while (!capture_step(c, &bytes, &total)) {
        struct pollfd p = {.fd = c->epoll, .events = POLLIN};

        poll(&p, 1, LOOK_MS);
        session_reap(c->session);
    }
    *stats = c->stats;
    if (c->state == CAPTURE_FAILED) {
        *e = c->failure;
        return -1;
    }
    return 0;
}

bool capture_stops(const struct capture *c)
{
    return c->how.stop;
}

bool capture_is_overdue(const struct capture *c)
{
    return c->is_overdue;
}

/* A stopped process may still be continued, a foreign one end. */
bool capture_is_hopeless(const struct capture *c)
{
    char who[160];

    if (!c->is_overdue ||
        now_us() - c->grown_us < HOPELESS * c->how.timeout_s * UINT64_C(1000000))
        return false;
    ready_name_hindrance(c->session, who, sizeof(who));
    return who[0] == '\0';
}

bool capture_late(struct capture *c)
{
    uint64_t ticks;

    while (read(c->timer, &ticks, sizeof(ticks)) > 0)
        ;
    hear(c);
    return !c->is_overdue;
}

void capture_end(struct capture *c)
{
    struct err ignored = {0};

    if (!c)
        return;
    sums_abandon(&c->sums);
    c->session->helper = 0;
    let_go(c);
    session_clear_images(c->session, false, &ignored);
    scope_close(&c->epoll);
    scope_close(&c->timer);
    record_free(&c->record);
    command_list_free(&c->workers);
    free(c);
}
