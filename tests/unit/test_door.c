/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The door before a stand-in for dmtcp_coordinator (fake_coordinator.c). */
#include "door_rig.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "base/spawn.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_SIZE = 100 }; /* fake_coordinator.c's */

/* A copy where every user can execute it. */
static char coordinator[64];

static bool opened(const struct rig *r)
{
    if (!r->door)
        printf("# %s\n", r->error);
    CHECK(r->door != NULL);
    return r->door != NULL;
}

/* A worker that has been welcomed. */
static int join(const struct rig *r)
{
    char welcome[8] = "";
    int fd = rig_connect(r, 'w');

    CHECK_INT(recv(fd, welcome, sizeof(welcome), MSG_WAITALL), sizeof(welcome));
    CHECK_STR(welcome, "welcome");
    return fd;
}

/* Does not wait for the end of it, but does not hang up either. */
static void request(const struct rig *r, char word)
{
    static int last = -1;

    if (last >= 0)
        close(last);
    last = rig_connect(r, word);
    CHECK(last >= 0);
}

/* A request that the coordinator has served when this returns. */
static void ask(const struct rig *r, char word)
{
    char none;
    int fd = rig_connect(r, word);

    CHECK_INT(recv(fd, &none, 1, 0), 0);
    close(fd);
}

/* Whether the worker has still not got the barrier's name after a while: the message
 * before it has come. */
static bool stands_still(int worker, int ms)
{
    int size = -1;

    usleep(ms * 1000);
    return ioctl(worker, FIONREAD, &size) == 0 && size <= MESSAGE_SIZE;
}

/* The barrier that lets the worker pass, or "" when none comes. */
static const char *passed(int worker, int ms)
{
    static char name[64];
    char message[MESSAGE_SIZE];
    struct pollfd fd = {worker, POLLIN, 0};

    name[0] = '\0';
    if (poll(&fd, 1, ms) == 1 &&
        recv(worker, message, sizeof(message), MSG_WAITALL) == sizeof(message) &&
        poll(&fd, 1, ms) == 1)
        CHECK(recv(worker, name, sizeof(name), 0) > 0);
    return name;
}

static void release(struct rig *r)
{
    struct err e = {0};

    CHECK_INT(door_release(r->door, &e), 0);
    CHECK_STR(e.text, "");
}

static void a_checkpoint_is_held_until_it_is_released(void)
{
    struct rig r = rig_open(coordinator, 10);
    int first, second;

    if (!opened(&r))
        return;
    first = join(&r);
    second = join(&r);
    ask(&r, 's');
    CHECK_STR(passed(first, WAIT_MS), "DMT:SUSPEND");
    CHECK_STR(passed(second, WAIT_MS), "DMT:SUSPEND");
    CHECK_INT(rig_event(&r, 50), DOOR_NOTHING);
    request(&r, 'c');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    CHECK_STR(r.text, "");
    CHECK(stands_still(first, 200));
    CHECK(stands_still(second, 0));
    release(&r);
    CHECK_STR(passed(second, WAIT_MS), "DMT:WriteCkpt");
    /* One event for a barrier, however many pass it. */
    CHECK_INT(rig_event(&r, 50), DOOR_NOTHING);
    close(first);
    close(second);
    rig_close(&r);
}

