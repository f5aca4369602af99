/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/capture.h"

#include "base/err.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/str.h"
#include "dmtcp/command.h"
#include "dmtcp/ready.h"
#include "dmtcp/record.h"
#include "dmtcp/session.h"
#include "dmtcp/set.h"
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

/* Until DMTCP is asked: how often it, and the job's processes, are looked at. Of many
 * processes a look takes long: then less often. */
enum { RUNS_MS = 50, READY_MS = 3, READY_SHARE = 4 };

/*
 * What is ready when DMTCP is asked need not be when it has stopped the job: between
 * the two a child may have ended. Then it is asked again, so often in all: of a job
 * that starts 50 programs a second two tries of three fail. Each lets the job stand
 * still until its images are written, so it (unless it shall stop anyway) runs at least
 * as long in between, each time GAP_MS longer than before, and no try begins when the
 * freeze time-out has passed since the first.
 */
enum { TRIES = 8, GAP_MS = 500 };

enum { END_TRIES = 100, END_MS = 20 };

struct capture {
    struct session *session;
    struct capture_how how;
    enum {
        CAPTURE_WAITS,  /* for a moment in which the job is ready */
        CAPTURE_ASKED,  /* the job stops and writes */
        CAPTURE_SUMS,   /* everything is written; a child makes the sums */
        CAPTURE_DONE,   /* it has */
        CAPTURE_FAILED, /* see `failure` */
    } state;
    bool is_held;    /* the job stands still, and door_release would let it go */
    bool is_overdue; /* failed, but DMTCP has not answered yet */
    struct err failure;
    struct err last; /* why the try before this one was no whole job */
    int epoll, timer;
    uint64_t begun_us, look_us; /* in CAPTURE_WAITS: not before */
    struct ready_watch watch;
    bool runs, is_prepared; /* seen, and done, for this try */
    unsigned tries;         /* begun, until now */
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

static void set_timer(struct capture *c, unsigned first_ms, unsigned every_ms)
{
    const struct itimerspec when = {
        .it_value = {first_ms / 1000, first_ms % 1000 * 1000000L},
        .it_interval = {every_ms / 1000, every_ms % 1000 * 1000000L}};

    timerfd_settime(c->timer, 0, &when, NULL);
}

static void drain_timer(struct capture *c)
{
    uint64_t ticks;

    while (read(c->timer, &ticks, sizeof(ticks)) > 0)
        ;
}

static int watch_all(struct capture *c, struct err *e)
{
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (c->epoll < 0 || c->timer < 0)
        return err_sys(e, "watch a checkpoint");
    return watch(c, c->timer, e) < 0 ? -1 : watch(c, door_fd(c->session->door), e);
}

static void look_in(struct capture *c, unsigned ms)
{
    c->look_us = now_us() + ms * UINT64_C(1000);
    /* 0 would stop it. */
    set_timer(c, ms ? ms : 1, 0);
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
    c->begun_us = now_us();
    return c;
}

static int note_hosts(struct capture *c, struct err *e)
{
    const struct links *l = &c->session->links;

    for (size_t i = 0; i < l->n; i++)
        if (l->link[i].keep &&
            record_add_host(&c->record, l->link[i].name, l->link[i].keep, e) < 0)
            return -1;
    return 0;
}

static int fill_record(struct capture *c, struct err *e)
{
    const struct session *s = c->session;

    c->record.gzip = c->how.gzip;
    c->record.major = s->in.major;
    c->record.minor = s->in.minor;
    if (note_hosts(c, e) < 0)
        return -1;
    return str_format(c->record.directory, sizeof(c->record.directory), e, "%s",
                      s->images);
}

struct capture *capture_begin(struct session *s, const struct capture_how *how,
                              struct err *e)
{
    struct capture *c = capture_new(s, how, e);

