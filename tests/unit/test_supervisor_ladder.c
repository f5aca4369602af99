/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which generation a job goes on from when the newest cannot be restarted: work is lost
 * only for damage, and for what fails again and again.
 */
#include "supervisor_fixture.h"

#include "base/scope.h"
#include "job/failure.h"
#include "job/ladder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* More than would do for any other failure. */
enum { MANY = LADDER_RUNS + 3 };

/* Stops the counter at generation 2. */
static void stopped_twice(void)
{
    struct job_checkpoint c = {0};
    pid_t pid;

    fresh();
    pid = counting();
    CHECK(ask(false, &c));
    CHECK(ask(true, &c));
    CHECK_INT(c.generation, 2);
    CHECK_INT(end_of(pid), W_EXITCODE(JOB_EXIT_STOPPED, 0));
    file_engine_faults.restart_fails_at = 2;
}

static void fail_with(enum err_kind kind, const char *text)
{
    err_set(&file_engine_faults.restart_error, kind, "%s", text);
}

/* The runs of the job, one after the other, all in vain. */
static void in_vain(int runs)
{
    for (int i = 0; i < runs; i++)
        CHECK_INT(run(counter), W_EXITCODE(NOT_STARTED, 0));
    CHECK(!strstr(events(), "\"restarted\""));
}

static void goes_on_from(int generation)
{
    char text[64];

    snprintf(text, sizeof(text), "restarted from generation %d", generation);
    CHECK_INT(counted(front(counter)), W_EXITCODE(5, 0));
    CHECK_HAS(events(), text);
}

static void check_no_work_is_lost(void)
{
    in_vain(MANY);
    CHECK_HAS(get("why"), "generation 2 could not be restarted here: ");
    CHECK_INT(store_failed_runs(store, 2), 0);
    file_engine_faults.restart_fails_at = 0;
    goes_on_from(2);
    CHECK(count_is_whole());
}

static void no_memory_costs_no_work(void)
{
    stopped_twice();
    err_code(&file_engine_faults.restart_error, ENOMEM, "make a user namespace");
    check_no_work_is_lost();
}

static void a_full_disk_costs_no_work(void)
{
    stopped_twice();
    err_code(&file_engine_faults.restart_error, ENOSPC, "create /tmp/qckpt-dmtcp-x");
    check_no_work_is_lost();
}

static void slowness_costs_no_work(void)
{
    stopped_twice();
    fail_with(ERR_TIMEOUT, "the new processes were not ready within 60 s");
    check_no_work_is_lost();
}

static void a_killed_restart_costs_no_work(void)
{
    stopped_twice();
    fail_with(ERR_FAILED, "dmtcp_restart failed");
    err_momentary(&file_engine_faults.restart_error);
    check_no_work_is_lost();
    stopped_twice();
    fail_with(ERR_GONE, "process 7 ended while its memory was filled");
    check_no_work_is_lost();
}

static void only_what_fails_again_and_again_gives_way(void)
{
    stopped_twice();
    fail_with(ERR_REFUSED, "/data/x is another file here");
    in_vain(LADDER_RUNS - 1);
    CHECK_HAS(get("why"), "(run 4 in which it fails; in run 5 an older one is tried)");
    CHECK_INT(store_failed_runs(store, 2), LADDER_RUNS - 1);
    goes_on_from(1);
    CHECK_HAS(events(), "(run 5 in which it fails: an older one is tried)");
    CHECK(count_is_whole());
    CHECK_INT(store_verify(store, 2, STORE_QUICK, NULL, NULL, NULL, &e), 0);
}

/* It is tried first also then. */
static void the_newest_is_tried_first_whatever_was(void)
{
    stopped_twice();
    fail_with(ERR_REFUSED, "/data/x is another file here");
    in_vain(LADDER_RUNS - 1);
    file_engine_faults.restart_fails_at = 0;
    goes_on_from(2);
    CHECK(count_is_whole());
    CHECK_INT(store_failed_runs(store, 2), 0);
}