static void each_checkpoint_is_told_once(void)
{
    struct rig r = rig_open(coordinator, 10);
    int worker;

    if (!opened(&r))
        return;
    worker = join(&r);
    for (int i = 0; i < 3; i++) {
        ask(&r, 's');
        CHECK_STR(passed(worker, WAIT_MS), "DMT:SUSPEND");
        request(&r, 'c');
        CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
        release(&r);
        CHECK_STR(passed(worker, WAIT_MS), "DMT:WriteCkpt");
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

/* The coordinator rejects them until all have said that they run. */
static void new_processes_wait_while_a_job_gets_going_again(void)
{
    struct rig r = rig_open(coordinator, 10);
    long long since;
    int worker;

    if (!opened(&r))
        return;
    worker = join(&r);
    request(&r, 'c');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    since = now_ms();
    release(&r);
    CHECK_STR(passed(worker, WAIT_MS), "DMT:WriteCkpt");
    close(join(&r));
    CHECK(now_ms() - since >= 200);
    since = now_ms();
    close(join(&r));
    CHECK(now_ms() - since < 200);
    close(worker);
    rig_close(&r);
}

static void a_restart_is_held_and_then_a_checkpoint(void)
{
    struct rig r = rig_open(coordinator, 10);
    int worker;

    if (!opened(&r))
        return;
    worker = join(&r);
    request(&r, 'r');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_RESTORED);
    CHECK(stands_still(worker, 100));
    release(&r);
    CHECK_STR(passed(worker, WAIT_MS), "DMT:Restart");
    ask(&r, 's');
    CHECK_STR(passed(worker, WAIT_MS), "DMT:SUSPEND");
    request(&r, 'c');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    release(&r);
    CHECK_STR(passed(worker, WAIT_MS), "DMT:WriteCkpt");
    close(worker);
    rig_close(&r);
}

static void other_texts_of_that_length_pass(void)
{
    struct rig r = rig_open(coordinator, 10);
    int worker;

    if (!opened(&r))
        return;
    worker = join(&r);
    ask(&r, 'o');
    CHECK_STR(passed(worker, WAIT_MS), "DMT:another");
    CHECK_INT(rig_event(&r, 20), DOOR_NOTHING);
    close(worker);
    rig_close(&r);
}

static void a_signal_does_not_end_the_hold(void)
{
    struct rig r = rig_open(coordinator, 10);
    int worker;

    if (!opened(&r))
        return;
    worker = join(&r);
    request(&r, 'c');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    CHECK_INT(kill(r.coordinator, SIGALRM), 0);
    CHECK(stands_still(worker, 200));
    CHECK_INT(rig_event(&r, 0), DOOR_NOTHING);
    release(&r);
    CHECK_STR(passed(worker, WAIT_MS), "DMT:WriteCkpt");
    close(worker);
    rig_close(&r);
}

static void a_held_coordinator_can_be_closed(void)
{
    struct rig r = rig_open(coordinator, 10);
    int worker;
    pid_t door;

    if (!opened(&r))
        return;
    worker = join(&r);
    request(&r, 'c');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    door = door_pid(r.door);
    rig_close(&r);
    CHECK(kill(r.coordinator, 0) < 0 && errno == ESRCH);
    CHECK(kill(door, 0) < 0 && errno == ESRCH);
    close(worker);
}

static void closing_does_not_wait_for_other_children(void)
{
    struct rig r = rig_open(coordinator, 10);
    struct timespec from, to;
    pid_t child;

    if (!opened(&r))
        return;
    /* Holds a copy of everything that the door's owner has open. */
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    clock_gettime(CLOCK_MONOTONIC, &from);
    rig_close(&r);
    clock_gettime(CLOCK_MONOTONIC, &to);
    CHECK(to.tv_sec - from.tv_sec < 3);
    kill(child, SIGKILL);
    status_of(child);
}

static int connect_and_be_silent(void *arg)
{
    const struct rig *r = arg;
    char none;
    int fd = rig_connect(r, 0);

    /* Turned away: the end of the connection, and not our patience's. */
    return fd >= 0 && recv(fd, &none, 1, 0) == 0 ? 0 : 1;
}

static void a_silent_stranger_blocks_nobody_and_is_told_of(void)
{
    struct rig r;
    char name[32];
    pid_t stranger;
    int worker;

    if (getuid() != 0)
        SKIP("only root can be another user");
    r = rig_open(coordinator, 10);
    if (!opened(&r))
        return;
    stranger = as_user(STRANGER, connect_and_be_silent, &r);
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_STRANGER);
    snprintf(name, sizeof(name), "user %u (process %d)", STRANGER, stranger);
    CHECK_HAS(r.text, name);
    CHECK_INT(status_of(stranger), 0);
    worker = join(&r);
    request(&r, 'c');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    release(&r);
    CHECK_STR(passed(worker, WAIT_MS), "DMT:WriteCkpt");
    /* The next ones are counted, not told: nobody fills the job's log. */
    for (int i = 0; i < 20; i++)
        CHECK_INT(status_of(as_user(STRANGER, connect_and_be_silent, &r)), 0);
    CHECK_INT(rig_event(&r, 50), DOOR_NOTHING);
    close(worker);
    rig_close(&r);
}

static int kill_and_hang_up(void *arg)
{
    int fd = rig_connect(arg, 'k');

    close(fd);
    return fd >= 0 ? 0 : 1;
}

static int kill_and_reset(void *arg)
{
    struct linger linger = {1, 0};
    int fd = rig_connect(arg, 'k');

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
    return fd >= 0 ? 0 : 1;
}