    if (!c)
        return NULL;
    if (fill_record(c, e) < 0 || watch_all(c, e) < 0) {
        capture_end(c);
        return NULL;
    }
    look_in(c, 0);
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

static bool may_try_again(const struct capture *c, const struct err *why)
{
    return why->momentary && c->tries < TRIES &&
           now_us() - c->begun_us < c->how.timeout_s * UINT64_C(1000000);
}

static void try_again(struct capture *c, const struct err *why)
{
    unsigned gap_ms = GAP_MS * c->tries;
    uint64_t pause_us = now_us() - c->asked_us;

    let_go(c);
    c->last = *why;
    c->stats.pause_us += pause_us;
    if (gap_ms < pause_us / 1000 && !c->how.stop)
        gap_ms = pause_us / 1000;
    images_free(&c->record.images);
    command_list_free(&c->workers);
    c->watch = (struct ready_watch){0};
    c->runs = c->is_prepared = false;
    c->state = CAPTURE_WAITS;
    look_in(c, gap_ms);
    log_info("DMTCP is asked again by itself in %u ms (try %u of %d), since the last "
             "one was no whole job: %s",
             gap_ms, c->tries + 1, TRIES, why->text);
}

static void fail_or_try_again(struct capture *c, const struct err *why)
{
    if (may_try_again(c, why))
        try_again(c, why);
    else
        fail(c, why);
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

static int check_set(struct capture *c, struct err *e)
{
    const struct set_of of = {
        .session = c->session, .workers = &c->workers, .root = c->record.root};
    struct set_size size;

    if (set_check(&of, &c->record.images, &size, e) < 0)
        return -1;
    c->stats.processes = size.processes;
    c->stats.threads = size.threads;
    c->stats.bytes = size.bytes;
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
        fail_or_try_again(c, &e);
        return;
    }
    if (!c->how.stop)
        let_go(c);
    c->stats.pause_us += now_us() - c->asked_us;
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

/* ---- until DMTCP is asked ---- */

static int prepare(struct capture *c, struct err *e)
{
    struct session *s = c->session;
    struct ready ready;

    if (session_clear_images(s, true, e) < 0 || ready_prepare(s, &ready, e) < 0)
        return -1;
    memcpy(c->record.root, ready.root, sizeof(c->record.root));
    c->workers = ready.workers;
    c->total_bytes = ready.image_bytes;
    c->is_prepared = true;
    return 0;
}

static int look(struct capture *c, bool *is_ready, struct err *e)
{
    uint64_t since = now_us();

    if (ready_look(c->session, &c->watch, is_ready, e) < 0)
        return -1;
    if (!*is_ready)
        look_in(c, READY_MS + READY_SHARE * (now_us() - since) / 1000);
    return 0;
}

/* A step on the way to the moment: what takes long comes before the last look, right
 * after which DMTCP is asked. */
static int approach(struct capture *c, bool *is_ready, struct err *e)
{
    /* A process that has not come to rename its last image yet would end without it. */
    if (!c->runs) {
        if (ready_runs(c->session, &c->watch, c->how.timeout_s, &c->runs, e) < 0)
            return -1;
        if (!c->runs) {
            look_in(c, RUNS_MS);
            return 0;
        }
        c->watch = (struct ready_watch){0};
    }
    if (look(c, is_ready, e) < 0)
        return -1;
    if (!*is_ready || c->is_prepared)
        return 0;
    *is_ready = false;
    look_in(c, 0);
    return prepare(c, e);
}

/* The coordinator says no when a process has begun meanwhile. */
static int ask(struct capture *c, struct err *e)
{
    struct session *s = c->session;

    c->tries++;
    c->asked_us = c->grown_us = now_us();
    if (command_checkpoint(&s->in, door_port(s->door), e) < 0)
        return e->kind == ERR_REFUSED ? err_momentary(e) : -1;
    c->state = CAPTURE_ASKED;
    set_timer(c, LOOK_MS, LOOK_MS);
    fault_point("dmtcp-asked");
    return 0;
}

/* The coordinator ends with the job's last process, which is seen after it; it may
 * hang up in the middle of an answer. */
static void fail_at_end(struct capture *c, const struct err *why)
{
    bool may_be_gone = why->kind == ERR_GONE || why->kind == ERR_FAILED;

    for (int i = 0; may_be_gone && i < END_TRIES; i++) {
        if (session_reap(c->session))
            return; /* and the step says so */
        poll(NULL, 0, END_MS);
    }
    /* Not got going again: what was wrong with that try says more. */
    fail(c, c->tries > 0 && !c->runs && why->kind == ERR_REFUSED ? &c->last : why);
}

static void wait_for_moment(struct capture *c)
{
    bool is_ready = false;
    struct err e = {0};

    drain_timer(c);
    if (now_us() < c->look_us)
        return;
    if (approach(c, &is_ready, &e) < 0)
        fail_at_end(c, &e);
    else if (is_ready && ask(c, &e) < 0)
        fail_or_try_again(c, &e);
}

/* ---- steps ---- */

/* What is written is the job's, whatever becomes of it. */
static bool is_before_sums(const struct capture *c)
{
    return c->state == CAPTURE_WAITS || c->state == CAPTURE_ASKED;
}

static void closed(struct capture *c)
{
    struct err e = {0};

    c->is_held = c->is_overdue = false;
    if (!is_before_sums(c))
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
    uint64_t bytes = images_growth(c->session->images_fd);

    drain_timer(c);
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
    struct err e = {0};

    drain_timer(c);
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
    if (c->state == CAPTURE_WAITS && !c->session->has_ended)
        wait_for_moment(c);
    else if (c->state == CAPTURE_ASKED && !c->session->has_ended)
        look_at_growth(c);
    if (is_before_sums(c) && c->session->has_ended) {
        err_set(&e, ERR_GONE, "the job ended while it was being saved");
        fail(c, &e);
    }
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

bool capture_has_asked(const struct capture *c)
{
    return c->tries > 0;
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
    drain_timer(c);
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
