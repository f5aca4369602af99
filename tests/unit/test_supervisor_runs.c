/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Several runs of a job, of which one at most may go on, and whoever else has to do
 * with a supervisor: fronts that die, full disks, clients.
 */
#include "supervisor_fixture.h"

#include "base/scope.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_suspended_job_can_be_stopped_at_a_checkpoint(void)
{
    struct job_checkpoint c;
    pid_t pid;

    fresh();
    pid = counting();
    kill(-pid, SIGSTOP);
    CHECK(wait_for("job/log.jsonl", "suspended"));
    CHECK(ask(true, &c));
    CHECK_INT(end_of(pid), W_EXITCODE(JOB_EXIT_STOPPED, 0));
    CHECK_INT(counted(front(counter)), W_EXITCODE(5, 0));
    CHECK(count_is_whole());
}

static void the_death_of_the_front_ends_the_job(void)
{
    pid_t pid, job;

    fresh();
    pid = front("echo $$ > pid; exec sleep 1000");
    CHECK(wait_for("pid", "\n"));
    job = pid_in("pid");
    kill(pid, SIGKILL);
    end_of(pid);
    CHECK(is_gone(job));
    CHECK(wait_for("job/log.jsonl", "\"ended\""));
}

static void the_death_of_the_supervisor_ends_every_process(void)
{
    struct job_status status = {0};
    pid_t pid, job, child;

    fresh();
    pid = front("setsid sh -c 'echo $$ > child; exec sleep 1000' &"
                "echo $$ > pid; exec sleep 1000");
    CHECK(wait_for("pid", "\n"));
    CHECK(wait_for("child", "\n"));
    job = pid_in("pid");
    child = pid_in("child");
    CHECK(job_request_status(store, 5, &status, &e) == 0);
    kill(status.pid, SIGKILL);
    CHECK_INT(end_of(pid), W_EXITCODE(NOT_STARTED, 0));
    CHECK_HAS(get("why"), "supervisor was killed by signal 9");
    CHECK(is_gone(job));
    CHECK(is_gone(child));
}

static void a_later_run_takes_over(void)
{
    struct job_checkpoint c;
    pid_t first, second;

    fresh();
    first = counting();
    CHECK(ask(false, &c));
    second = front(counter);
    CHECK_INT(end_of(first), W_EXITCODE(SUPERSEDED, 0));
    CHECK_INT(counted(second), W_EXITCODE(5, 0));
    CHECK_HAS(events(), "superseded");
    CHECK_HAS(get("job/epoch"), "2");
}

/* It must not be told as the engine's fault, nor wait: the other one writes to the
 * job's output by now. */
static void a_fenced_run_whose_engine_fails_is_superseded(void)
{
    uint64_t epoch;
    pid_t first;

    fresh();
    file_engine_faults.lost_status = 55;
    first = front("echo 1 >>state; while [ ! -e go ]; do sleep 0.01; done; exit 55");
    CHECK(wait_for("state", "1\n"));
    CHECK(store_epoch_take(store, "elsewhere", 1, "", &epoch, &e) == 0);
    put("go", "");
    CHECK_INT(end_of(first), W_EXITCODE(SUPERSEDED, 0));
    CHECK(!strstr(events(), "\"lost\""));
}

/* Another host has taken the epoch, and nobody told this one. */
static void a_run_fenced_while_it_saves_kills_its_copy(void)
{
    uint64_t epoch;
    pid_t first;

    fresh();
    file_engine_faults.write_until = "written";
    config.interval_s = 1;
    first = front(counter);
    CHECK(wait_for("asked", "."));
    CHECK(store_epoch_take(store, "elsewhere", 1, "", &epoch, &e) == 0);
    put("written", "");
    CHECK_INT(end_of(first), W_EXITCODE(SUPERSEDED, 0));
    CHECK_HAS(events(), "\"superseded\"");
    CHECK(!strstr(events(), "generation 1:"));
}

/* Another host takes over while this one still reads the image. */
static void a_run_fenced_while_it_restarts_starts_nothing(void)
{
    struct job_checkpoint c;
    uint64_t epoch;
    pid_t first;

    fresh();
    first = front("echo $$ >> pid; exec sleep 1000");
    CHECK(wait_for("pid", "\n"));
    CHECK(ask(false, &c));
    CHECK(ask(true, &c));
    CHECK_INT(end_of(first), W_EXITCODE(JOB_EXIT_STOPPED, 0));
    put("pid", "");
    file_engine_faults.restart_until = "read";
    first = front("true");
    CHECK(wait_for("job/epoch", "\"epoch\": 2"));
    CHECK(store_epoch_take(store, "elsewhere", 1, "", &epoch, &e) == 0);
    put("read", "");
    CHECK_INT(end_of(first), W_EXITCODE(NOT_STARTED, 0));
    CHECK_HAS(get("why"), "superseded");
    CHECK_STR(get("pid"), "");
    CHECK(!strstr(events(), "restart-failed"));
}