/* The kernel says of a socket that nobody holds any more that it is root's. */
static void a_stranger_who_hangs_up_at_once_does_not_pass_for_root(void)
{
    struct rig r;

    if (getuid() != 0)
        SKIP("only root can be another user");
    r = rig_open(coordinator, 10);
    if (!opened(&r))
        return;
    /* Gone before the door looks: the connections wait in the queue. */
    CHECK_INT(kill(door_pid(r.door), SIGSTOP), 0);
    CHECK_INT(status_of(as_user(STRANGER, kill_and_hang_up, &r)), 0);
    CHECK_INT(status_of(as_user(STRANGER, kill_and_reset, &r)), 0);
    CHECK_INT(kill(door_pid(r.door), SIGCONT), 0);
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_STRANGER);
    CHECK_HAS(r.text, "hung up");
    close(join(&r));
    CHECK_INT(rig_event(&r, 50), DOOR_NOTHING);
    rig_close(&r);
}

static void the_users_own_commands_reach_the_coordinator(void)
{
    struct rig r = rig_open(coordinator, 10);

    if (!opened(&r))
        return;
    ask(&r, 'k');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_CLOSED);
    CHECK_STR(r.text, "DMTCP's coordinator ended with status 3; the last line of its "
                      "log: killed by a command");
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_CLOSED);
    CHECK_HAS(r.text, "killed by a command");
    rig_close(&r);
}

/* Whether only `count` descriptors of the list are open in the process. */
static bool holds_only(pid_t pid, const int *list, int count)
{
    char path[64];
    struct dirent *entry;
    bool only = true;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        int fd = strtol(entry->d_name, NULL, 10), known = 0;

        if (entry->d_name[0] == '.')
            continue;
        for (int i = 0; i < count; i++)
            known |= list[i] == fd;
        if (!known)
            printf("# process %d holds descriptor %d\n", pid, fd);
        only = only && known;
    }
    if (dir)
        closedir(dir);
    return dir && only;
}

/* As /proc has it: the kernel blocks neither SIGKILL nor SIGSTOP. */
static uint64_t helper_mask(void)
{
    sigset_t set;
    uint64_t bits = 0;

    spawn_helper_mask(&set);
    sigdelset(&set, SIGKILL);
    sigdelset(&set, SIGSTOP);
    for (int i = 1; i < NSIG; i++)
        bits |= sigismember(&set, i) == 1 ? UINT64_C(1) << (i - 1) : 0;
    return bits;
}

static void nothing_of_the_callers_leaks(void)
{
    static const int theirs[] = {0, 1, 2, 821};
    sigset_t all, before;
    struct rig r;
    int ends_[2], high, higher;

    /* As careless as a caller can be: no O_CLOEXEC, all blocked, some ignored. */
    CHECK_INT(pipe(ends_), 0);
    high = fcntl(ends_[1], F_DUPFD, 821);
    CHECK_INT(high, 821);
    higher = fcntl(ends_[1], F_DUPFD, 1000);
    CHECK(higher >= 1000);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    r = rig_open(coordinator, 10);
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    close(high);
    close(higher);
    close(ends_[1]);
    CHECK_INT(poll(&(struct pollfd){ends_[0], POLLIN, 0}, 1, WAIT_MS), 1);
    close(ends_[0]);
    if (!opened(&r))
        return;
    ask(&r, 'o'); /* then it has closed what it had open for its start */
    CHECK(holds_only(r.coordinator, theirs, 4));
    CHECK_INT(proc_status(r.coordinator, "SigBlk", 16), (long long)helper_mask());
    /* A write to a process that has just ended is no reason to end. (32 and 33 are the
     * C library's own: what posix_spawn(3) starts ignores them, and nobody can change
     * that.) */
    CHECK_INT(proc_status(r.coordinator, "SigIgn", 16) & ~(3LL << 31),
              1 << (SIGPIPE - 1));
    CHECK_INT(getsid(r.coordinator), door_pid(r.door));
    /* Grid Engine warns every process of a job. */
    CHECK_INT(kill(r.coordinator, SIGUSR1), 0);
    CHECK_INT(kill(r.coordinator, SIGUSR2), 0);
    CHECK_INT(kill(r.coordinator, SIGXCPU), 0);
    CHECK_INT(kill(r.coordinator, SIGTERM), 0);
    CHECK_INT(rig_event(&r, 300), DOOR_NOTHING);
    CHECK_INT(kill(r.coordinator, SIGABRT), 0);
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_CLOSED);
    CHECK_HAS(r.text, "killed by signal 6");
    rig_close(&r);
}

