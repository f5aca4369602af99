/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How the door and the coordinator begin, what they hold, and how they end. */
#include "door_fake.h"

#include "base/err.h"
#include "base/io.h"
#include "base/spawn.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
static void closing_does_not_wait_for_other_children(void)
{
    struct rig r = rig_open(fake_program, 10);
    struct timespec from, to;
    pid_t child;

    if (!fake_opened(&r))
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
    r = rig_open(fake_program, 10);
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    close(high);
    close(higher);
    close(ends_[1]);
    CHECK_INT(poll(&(struct pollfd){ends_[0], POLLIN, 0}, 1, WAIT_MS), 1);
    close(ends_[0]);
    if (!fake_opened(&r))
        return;
    fake_ask(&r, 'o'); /* then it has closed what it had open for its start */
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
    struct rig r = rig_open(fake_program, 10);

    if (!fake_opened(&r))
        return;
    close(fake_join(&r));
    /* The stand-in asks every millisecond: it must stand still to be no reason. */
    CHECK_INT(kill(r.coordinator, SIGSTOP), 0);
    CHECK(is_idle(door_pid(r.door)));
    rig_close(&r);
}

static void when_the_door_dies_so_does_the_coordinator(void)
{
    struct rig r = rig_open(fake_program, 10);

    if (!fake_opened(&r))
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
    struct told told = {.rig = rig_open(fake_program, 10)};

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
    struct rig r = rig_open(fake_program, 10);
    int worker;

    (void)arg;
    if (!fake_opened(&r))
        return 1;
    worker = fake_join(&r);
    fake_request(&r, 'c');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    fake_release(&r);
    CHECK_STR(fake_passed(worker, WAIT_MS), "DMT:WriteCkpt");
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
    r = rig_open(fake_program, 10);
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
    r = rig_open(fake_program, 10);
    unsetenv("FAKE_COORDINATOR");
    CHECK_STR(r.error, "failed: DMTCP's coordinator ended with status 9; the last line "
                       "of its log: no memory for the table");
    rig_close(&r);
}

static void a_coordinator_that_says_nothing_times_out(void)
{
    struct rig r;

    setenv("FAKE_COORDINATOR", "silent", 1);
    r = rig_open(fake_program, 1);
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
    r = rig_open(fake_program, 10);
    CHECK_HAS(r.error, "refused: DMTCP needs 1024 open files");
    CHECK_HAS(r.error, "512");
    rig_close(&r);
    return tap_test_failed;
}

static void too_few_open_files_are_named(void)
{
    CHECK_INT(status_of(as_user(getuid(), open_with_few_files, NULL)), 0);
}

int main(void)
{
    char dir[64] = "/tmp/qckpt-door-XXXXXX";
    struct err ignored;

    fake_prepare(dir);
    RUN(closing_does_not_wait_for_other_children);
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
    io_remove_tree(AT_FDCWD, dir, &ignored);
    return tap_done();
}