static void without_an_older_one_it_stays_as_it_is(void)
{
    struct job_checkpoint c = {0};
    pid_t pid;

    fresh();
    pid = counting();
    CHECK(ask(true, &c));
    end_of(pid);
    file_engine_faults.restart_fails_at = 1;
    fail_with(ERR_REFUSED, "/data/x is another file here");
    in_vain(MANY);
    CHECK_STR(get("why"), "generation 1 could not be restarted here: /data/x is "
                          "another file here");
    file_engine_faults.restart_fails_at = 0;
    goes_on_from(1);
    CHECK(count_is_whole());
}

/* A count that cannot be kept is none: the job waits, and loses nothing. */
static void an_uncounted_failure_costs_no_work(void)
{
    stopped_twice();
    fail_with(ERR_REFUSED, "/data/x is another file here");
    CHECK(mkdir("job/failed.json", 0700) == 0);
    in_vain(MANY);
    CHECK_HAS(events(), "is not counted: ");
    CHECK(rmdir("job/failed.json") == 0);
    file_engine_faults.restart_fails_at = 0;
    goes_on_from(2);
}

static void a_person_who_names_a_generation_is_not_counted(void)
{
    stopped_twice();
    fail_with(ERR_REFUSED, "/data/x is another file here");
    config.generation = 2;
    in_vain(MANY);
    CHECK_INT(store_failed_runs(store, 2), 0);
    config.generation = 1;
    goes_on_from(1);
}

static struct err error(enum err_kind kind, bool momentary)
{
    struct err made = {0};

    err_set(&made, kind, "for a test");
    made.momentary = momentary;
    return made;
}

static void errors_are_told_apart(void)
{
    static const struct {
        enum err_kind kind;
        enum failure failure;
    } kinds[] = {
        {ERR_CORRUPT, FAILURE_DAMAGE}, {ERR_NOTHING, FAILURE_DAMAGE},
        {ERR_UNSAFE, FAILURE_DAMAGE},  {ERR_WRONG_HOST, FAILURE_WRONG_HOST},
        {ERR_TIMEOUT, FAILURE_MOMENT}, {ERR_GONE, FAILURE_MOMENT},
        {ERR_FAILED, FAILURE_OTHER},   {ERR_REFUSED, FAILURE_OTHER},
        {ERR_USAGE, FAILURE_OTHER},
    };
    struct err sys;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct err plain = error(kinds[i].kind, false);

        CHECK_INT(failure_of(&plain), kinds[i].failure);
    }
    err_code(&sys, EAGAIN, "fork");
    CHECK_INT(failure_of(&sys), FAILURE_MOMENT);
    err_code(&sys, EIO, "read memory");
    CHECK_INT(failure_of(&sys), FAILURE_OTHER);
    err_code(&sys, ENOENT, "open /data/x");
    CHECK_INT(failure_of(&sys), FAILURE_OTHER);
    sys = error(ERR_FAILED, true);
    CHECK_INT(failure_of(&sys), FAILURE_MOMENT);
    sys = error(ERR_CORRUPT, true);
    CHECK_INT(failure_of(&sys), FAILURE_DAMAGE);
}

int main(void)
{
    if (fixture_begin() < 0)
        return 1;
    RUN(errors_are_told_apart);
    RUN(no_memory_costs_no_work);
    RUN(a_full_disk_costs_no_work);
    RUN(slowness_costs_no_work);
    RUN(a_killed_restart_costs_no_work);
    RUN(only_what_fails_again_and_again_gives_way);
    RUN(the_newest_is_tried_first_whatever_was);
    RUN(without_an_older_one_it_stays_as_it_is);
    RUN(an_uncounted_failure_costs_no_work);
    RUN(a_person_who_names_a_generation_is_not_counted);
    return fixture_end();
}
