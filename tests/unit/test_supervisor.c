/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One run of a job with real processes and a real store: its checkpoints, its signals
 * and its end. The same with the native engine: tests/cli.
 */
#include "supervisor_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void the_front_ends_as_the_job_ended(void)
{
    fresh();
    CHECK_INT(run("exit 7"), W_EXITCODE(7, 0));
    fresh();
    CHECK_INT(run("true"), 0);
    fresh();
    CHECK_INT(run("kill -SEGV $$") & 0x7f, SIGSEGV);
    fresh();
    CHECK_INT(run("kill -KILL $$") & 0x7f, SIGKILL);
    fresh();
    CHECK_INT(run("exit 99"), W_EXITCODE(99, 0));
}

static void a_job_that_is_done_is_not_run_again(void)
{
    fresh();
    CHECK_INT(run("echo once >> log; exit 7"), W_EXITCODE(7, 0));
    CHECK_INT(run("echo once >> log; exit 7"), W_EXITCODE(7, 0));
    CHECK_STR(get("log"), "once\n");
}

static void a_death_by_signal_99_and_100_are_no_completion(void)
{
    fresh();
    run("echo once >> log; kill -KILL $$");
    run("echo twice >> log; exit 99");
    run("echo thrice >> log; exit 100");
    CHECK_INT(run("exit 3"), W_EXITCODE(3, 0));
    CHECK_STR(get("log"), "once\ntwice\nthrice\n");
}

static void a_missing_program_is_127(void)
{
    char *argv[] = {"/nonexistent/program", NULL};
    enum job_outcome outcome;
    int status = 0;
    pid_t pid;

    fresh();
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        config.path = argv[0];
        config.argv = argv;
        close(2);
        open("stderr", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (job_run(&config, &status, &outcome, &e) < 0) {
            put("why", e.text);
            _exit(NOT_STARTED);
        }
        job_exit_as(status);
    }
    CHECK_INT(end_of(pid), W_EXITCODE(127, 0));
    CHECK_HAS(get("stderr"), "/nonexistent/program");
    CHECK_STR(get("why"), "");
}

static void a_checkpoint_on_request_leaves_the_job_running(void)
{
    struct job_checkpoint c = {0};
    pid_t pid;

    fresh();
    pid = counting();
    CHECK(ask(false, &c));
    CHECK_INT(c.generation, 1);
    CHECK_INT(c.stats.bytes, 4096);
    CHECK(ask(false, &c));
    CHECK_INT(c.generation, 2);
    CHECK_INT(counted(pid), W_EXITCODE(5, 0));
    CHECK(count_is_whole());
    CHECK_HAS(events(), "\"event\":\"checkpoint\"");
}

static void a_stopped_job_continues_where_it_was(void)
{
    struct job_checkpoint c = {0};
    pid_t pid;

    fresh();
    pid = counting();
    CHECK(ask(true, &c));
    CHECK_INT(end_of(pid), W_EXITCODE(JOB_EXIT_STOPPED, 0));
    CHECK_INT(counted(front(counter)), W_EXITCODE(5, 0));
    CHECK(count_is_whole());
    CHECK_HAS(events(), "restarted from generation 1");
}

static void a_damaged_generation_gives_way_to_the_one_before(void)
{
    struct job_checkpoint c;
    pid_t pid;

    fresh();
    pid = counting();
    CHECK(ask(false, &c));
    CHECK(ask(true, &c));
    end_of(pid);
    file_engine_faults.restart_corrupt = true;
    CHECK_INT(counted(front(counter)), W_EXITCODE(5, 0));
    CHECK_HAS(events(), "generation-rejected");
    CHECK_HAS(events(), "restarted from generation 1");
}

static void what_cannot_be_restarted_here_is_not_launched_afresh(void)
{
    struct job_checkpoint c;
    pid_t pid;

    fresh();
    pid = counting();
    CHECK(ask(true, &c));
    end_of(pid);
    file_engine_faults.restart_hopeless = true;
    CHECK_INT(run(counter), W_EXITCODE(NOT_STARTED, 0));
    CHECK_HAS(get("why"), "user namespaces are forbidden");
    CHECK_HAS(events(), "restart-failed");
    file_engine_faults.restart_hopeless = false;
    CHECK_INT(counted(front(counter)), W_EXITCODE(5, 0));
    CHECK(count_is_whole());
}