/* Of two runs that begin at once one may take a second number. */
static bool wait_for_epoch(uint64_t least)
{
    struct store_epoch run = {0};

    for (int i = 0; i < PATIENCE_MS / 10; i++) {
        if (store_epoch_current(store, &run, &e) == 0 && run.epoch >= least)
            return true;
        nap_ms(10);
    }
    return false;
}

/* Two starters, of which neither sees the other's epoch before it takes its own. */
static void of_two_that_begin_at_once_one_goes_on(void)
{
    struct job_checkpoint c;
    pid_t pids[2];
    int status[2];

    for (int i = 0; i < 10; i++) {
        fresh();
        pids[0] = counting();
        CHECK(ask(true, &c));
        CHECK_INT(end_of(pids[0]), W_EXITCODE(JOB_EXIT_STOPPED, 0));
        pids[0] = front(counter);
        pids[1] = front(counter);
        CHECK(wait_for_epoch(3));
        enough();
        for (int k = 0; k < 2; k++)
            status[k] = end_of(pids[k]);
        CHECK((status[0] == W_EXITCODE(5, 0)) != (status[1] == W_EXITCODE(5, 0)));
        CHECK(count_is_whole());
    }
}

/* Files cannot grow: as on a full disk. */
static void the_end_is_known_where_nothing_can_be_written(void)
{
    const struct rlimit none = {0, RLIM_INFINITY}, all = {RLIM_INFINITY, RLIM_INFINITY};

    fresh();
    CHECK_INT(run("echo once >> log; exit 7"), W_EXITCODE(7, 0));
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &none);
    CHECK_INT(run("echo twice >> log"), W_EXITCODE(7, 0));
    setrlimit(RLIMIT_FSIZE, &all);
    signal(SIGXFSZ, SIG_DFL);
    CHECK_STR(get("log"), "once\n");
}

static void the_end_is_recorded_on_a_full_disk(void)
{
    int code = -1;

    fresh();
    setenv("QCKPT_TESTING", "1", 1);
    setenv("QCKPT_FAULT", "store.done:fail", 1);
    CHECK_INT(run("exit 7"), W_EXITCODE(7, 0));
    unsetenv("QCKPT_FAULT");
    CHECK(store_done_read(store, &code, NULL, &e) == 0);
    CHECK_INT(code, 7);
    CHECK_INT(run("echo twice >> log"), W_EXITCODE(7, 0));
    CHECK_STR(get("log"), "");
    CHECK(access("job/spare.1", F_OK) < 0);
}

static void a_fenced_run_does_not_say_that_the_job_is_done(void)
{
    struct err none = {0};
    uint64_t epoch;
    int status;
    pid_t first;

    fresh();
    first = front("while [ ! -e go ]; do sleep 0.01; done; exit 3");
    CHECK(wait_for("job/log.jsonl", "launched"));
    CHECK(store_epoch_take(store, "elsewhere", 1, "", &epoch, &e) == 0);
    put("go", "");
    CHECK_INT(end_of(first), W_EXITCODE(SUPERSEDED, 0));
    CHECK(store_done_read(store, &status, NULL, &none) < 0);
    CHECK_INT(none.kind, ERR_NOTHING);
}

static void a_job_that_may_be_done_is_not_run(void)
{
    fresh();
    CHECK_INT(run("echo once >> log"), 0);
    put("job/done.json", "{\"format\":1,");
    CHECK_INT(run("echo twice >> log"), W_EXITCODE(NOT_STARTED, 0));
    CHECK_HAS(get("why"), "done.json");
    CHECK_STR(get("log"), "once\n");
}

static void a_refusal_is_logged_once_for_the_timer(void)
{
    const char *at;
    int count = 0;
    pid_t pid;

    fresh();
    file_engine_faults.refuse = true;
    config.interval_s = 1;
    pid = front(counter);
    CHECK(wait_for("asked", ".."));
    CHECK_INT(counted(pid), W_EXITCODE(5, 0));
    for (at = events(); (at = strstr(at, "checkpoint-refused")); at++)
        count++;
    CHECK_INT(count, 1);
}

