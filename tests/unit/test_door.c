/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The moments that the door holds. */
#include "door_fake.h"

#include "base/err.h"
#include "base/io.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
static void a_checkpoint_is_held_until_it_is_released(void)
{
    struct rig r = rig_open(fake_program, 10);
    int first, second;

    if (!fake_opened(&r))
        return;
    first = fake_join(&r);
    second = fake_join(&r);
    fake_ask(&r, 's');
    CHECK_STR(fake_passed(first, WAIT_MS), "DMT:SUSPEND");
    CHECK_STR(fake_passed(second, WAIT_MS), "DMT:SUSPEND");
    CHECK_INT(rig_event(&r, 50), DOOR_NOTHING);
    fake_request(&r, 'c');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    CHECK_STR(r.text, "");
    CHECK(fake_stands_still(first, 200));
    CHECK(fake_stands_still(second, 0));
    fake_release(&r);
    CHECK_STR(fake_passed(second, WAIT_MS), "DMT:WriteCkpt");
    /* One event for a barrier, however many pass it. */
    CHECK_INT(rig_event(&r, 50), DOOR_NOTHING);
    close(first);
    close(second);
    rig_close(&r);
}

static void each_checkpoint_is_told_once(void)
{
    struct rig r = rig_open(fake_program, 10);
    int worker;

    if (!fake_opened(&r))
        return;
    worker = fake_join(&r);
    for (int i = 0; i < 3; i++) {
        fake_ask(&r, 's');
        CHECK_STR(fake_passed(worker, WAIT_MS), "DMT:SUSPEND");
        fake_request(&r, 'c');
        CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
        fake_release(&r);
        CHECK_STR(fake_passed(worker, WAIT_MS), "DMT:WriteCkpt");
        CHECK_INT(rig_event(&r, 20), DOOR_NOTHING);
    }
    close(worker);
    rig_close(&r);
}

static long long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Whether one of some new processes is let in sooner than held ones ever are. A busy
 * machine may delay any of them. */
static bool joins_at_once(const struct rig *r)
{
    for (int i = 0; i < 50; i++) {
        long long since = now_ms();

        close(fake_join(r));
        if (now_ms() - since < 200)
            return true;
    }
    return false;
}

/* The coordinator rejects them until all have said that they run. */
static void new_processes_wait_while_a_job_gets_going_again(void)
{
    struct rig r = rig_open(fake_program, 10);
    long long since;
    int worker;

    if (!fake_opened(&r))
        return;
    worker = fake_join(&r);
    fake_request(&r, 'c');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    since = now_ms();
    fake_release(&r);
    CHECK_STR(fake_passed(worker, WAIT_MS), "DMT:WriteCkpt");
    close(fake_join(&r));
    CHECK(now_ms() - since >= 200);
    CHECK(joins_at_once(&r));
    close(worker);
    rig_close(&r);
}

static void a_restart_is_held_and_then_a_checkpoint(void)
{
    struct rig r = rig_open(fake_program, 10);
    int worker;

    if (!fake_opened(&r))
        return;
    worker = fake_join(&r);
    fake_request(&r, 'r');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_RESTORED);
    CHECK(fake_stands_still(worker, 100));
    fake_release(&r);
    CHECK_STR(fake_passed(worker, WAIT_MS), "DMT:Restart");
    fake_ask(&r, 's');
    CHECK_STR(fake_passed(worker, WAIT_MS), "DMT:SUSPEND");
    fake_request(&r, 'c');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    fake_release(&r);
    CHECK_STR(fake_passed(worker, WAIT_MS), "DMT:WriteCkpt");
    close(worker);
    rig_close(&r);
}

static void other_texts_of_that_length_pass(void)
{
    struct rig r = rig_open(fake_program, 10);
    int worker;

    if (!fake_opened(&r))
        return;
    worker = fake_join(&r);
    fake_ask(&r, 'o');
    CHECK_STR(fake_passed(worker, WAIT_MS), "DMT:another");
    CHECK_INT(rig_event(&r, 20), DOOR_NOTHING);
    close(worker);
    rig_close(&r);
}

static void a_signal_does_not_end_the_hold(void)
{
    struct rig r = rig_open(fake_program, 10);
    int worker;

    if (!fake_opened(&r))
        return;
    worker = fake_join(&r);
    fake_request(&r, 'c');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    CHECK_INT(kill(r.coordinator, SIGALRM), 0);
    CHECK(fake_stands_still(worker, 200));
    CHECK_INT(rig_event(&r, 0), DOOR_NOTHING);
    fake_release(&r);
    CHECK_STR(fake_passed(worker, WAIT_MS), "DMT:WriteCkpt");
    close(worker);
    rig_close(&r);
}

static void a_held_coordinator_can_be_closed(void)
{
    struct rig r = rig_open(fake_program, 10);
    int worker;
    pid_t door;

    if (!fake_opened(&r))
        return;
    worker = fake_join(&r);
    fake_request(&r, 'c');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    door = door_pid(r.door);
    rig_close(&r);
    CHECK(kill(r.coordinator, 0) < 0 && errno == ESRCH);
    CHECK(kill(door, 0) < 0 && errno == ESRCH);
    close(worker);
}

int main(void)
{
    char dir[64] = "/tmp/qckpt-door-XXXXXX";
    struct err ignored;

    fake_prepare(dir);
    RUN(a_checkpoint_is_held_until_it_is_released);
    RUN(each_checkpoint_is_told_once);
    RUN(new_processes_wait_while_a_job_gets_going_again);
    RUN(a_restart_is_held_and_then_a_checkpoint);
    RUN(other_texts_of_that_length_pass);
    RUN(a_signal_does_not_end_the_hold);
    RUN(a_held_coordinator_can_be_closed);
    io_remove_tree(AT_FDCWD, dir, &ignored);
    return tap_done();
}