static void nothing_to_restart_from_is_said(void)
{
    fresh();
    config.may_launch = false;
    CHECK_INT(run(counter), W_EXITCODE(NOT_STARTED, 0));
    CHECK_HAS(get("why"), "no checkpoint that can be restarted");
}

static void a_refused_job_runs_on(void)
{
    struct job_checkpoint c;
    pid_t pid;

    fresh();
    file_engine_faults.refuse = true;
    pid = counting();
    CHECK(!ask(true, &c));
    CHECK_INT(e.kind, ERR_REFUSED);
    CHECK_HAS(e.text, "/dev/nvidia0");
    CHECK_INT(counted(pid), W_EXITCODE(5, 0));
    CHECK(count_is_whole());
    CHECK_HAS(events(), "checkpoint-refused");
}

static void a_stop_that_fails_lets_the_job_run_on(void)
{
    struct job_checkpoint c;
    pid_t pid;

    fresh();
    file_engine_faults.finish_fails = true;
    pid = counting();
    CHECK(!ask(true, &c));
    CHECK_INT(e.kind, ERR_SYS);
    CHECK_INT(e.sys, ENOSPC);
    CHECK_INT(counted(pid), W_EXITCODE(5, 0));
    CHECK(count_is_whole());
}

static void requests_that_come_meanwhile_follow(void)
{
    struct job_checkpoint c = {0};
    pid_t pid, asker;

    fresh();
    file_engine_faults.write_ms = 300;
    pid = counting();
    fflush(stdout);
    asker = fork();
    if (asker == 0)
        _exit(ask(false, &c) ? (int)c.generation : 0);
    CHECK(wait_for("asked", "."));
    CHECK(ask(true, &c));
    CHECK_INT(c.generation, 2);
    CHECK_INT(end_of(asker), W_EXITCODE(1, 0));
    CHECK_INT(end_of(pid), W_EXITCODE(JOB_EXIT_STOPPED, 0));
}

static void signals_wait_while_the_job_stands_at_its_image(void)
{
    struct job_checkpoint c;
    pid_t pid, asker;

    fresh();
    file_engine_faults.write_until = "written";
    file_engine_faults.finish_fails = true;
    pid = counting();
    fflush(stdout);
    asker = fork();
    if (asker == 0)
        _exit(ask(true, &c) ? 0 : 1);
    CHECK(wait_for("asked", "."));
    kill(pid, SIGUSR1);
    nap_ms(100);
    CHECK_STR(get("signals"), "");
    put("written", "");
    CHECK_INT(end_of(asker), W_EXITCODE(1, 0));
    CHECK(wait_for("signals", "usr1"));
    CHECK_INT(counted(pid), W_EXITCODE(5, 0));
}

/* Neither is it done, nor does anything of it live on. */
static void a_job_that_its_engine_loses_goes_on_from_its_checkpoint(void)
{
    struct job_checkpoint result;
    int status;
    pid_t pid;

    fresh();
    file_engine_faults.lost_status = 55;
    pid = front("[ -e again ] && exit 7; sleep 60 & echo $! >child; "
                "echo 1 >>state; while [ ! -e go ]; do sleep 0.01; done; exit 55");
    CHECK(wait_for("state", "1\n"));
    CHECK(ask(false, &result));
    put("go", "");
    CHECK_INT(end_of(pid), W_EXITCODE(LOST, 0));
    CHECK(is_gone(pid_in("child")));
    CHECK_INT(store_done_read(store, &status, NULL, &e), -1);
    CHECK_INT(e.kind, ERR_NOTHING);
    put("again", "");
    CHECK_INT(run("false"), W_EXITCODE(7, 0));
}

static void the_interval_makes_checkpoints(void)
{
    pid_t pid;

    fresh();
    config.interval_s = 1;
    pid = front(counter);
    CHECK(wait_for("job/log.jsonl", "generation 2:"));
    CHECK_INT(counted(pid), W_EXITCODE(5, 0));
    CHECK(count_is_whole());
}

/* The next try of the timer is far away. */
static void what_may_pass_is_tried_again_soon(void)
{
    struct job_checkpoint c;
    pid_t pid;

    fresh();
    file_engine_faults.momentary = 2;
    config.interval_s = 1000;
    pid = counting();
    CHECK(!ask(false, &c));
    CHECK_INT(e.kind, ERR_REFUSED);
    CHECK(e.momentary);
    CHECK(wait_for("job/log.jsonl", "generation 1:"));
    CHECK(ask(true, &c));
    CHECK_INT(c.generation, 2);
    CHECK_INT(end_of(pid), W_EXITCODE(JOB_EXIT_STOPPED, 0));
}

