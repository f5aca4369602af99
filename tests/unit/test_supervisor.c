/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The supervisor with real processes and a real store, under an engine that is easy to
 * make fail (file_engine.h). The same with the native engine: tests/cli/job-*.t.
 */
#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "file_engine.h"
#include "job/job.h"
#include "store/store.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

enum { PATIENCE_MS = 10000, NOT_STARTED = 200, SUPERSEDED = 201, LOST = 202 };

/* Counts in "state", a line a number, up to the number in "last"; then exits with 5. */
static const char counter[] =
    "trap 'echo usr1 >> signals' USR1; n=$(wc -l < state);"
    "while [ $n -lt $(cat last) ]; do n=$((n+1)); echo $n >> state; sleep 0.01; done;"
    "exit 5";

static struct job_config config;
static struct store *store;
static struct err e;

static void nap_ms(long ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

static void put(const char *name, const char *text)
{
    auto_fd int fd = open("new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    CHECK(rename("new", name) == 0);
}

/* The text of a file; static, "" when there is none. */
static const char *get(const char *name)
{
    static char text[1 << 20];
    auto_fd int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static const char *events(void)
{
    return get("job/log.jsonl");
}

static bool wait_for(const char *name, const char *part)
{
    for (int i = 0; i < PATIENCE_MS / 10; i++) {
        if (strstr(get(name), part))
            return true;
        nap_ms(10);
    }
    printf("# waited in vain for '%s' in %s: %s\n", part, name, get(name));
    return false;
}

static pid_t pid_in(const char *name)
{
    return (pid_t)strtol(get(name), NULL, 10);
}

static bool is_gone(pid_t pid)
{
    for (int i = 0; i < PATIENCE_MS / 10; i++) {
        if (kill(pid, 0) < 0 && errno == ESRCH)
            return true;
        nap_ms(10);
    }
    return false;
}

static void fresh(void)
{
    static int number;
    char name[32];
    struct err ignored = {0};

    if (store)
        store_close(store);
    snprintf(name, sizeof(name), "../%d", ++number);
    if (mkdir(name, 0700) < 0 || chdir(name) < 0)
        perror(name);
    put("state", "");
    put("last", "40");
    store = store_open_dir("job", true, &ignored);
    CHECK(store != NULL);
    err_clear(&e);
    file_engine_faults = (struct file_engine_faults){0};
    config = (struct job_config){
        .store = store, .engine = &file_engine, .envp = environ, .may_launch = true};
}

/* Starts a front that runs `script`, in a process group of its own. */
static pid_t front(const char *script)
{
    static char *argv[] = {"sh", "-c", NULL, NULL};
    enum job_outcome outcome;
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid != 0)
        return pid;
    setpgid(0, 0);
    argv[2] = (char *)script;
    config.path = "sh";
    config.argv = argv;
    if (job_run(&config, &status, &outcome, &e) < 0) {
        put("why", e.text);
        _exit(NOT_STARTED);
    }
    if (outcome == JOB_SUPERSEDED)
        _exit(SUPERSEDED);
    if (outcome == JOB_LOST)
        _exit(LOST);
    job_exit_as(outcome == JOB_STOPPED ? W_EXITCODE(JOB_EXIT_STOPPED, 0) : status);
}

/* The wait status of the front; -1 when it does not end. */
static int end_of(pid_t pid)
{
    int status;

    for (int i = 0; i < PATIENCE_MS / 10; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
        nap_ms(10);
    }
    printf("# process %d does not end\n", pid);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -1;
}

static int run(const char *script)
{
    int status = end_of(front(script));

    if (status == W_EXITCODE(NOT_STARTED, 0))
        printf("# not started: %s\n", get("why"));
    return status;
}

static bool ask(bool stop, struct job_checkpoint *result)
{
    err_clear(&e);
    return job_request_checkpoint(store, stop, 10, NULL, NULL, result, &e) == 0;
}

/* Every number once, in order: nothing was lost, nothing was done twice. */
static bool count_is_whole(int last)
{
    const char *at = get("state");
    char *end;

    for (int i = 1; i <= last; i++) {
        if (strtol(at, &end, 10) != i)
            return false;
        at = end;
    }
    return strcmp(at, "\n") == 0;
}

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
    pid = front(counter);
    CHECK(wait_for("state", "\n3\n"));
    CHECK(ask(false, &c));
    CHECK_INT(c.generation, 1);
    CHECK_INT(c.stats.bytes, 4096);
    CHECK(ask(false, &c));
    CHECK_INT(c.generation, 2);
    CHECK_INT(end_of(pid), W_EXITCODE(5, 0));
    CHECK(count_is_whole(40));
    CHECK_HAS(events(), "\"event\":\"checkpoint\"");
}

static void a_stopped_job_continues_where_it_was(void)
{
    struct job_checkpoint c = {0};
    pid_t pid;

    fresh();
    pid = front(counter);
    CHECK(wait_for("state", "\n3\n"));
    CHECK(ask(true, &c));
    CHECK_INT(end_of(pid), W_EXITCODE(JOB_EXIT_STOPPED, 0));
    CHECK_INT(run(counter), W_EXITCODE(5, 0));
    CHECK(count_is_whole(40));
    CHECK_HAS(events(), "restarted from generation 1");
}

static void a_damaged_generation_gives_way_to_the_one_before(void)
{
    struct job_checkpoint c;
    pid_t pid;

    fresh();
    pid = front(counter);
    CHECK(wait_for("state", "\n3\n"));
    CHECK(ask(false, &c));
    CHECK(ask(true, &c));
    end_of(pid);
    file_engine_faults.restart_corrupt = true;
    CHECK_INT(run(counter), W_EXITCODE(5, 0));
    CHECK_HAS(events(), "generation-rejected");
    CHECK_HAS(events(), "restarted from generation 1");
}

static void what_cannot_be_restarted_here_is_not_launched_afresh(void)
{
    struct job_checkpoint c;
    pid_t pid;

    fresh();
    pid = front(counter);
    CHECK(wait_for("state", "\n3\n"));
    CHECK(ask(true, &c));
    end_of(pid);
    file_engine_faults.restart_hopeless = true;
    CHECK_INT(run(counter), W_EXITCODE(NOT_STARTED, 0));
    CHECK_HAS(get("why"), "user namespaces are forbidden");
    CHECK_HAS(events(), "restart-failed");
    file_engine_faults.restart_hopeless = false;
    CHECK_INT(run(counter), W_EXITCODE(5, 0));
    CHECK(count_is_whole(40));
}

static void nothing_to_restart_from_is_said(void)
{
    fresh();
    config.may_launch = false;
    CHECK_INT(run(counter), W_EXITCODE(NOT_STARTED, 0));
    CHECK_HAS(get("why"), "no checkpoint to restart from");
}

static void a_refused_job_runs_on(void)
{
    struct job_checkpoint c;
    pid_t pid;

    fresh();
    file_engine_faults.refuse = true;
    pid = front(counter);
    CHECK(wait_for("state", "\n3\n"));
    CHECK(!ask(true, &c));
    CHECK_INT(e.kind, ERR_REFUSED);
    CHECK_HAS(e.text, "/dev/nvidia0");
    CHECK_INT(end_of(pid), W_EXITCODE(5, 0));
    CHECK(count_is_whole(40));
    CHECK_HAS(events(), "checkpoint-refused");
}

static void a_stop_that_fails_lets_the_job_run_on(void)
{
    struct job_checkpoint c;
    pid_t pid;

    fresh();
    file_engine_faults.finish_fails = true;
    pid = front(counter);
    CHECK(wait_for("state", "\n3\n"));
    CHECK(!ask(true, &c));
    CHECK_INT(e.kind, ERR_SYS);
    CHECK_INT(e.sys, ENOSPC);
    CHECK_INT(end_of(pid), W_EXITCODE(5, 0));
    CHECK(count_is_whole(40));
}

static void requests_that_come_meanwhile_follow(void)
{
    struct job_checkpoint c = {0};
    pid_t pid, asker;

    fresh();
    file_engine_faults.write_ms = 300;
    put("last", "1000");
    pid = front(counter);
    CHECK(wait_for("state", "\n3\n"));
    fflush(stdout);
    asker = fork();
    if (asker == 0)
        _exit(ask(false, &c) ? (int)c.generation : 0);
    nap_ms(100);
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
    file_engine_faults.write_ms = 300;
    file_engine_faults.finish_fails = true;
    pid = front(counter);
    CHECK(wait_for("state", "\n3\n"));
    fflush(stdout);
    asker = fork();
    if (asker == 0)
        _exit(ask(true, &c) ? 0 : 1);
    nap_ms(100);
    kill(pid, SIGUSR1);
    nap_ms(100);
    CHECK_STR(get("signals"), "");
    CHECK_INT(end_of(asker), W_EXITCODE(1, 0));
    CHECK(wait_for("signals", "usr1"));
    CHECK_INT(end_of(pid), W_EXITCODE(5, 0));
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
    CHECK(kill((pid_t)strtol(get("child"), NULL, 10), 0) < 0);
    CHECK_INT(store_done_read(store, &status, NULL, &e), -1);
    CHECK_INT(e.kind, ERR_NOTHING);
    put("again", "");
    CHECK_INT(run("false"), W_EXITCODE(7, 0));
}

static void the_interval_makes_checkpoints(void)
{
    pid_t pid;

    fresh();
    put("last", "250");
    config.interval_s = 1;
    pid = front(counter);
    CHECK(wait_for("job/log.jsonl", "generation 2:"));
    CHECK_INT(end_of(pid), W_EXITCODE(5, 0));
    CHECK(count_is_whole(250));
}

static void signals_reach_the_job(void)
{
    pid_t pid;

    fresh();
    pid = front(counter);
    CHECK(wait_for("state", "\n3\n"));
    kill(pid, SIGUSR1);
    CHECK(wait_for("signals", "usr1"));
    CHECK_INT(end_of(pid), W_EXITCODE(5, 0));
    fresh();
    pid = front(counter);
    CHECK(wait_for("state", "\n3\n"));
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

static void stopping_the_group_suspends_the_job(void)
{
    auto_free char *before = NULL;
    pid_t pid;

    fresh();
    pid = front(counter);
    CHECK(wait_for("state", "\n3\n"));
    kill(-pid, SIGSTOP);
    CHECK(wait_for("job/log.jsonl", "suspended"));
    nap_ms(50);
    before = strdup(get("state"));
    nap_ms(200);
    CHECK_STR(get("state"), before);
    kill(-pid, SIGCONT);
    CHECK_INT(end_of(pid), W_EXITCODE(5, 0));
    CHECK(count_is_whole(40));
}

static void a_suspended_job_can_be_stopped_at_a_checkpoint(void)
{
    struct job_checkpoint c;
    pid_t pid;

    fresh();
    pid = front(counter);
    CHECK(wait_for("state", "\n3\n"));
    kill(-pid, SIGSTOP);
    CHECK(wait_for("job/log.jsonl", "suspended"));
    CHECK(ask(true, &c));
    CHECK_INT(end_of(pid), W_EXITCODE(JOB_EXIT_STOPPED, 0));
    CHECK_INT(run(counter), W_EXITCODE(5, 0));
    CHECK(count_is_whole(40));
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
    put("last", "300");
    first = front(counter);
    CHECK(wait_for("state", "\n3\n"));
    CHECK(ask(false, &c));
    second = front(counter);
    CHECK_INT(end_of(first), W_EXITCODE(SUPERSEDED, 0));
    put("last", "40");
    CHECK_INT(end_of(second), W_EXITCODE(5, 0));
    CHECK_HAS(events(), "superseded");
    CHECK_HAS(get("job/epoch"), "2");
}

/* Another host has taken the epoch, and nobody told this one. */
static void a_run_fenced_while_it_saves_kills_its_copy(void)
{
    uint64_t epoch;
    pid_t first;

    fresh();
    file_engine_faults.write_ms = 500;
    config.interval_s = 1;
    put("last", "1000");
    first = front(counter);
    CHECK(wait_for("job/log.jsonl", "generation 1:"));
    CHECK(store_epoch_take(store, "elsewhere", 1, "", &epoch, &e) == 0);
    CHECK_INT(end_of(first), W_EXITCODE(SUPERSEDED, 0));
    CHECK_HAS(events(), "\"superseded\"");
    CHECK(!strstr(events(), "generation 2:"));
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
    file_engine_faults.restart_ms = 1000;
    first = front("true");
    CHECK(wait_for("job/epoch", "\"epoch\": 2"));
    CHECK(store_epoch_take(store, "elsewhere", 1, "", &epoch, &e) == 0);
    CHECK_INT(end_of(first), W_EXITCODE(NOT_STARTED, 0));
    CHECK_HAS(get("why"), "superseded");
    CHECK_STR(get("pid"), "");
    CHECK(!strstr(events(), "restart-failed"));
}

/* Two starters, of which neither sees the other's epoch before it takes its own. */
static void of_two_that_begin_at_once_one_goes_on(void)
{
    struct job_checkpoint c;
    pid_t pids[2];
    int first, second;

    for (int i = 0; i < 10; i++) {
        fresh();
        pids[0] = front(counter);
        CHECK(wait_for("state", "\n3\n"));
        CHECK(ask(true, &c));
        CHECK_INT(end_of(pids[0]), W_EXITCODE(JOB_EXIT_STOPPED, 0));
        pids[0] = front(counter);
        pids[1] = front(counter);
        first = end_of(pids[0]);
        second = end_of(pids[1]);
        CHECK((first == W_EXITCODE(5, 0)) != (second == W_EXITCODE(5, 0)));
        CHECK(count_is_whole(40));
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
    put("last", "250");
    pid = front(counter);
    CHECK_INT(end_of(pid), W_EXITCODE(5, 0));
    for (at = events(); (at = strstr(at, "checkpoint-refused")); at++)
        count++;
    CHECK_INT(count, 1);
}

static void an_exclusive_run_lets_the_other_be(void)
{
    pid_t first;

    fresh();
    first = front(counter);
    CHECK(wait_for("state", "\n3\n"));
    config.exclusive = true;
    CHECK_INT(run(counter), W_EXITCODE(NOT_STARTED, 0));
    CHECK_HAS(get("why"), "is running already");
    CHECK_INT(end_of(first), W_EXITCODE(5, 0));
    CHECK(count_is_whole(40));
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
    put("last", "100");
    pid = front(counter);
    CHECK(wait_for("state", "\n3\n"));
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
    CHECK_INT(end_of(pid), W_EXITCODE(5, 0));
}

static void a_client_that_goes_away_harms_nobody(void)
{
    pid_t pid;

    fresh();
    file_engine_faults.write_ms = 100;
    pid = front(counter);
    CHECK(wait_for("state", "\n3\n"));
    close(say("{\"op\":\"checkpoint\"}\n", 20));
    CHECK(wait_for("job/log.jsonl", "generation 1:"));
    CHECK_INT(end_of(pid), W_EXITCODE(5, 0));
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
    char dir[] = "/tmp/test-supervisor-XXXXXX";
    char remove[128];

    if (!mkdtemp(dir) || chdir(dir) < 0 || mkdir("0", 0700) < 0 || chdir("0") < 0)
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
    RUN(signals_reach_the_job);
    RUN(an_ignored_signal_stays_ignored);
    RUN(stopping_the_group_suspends_the_job);
    RUN(a_suspended_job_can_be_stopped_at_a_checkpoint);
    RUN(the_death_of_the_front_ends_the_job);
    RUN(the_death_of_the_supervisor_ends_every_process);
    RUN(a_later_run_takes_over);
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
    store_close(store);
    snprintf(remove, sizeof(remove), "%s", dir);
    io_remove_tree(AT_FDCWD, remove, &e);
    return tap_done();
}