/* Whether the process does nothing at all for 0.3 s. What it was still about when it
 * was asked for the first time may take a while on a busy machine. */
static bool is_idle(pid_t pid)
{
    for (int i = 0; i < 10; i++) {
        long long before = proc_status(pid, "voluntary_ctxt_switches", 10);

        usleep(300000);
        if (proc_status(pid, "voluntary_ctxt_switches", 10) == before)
            return true;
    }
    return false;
}

static void waiting_costs_nothing(void)
{
    struct rig r = rig_open(coordinator, 10);

    if (!opened(&r))
        return;
    close(join(&r));
    /* The stand-in asks every millisecond: it must stand still to be no reason. */
    CHECK_INT(kill(r.coordinator, SIGSTOP), 0);
    CHECK(is_idle(door_pid(r.door)));
    rig_close(&r);
}

static void when_the_door_dies_so_does_the_coordinator(void)
{
    struct rig r = rig_open(coordinator, 10);

    if (!opened(&r))
        return;
    CHECK_INT(kill(door_pid(r.door), SIGKILL), 0);
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_CLOSED);
    CHECK_HAS(r.text, "the guard of DMTCP's coordinator was killed");
    CHECK(ends(r.coordinator));
    rig_close(&r);
}

struct told {
    struct rig rig;
    pid_t door, copy; /* `copy` keeps the door's channel open */
};

static _Noreturn void open_and_tell(int to)
{
    struct told told = {.rig = rig_open(coordinator, 10)};

    told.door = told.rig.door ? door_pid(told.rig.door) : 0;
    told.copy = fork();
    if (told.copy == 0 || write(to, &told, sizeof(told)) == sizeof(told))
        for (;;)
            pause();
    _exit(1);
}

static void when_the_caller_is_killed_both_are_gone(void)
{
    struct told told = {.door = 0};
    pid_t caller;
    int ends_[2];

    CHECK_INT(pipe2(ends_, O_CLOEXEC), 0);
    caller = fork();
    if (caller == 0)
        open_and_tell(ends_[1]);
    CHECK_INT(read(ends_[0], &told, sizeof(told)), sizeof(told));
    CHECK(told.door > 0 && told.rig.coordinator > 0);
    kill(caller, SIGKILL);
    status_of(caller);
    CHECK(told.door > 0 && ends(told.door));
    CHECK(told.rig.coordinator > 0 && ends(told.rig.coordinator));
    if (told.copy > 0)
        kill(told.copy, SIGKILL);
    close(ends_[0]);
    close(ends_[1]);
    told.rig.door = NULL; /* the caller's memory, not ours */
    rig_close(&told.rig);
}

static int checkpoint_once(void *arg)
{
    struct rig r = rig_open(coordinator, 10);
    int worker;

    (void)arg;
    if (!opened(&r))
        return 1;
    worker = join(&r);
    request(&r, 'c');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    release(&r);
    CHECK_STR(passed(worker, WAIT_MS), "DMT:WriteCkpt");
    rig_close(&r);
    return tap_test_failed;
}

static void an_ordinary_user_has_it_too(void)
{
    if (getuid() != 0)
        SKIP("the whole test ran as an ordinary user");
    CHECK_INT(status_of(as_user(STRANGER, checkpoint_once, NULL)), 0);
}

static void another_socket_names_the_version(void)
{
    struct rig r;

    setenv("FAKE_COORDINATOR", "port", 1);
    r = rig_open(coordinator, 10);
    unsetenv("FAKE_COORDINATOR");
    CHECK(r.door == NULL);
    CHECK_HAS(r.error, "failed: ");
    CHECK_HAS(r.error, "listens at port 7779, not at the socket that it was given");
    CHECK_HAS(r.error, "version of DMTCP");
    rig_close(&r);
}

static void a_coordinator_that_fails_is_quoted(void)
{
    struct rig r;

    setenv("FAKE_COORDINATOR", "fails", 1);
    r = rig_open(coordinator, 10);
    unsetenv("FAKE_COORDINATOR");
    CHECK_STR(r.error, "failed: DMTCP's coordinator ended with status 9; the last line "
                       "of its log: no memory for the table");
    rig_close(&r);
}

static void a_coordinator_that_says_nothing_times_out(void)
{
    struct rig r;

    setenv("FAKE_COORDINATOR", "silent", 1);
    r = rig_open(coordinator, 1);
    unsetenv("FAKE_COORDINATOR");
    CHECK_HAS(r.error, "timeout: ");
    CHECK_HAS(r.error, "did not get ready in 1 s");
    rig_close(&r);
}