/* Ten times as long as the job stood still for it. */
static void a_try_that_took_long_is_made_again_later(void)
{
    struct timespec from, to;
    struct job_checkpoint c;
    pid_t pid;

    fresh();
    file_engine_faults.momentary = 1;
    file_engine_faults.momentary_ms = 300;
    config.interval_s = 1000;
    pid = counting();
    clock_gettime(CLOCK_MONOTONIC, &from);
    CHECK(!ask(false, &c));
    CHECK(wait_for("asked", ".."));
    clock_gettime(CLOCK_MONOTONIC, &to);
    CHECK(to.tv_sec - from.tv_sec >= 3);
    CHECK(wait_for("job/log.jsonl", "generation 1:"));
    CHECK(ask(true, &c));
    CHECK_INT(end_of(pid), W_EXITCODE(JOB_EXIT_STOPPED, 0));
}

static void what_stays_refused_waits_for_the_interval(void)
{
    struct job_checkpoint c;
    pid_t pid;

    fresh();
    file_engine_faults.refuse = true;
    config.interval_s = 1000;
    pid = counting();
    CHECK(!ask(false, &c));
    CHECK(!e.momentary);
    nap_ms(1500);
    CHECK_INT(counted(pid), W_EXITCODE(5, 0));
    CHECK_STR(get("asked"), ".");
}

static void signals_reach_the_job(void)
{
    pid_t pid;

    fresh();
    pid = counting();
    kill(pid, SIGUSR1);
    CHECK(wait_for("signals", "usr1"));
    CHECK_INT(counted(pid), W_EXITCODE(5, 0));
    fresh();
    pid = counting();
    kill(pid, SIGTERM);
    CHECK_INT(end_of(pid) & 0x7f, SIGTERM);
}

static void an_ignored_signal_stays_ignored(void)
{
    fresh();
    signal(SIGHUP, SIG_IGN);
    CHECK_INT(run("kill -HUP $$; echo alive > log"), 0);
    signal(SIGHUP, SIG_DFL);
    CHECK_STR(get("log"), "alive\n");
    fresh();
    CHECK_INT(run("kill -HUP $$; echo alive > log") & 0x7f, SIGHUP);
}

/* A write that a process had begun when it was told to stop may be seen later. */
static bool stands_still(void)
{
    for (int i = 0; i < 20; i++) {
        auto_free char *before = strdup(get("state"));

        nap_ms(200);
        if (before && strcmp(get("state"), before) == 0)
            return true;
    }
    return false;
}

static void stopping_the_group_suspends_the_job(void)
{
    pid_t pid;

    fresh();
    pid = counting();
    kill(-pid, SIGSTOP);
    CHECK(wait_for("job/log.jsonl", "suspended"));
    CHECK(stands_still());
    kill(-pid, SIGCONT);
    CHECK_INT(counted(pid), W_EXITCODE(5, 0));
    CHECK(count_is_whole());
}

int main(void)
{
    if (fixture_begin() < 0)
        return 1;
    RUN(the_front_ends_as_the_job_ended);
    RUN(a_job_that_is_done_is_not_run_again);
    RUN(a_death_by_signal_99_and_100_are_no_completion);
    RUN(a_missing_program_is_127);
    RUN(a_checkpoint_on_request_leaves_the_job_running);
    RUN(a_stopped_job_continues_where_it_was);
    RUN(a_damaged_generation_gives_way_to_the_one_before);
    RUN(what_cannot_be_restarted_here_is_not_launched_afresh);
    RUN(nothing_to_restart_from_is_said);
    RUN(a_refused_job_runs_on);
    RUN(a_stop_that_fails_lets_the_job_run_on);
    RUN(requests_that_come_meanwhile_follow);
    RUN(signals_wait_while_the_job_stands_at_its_image);
    RUN(a_job_that_its_engine_loses_goes_on_from_its_checkpoint);
    RUN(the_interval_makes_checkpoints);
    RUN(what_may_pass_is_tried_again_soon);
    RUN(a_try_that_took_long_is_made_again_later);
    RUN(what_stays_refused_waits_for_the_interval);
    RUN(signals_reach_the_job);
    RUN(an_ignored_signal_stays_ignored);
    RUN(stopping_the_group_suspends_the_job);
    return fixture_end();
}