static void an_exclusive_run_lets_the_other_be(void)
{
    pid_t first;

    fresh();
    first = counting();
    config.exclusive = true;
    CHECK_INT(run(counter), W_EXITCODE(NOT_STARTED, 0));
    CHECK_HAS(get("why"), "is running already");
    CHECK_INT(counted(first), W_EXITCODE(5, 0));
    CHECK(count_is_whole());
}

/* Connects to the control socket, says `text`, and returns the descriptor. */
static int say(const char *text, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct store_epoch epoch;
    size_t length;

    CHECK(store_epoch_current(store, &epoch, &e) == 0);
    length = strlen(epoch.socket);
    memcpy(address.sun_path + 1, epoch.socket, length);
    CHECK(connect(fd, (struct sockaddr *)&address,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)) ==
          0);
    CHECK(send(fd, text, size, MSG_NOSIGNAL) == (ssize_t)size);
    return fd;
}

static void nonsense_on_the_socket_harms_nobody(void)
{
    static char noise[4096];
    struct job_checkpoint c;
    char answer[512] = "";
    int fds[60];
    pid_t pid;

    fresh();
    pid = counting();
    memset(noise, 'x', sizeof(noise));
    for (int i = 0; i < 20; i++)
        fds[i] = say("{\"op\":", 6);
    for (int i = 20; i < 40; i++)
        fds[i] = say(noise, sizeof(noise));
    for (int i = 40; i < 60; i++)
        fds[i] = say("{\"op\":\"dance\"}\n", 15);
    CHECK(recv(fds[59], answer, sizeof(answer) - 1, 0) > 0);
    CHECK_HAS(answer, "\"ok\":false");
    CHECK(ask(false, &c));
    for (int i = 0; i < 60; i++)
        close(fds[i]);
    CHECK(ask(false, &c));
    CHECK_INT(counted(pid), W_EXITCODE(5, 0));
}

static void a_client_that_goes_away_harms_nobody(void)
{
    pid_t pid;

    fresh();
    file_engine_faults.write_ms = 100;
    pid = counting();
    close(say("{\"op\":\"checkpoint\"}\n", 20));
    CHECK(wait_for("job/log.jsonl", "generation 1:"));
    CHECK_INT(counted(pid), W_EXITCODE(5, 0));
}

static void descriptors_of_the_caller_belong_to_the_job_alone(void)
{
    int ends[2];
    char c;
    pid_t pid;

    fresh();
    CHECK(pipe(ends) == 0);
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    pid = front("while [ ! -e go ]; do sleep 0.01; done;"
                "ls /proc/self/fd > fds; exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-;"
                "echo > closed; sleep 1");
    close(ends[1]);
    put("go", "");
    CHECK(wait_for("closed", "\n"));
    CHECK_INT(read(ends[0], &c, 1), 0);
    CHECK(kill(pid, 0) == 0);
    close(ends[0]);
    CHECK_INT(end_of(pid), 0);
}

static void background_processes_of_a_job_that_ended_live_on(void)
{
    pid_t child;

    fresh();
    CHECK_INT(run("setsid sh -c 'echo $$ > child; exec sleep 1000' & "
                  "while [ ! -s child ]; do sleep 0.01; done"),
              0);
    child = pid_in("child");
    CHECK(kill(child, 0) == 0);
    kill(child, SIGKILL);
}

int main(void)
{
    if (fixture_begin() < 0)
        return 1;
    RUN(a_suspended_job_can_be_stopped_at_a_checkpoint);
    RUN(the_death_of_the_front_ends_the_job);
    RUN(the_death_of_the_supervisor_ends_every_process);
    RUN(a_later_run_takes_over);
    RUN(a_fenced_run_whose_engine_fails_is_superseded);
    RUN(a_run_fenced_while_it_saves_kills_its_copy);
    RUN(a_run_fenced_while_it_restarts_starts_nothing);
    RUN(of_two_that_begin_at_once_one_goes_on);
    RUN(the_end_is_known_where_nothing_can_be_written);
    RUN(the_end_is_recorded_on_a_full_disk);
    RUN(a_fenced_run_does_not_say_that_the_job_is_done);
    RUN(a_job_that_may_be_done_is_not_run);
    RUN(a_refusal_is_logged_once_for_the_timer);
    RUN(an_exclusive_run_lets_the_other_be);
    RUN(nonsense_on_the_socket_harms_nobody);
    RUN(a_client_that_goes_away_harms_nobody);
    RUN(descriptors_of_the_caller_belong_to_the_job_alone);
    RUN(background_processes_of_a_job_that_ended_live_on);
    return fixture_end();
}