static void what_is_no_program_is_named(void)
{
    struct rig r = rig_open("/nowhere/dmtcp_coordinator", 10);

    CHECK_HAS(r.error, "/nowhere/dmtcp_coordinator: No such file");
    rig_close(&r);
    r = rig_open("/etc", 10);
    CHECK_HAS(r.error, "execute /etc: Permission denied");
    rig_close(&r);
    r = rig_open("dmtcp_coordinator", 10);
    CHECK_HAS(r.error, "usage: dmtcp_coordinator: ");
    rig_close(&r);
}

static int open_with_few_files(void *arg)
{
    struct rlimit few = {512, 512};
    struct rig r;

    (void)arg;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
    r = rig_open(coordinator, 10);
    CHECK_HAS(r.error, "refused: DMTCP needs 1024 open files");
    CHECK_HAS(r.error, "512");
    rig_close(&r);
    return tap_test_failed;
}

static void too_few_open_files_are_named(void)
{
    CHECK_INT(status_of(as_user(getuid(), open_with_few_files, NULL)), 0);
}

static void a_job_across_hosts_takes_other_addresses(void)
{
    static const char *const hosts[] = {"localhost", "192.0.2.7", NULL};
    static const char *const wrong[] = {"no.such.host.invalid", NULL};
    struct rig r = {.dir = "/tmp/qckpt-door-XXXXXX"};
    struct door_how how = {.coordinator = coordinator,
                           .workdir = r.dir,
                           .tmpdir = r.dir,
                           .hosts = hosts,
                           .timeout_s = 10};
    struct err e = {0};

    CHECK(mkdtemp(r.dir) != NULL);
    r.door = door_open(&how, &e);
    CHECK_STR(e.text, "");
    if (!r.door)
        return;
    close(join(&r));
    door_close(r.door);
    how.hosts = wrong;
    r.door = door_open(&how, &e);
    CHECK(r.door == NULL);
    CHECK_HAS(e.text, "host no.such.host.invalid of the job has no IPv4 address");
    rig_close(&r);
}

static void copy_coordinator(char dir[64])
{
    auto_free char *program = NULL;
    struct err e = {0};
    size_t size = 0;
    int fd;

    snprintf(coordinator, sizeof(coordinator), "%s/fake_coordinator",
             mkdtemp(dir) ? dir : ".");
    if (chmod(dir, 0755) < 0 ||
        io_read_file(AT_FDCWD, FAKE_COORDINATOR, 1 << 26, &program, &size, &e) < 0)
        printf("# %s\n", e.text);
    fd = open(coordinator, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    if (io_write_all(fd, program, size, &e) < 0 || fchmod(fd, 0755) < 0)
        printf("# %s\n", e.text);
    close(fd);
}

int main(void)
{
    char dir[64] = "/tmp/qckpt-door-XXXXXX";
    struct err ignored;

    copy_coordinator(dir);
    RUN(a_checkpoint_is_held_until_it_is_released);
    RUN(each_checkpoint_is_told_once);
    RUN(new_processes_wait_while_a_job_gets_going_again);
    RUN(a_restart_is_held_and_then_a_checkpoint);
    RUN(other_texts_of_that_length_pass);
    RUN(a_signal_does_not_end_the_hold);
    RUN(a_held_coordinator_can_be_closed);
    RUN(closing_does_not_wait_for_other_children);
    RUN(a_silent_stranger_blocks_nobody_and_is_told_of);
    RUN(a_stranger_who_hangs_up_at_once_does_not_pass_for_root);
    RUN(the_users_own_commands_reach_the_coordinator);
    RUN(nothing_of_the_callers_leaks);
    RUN(waiting_costs_nothing);
    RUN(when_the_door_dies_so_does_the_coordinator);
    RUN(when_the_caller_is_killed_both_are_gone);
    RUN(an_ordinary_user_has_it_too);
    RUN(another_socket_names_the_version);
    RUN(a_coordinator_that_fails_is_quoted);
    RUN(a_coordinator_that_says_nothing_times_out);
    RUN(what_is_no_program_is_named);
    RUN(too_few_open_files_are_named);
    RUN(a_job_across_hosts_takes_other_addresses);
    io_remove_tree(AT_FDCWD, dir, &ignored);
    return tap_done();
}
