/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Regular files, objects, directories, devices, pipes, counters. */
#include "files_scenario.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void write_at(const char *name, const char *text, int flags)
{
    int fd = open(scenario_path(name), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        abort();
    close(fd);
}

static const char *text_of(const char *name)
{
    static char text[256];
    int fd = open(scenario_path(name), O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = 0;
    close(fd);
    return text;
}

/* ---- regular files ---- */

static void set_up_regular(void)
{
    put(A, open(scenario_path("in"), O_RDONLY | O_CLOEXEC));
    lseek(A, 3, SEEK_SET);
    put(B, dup(A));
    fcntl(B, F_SETFD, FD_CLOEXEC);
    put(C, open(scenario_path("out"), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600));
    dprintf(C, "one\n");
}

static void meanwhile_regular(void)
{
    write_at("out", "two\n", O_APPEND); /* the run after the checkpoint */
}

static void check_regular(int process)
{
    CHECK_INT(lseek(A, 0, SEEK_CUR), 3);
    lseek(A, 1, SEEK_CUR);
    CHECK_INT(lseek(B, 0, SEEK_CUR), 4);
    CHECK_INT(fcntl(A, F_GETFD), 0);
    CHECK_INT(fcntl(B, F_GETFD), FD_CLOEXEC);
    CHECK_INT(fcntl(A, F_GETFL) & O_ACCMODE, O_RDONLY);
    CHECK_INT(fcntl(C, F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
    CHECK_STR(read_fd(A), "456789");
    dprintf(C, "three\n");
    CHECK_STR(text_of("out"), "one\nthree\n");
    CHECK_INT(fcntl(D, F_GETFD), -1);
}

static void a_file_goes_on_where_it_was_and_loses_what_came_after(void)
{
    write_at("in", "0123456789", 0);
    run(set_up_regular, check_regular, meanwhile_regular);
}

static void set_up_shared(void)
{
    put(A, open(scenario_path("out"), O_RDWR | O_CREAT, 0600));
    if (scenario_fork() == 0) {
        put(B, open(scenario_path("out"), O_RDWR));
        scenario_stop();
    }
    dprintf(A, "0123456789");
    /* The offset must be the one after the write, whoever came first. */
}

static void check_shared(int process)
{
    if (process == 1) {
        CHECK_INT(lseek(B, 0, SEEK_CUR), 0);
        for (int i = 0; i < 20000 && lseek(A, 0, SEEK_CUR) != 2; i++)
            usleep(1000);
        CHECK_INT(lseek(A, 0, SEEK_CUR), 2);
    } else {
        CHECK_INT(lseek(A, 0, SEEK_CUR), 10);
        lseek(A, 2, SEEK_SET);
        CHECK_INT(fcntl(B, F_GETFD), -1);
    }
}

static void an_offset_shared_by_fork_is_shared_again(void)
{
    run_twice(set_up_shared, check_shared);
}

static void shorten(void)
{
    CHECK_INT(truncate(scenario_path("out"), 1), 0);
}

static void a_file_that_was_cut_meanwhile_is_an_error(void)
{
    struct scenario s = {
        .set_up = set_up_regular, .check = check_regular, .meanwhile = shorten};

    write_at("in", "0123456789", 0);
    CHECK(!scenario_run(&s));
    CHECK_STR(text_of("out"), "o");
    scenario_clean();
}

/* ---- objects ---- */

static void set_up_deleted(void)
{
    put(A, open(scenario_path("scratch"), O_RDWR | O_CREAT, 0640));
    dprintf(A, "scratch data");
    lseek(A, 8, SEEK_SET);
    unlink(scenario_path("scratch"));
    put(B, open("/proc/self/fd/10", O_RDONLY));
    put(C, memfd_create("note", MFD_ALLOW_SEALING));
    dprintf(C, "memory");
    fcntl(C, F_ADD_SEALS, F_SEAL_SHRINK);
    write_at("replaced", "old", 0);
    put(D, open(scenario_path("replaced"), O_RDONLY));
    write_at("new", "new", 0);
    rename(scenario_path("new"), scenario_path("replaced"));
}

static void check_deleted(int process)
{
    struct stat a, b;

    CHECK_INT(lseek(A, 0, SEEK_CUR), 8);
    CHECK_STR(read_fd(A), "data");
    CHECK_STR(read_fd(B), "scratch data");
    CHECK(fstat(A, &a) == 0 && fstat(B, &b) == 0 && a.st_ino == b.st_ino);
    CHECK_INT(a.st_mode & 0777, 0640);
    CHECK_INT(a.st_nlink, 0);
    lseek(C, 0, SEEK_SET);
    CHECK_STR(read_fd(C), "memory");
    CHECK_INT(fcntl(C, F_GET_SEALS), F_SEAL_SHRINK);
    CHECK_STR(read_fd(D), "old");
    CHECK_STR(text_of("replaced"), "new");
}

static void removed_files_and_memfds_travel(void)
{
    run_twice(set_up_deleted, check_deleted);
}

static void set_up_shm(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/dev/shm/qckpt-test-%d", getppid());
    put(A, open(path, O_RDWR | O_CREAT | O_EXCL, 0600));
    dprintf(A, "segment");
}

static void meanwhile_shm(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/dev/shm/qckpt-test-%d", getpid());
    CHECK_INT(unlink(path), 0); /* another host */
}

static void check_shm(int process)
{
    char link[256] = {0};

    CHECK_INT(lseek(A, 0, SEEK_CUR), 7);
    lseek(A, 0, SEEK_SET);
    CHECK_STR(read_fd(A), "segment");
    CHECK(readlink("/proc/self/fd/10", link, sizeof(link) - 1) > 0);
    CHECK_HAS(link, "/dev/shm/qckpt-test-");
    CHECK_INT(unlink(link), 0);
}

static void a_file_in_dev_shm_travels_under_its_name(void)
{
    run(set_up_shm, check_shm, meanwhile_shm);
}

/* ---- directories, devices ---- */

static void set_up_names(void)
{
    put(A, open(scenario_dir(), O_RDONLY | O_DIRECTORY));
    put(B, open("/dev/null", O_RDWR));
    put(D, open(scenario_dir(), O_PATH));
}

static void check_names(int process)
{
    struct stat st;

    CHECK(faccessat(A, ".", F_OK, 0) == 0 && fstat(A, &st) == 0 && S_ISDIR(st.st_mode));
    CHECK(fstat(B, &st) == 0 && S_ISCHR(st.st_mode));
    CHECK_INT(write(B, "x", 1), 1);
    CHECK(fcntl(D, F_GETFL) & O_PATH);
    CHECK(faccessat(D, ".", F_OK, 0) == 0);
}

static void directories_devices_and_paths_are_opened_again(void)
{
    run_twice(set_up_names, check_names);
}

static void set_up_zero(void)
{
    put(A, open("/dev/kmsg", O_RDONLY | O_NONBLOCK));
}

static void a_device_with_a_state_is_refused(void)
{
    int probe = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (probe < 0)
        SKIP("no access to /dev/kmsg");
    close(probe);
    refuse(set_up_zero, "/dev/kmsg, a device whose state is outside the job");
}

static void set_up_lost_directory(void)
{
    mkdir(scenario_path("lost"), 0700);
    put(A, open(scenario_path("lost"), O_RDONLY | O_DIRECTORY));
    rmdir(scenario_path("lost"));
}

static void a_removed_directory_is_refused(void)
{
    refuse(set_up_lost_directory, "which was removed or replaced while it was open");
}

/* ---- pipes ---- */

static void set_up_pipe(void)
{
    int ends[2];

    if (pipe(ends) < 0)
        abort();
    put(A, ends[0]);
    put(B, ends[1]);
    fcntl(B, F_SETPIPE_SZ, 1 << 18);
    put(C, open("/proc/self/fd/11", O_WRONLY | O_NONBLOCK));
    dprintf(B, "in the pipe");
}

static void check_pipe(int process)
{
    char more[16] = {0};

    CHECK_STR(read_fd(A), "in the pipe");
    CHECK_INT(fcntl(B, F_GETPIPE_SZ), 1 << 18);
    CHECK_INT(fcntl(B, F_GETFL) & O_NONBLOCK, 0);
    CHECK_INT(fcntl(C, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_INT(write(C, "x", 1), 1);
    CHECK_INT(read(A, more, sizeof(more)), 1);
    close(B);
    close(C);
    CHECK_INT(read(A, more, sizeof(more)), 0);
}

static void a_pipe_keeps_its_contents_and_ends(void)
{
    run_twice(set_up_pipe, check_pipe);
}

static void set_up_full_pipe(void)
{
    char page[4096];
    int ends[2];

    if (pipe2(ends, O_NONBLOCK) < 0)
        abort();
    put(A, ends[0]);
    put(B, ends[1]);
    for (unsigned i = 0; i < 1000; i++) {
        memset(page, 'a' + i % 26, sizeof(page));
        if (write(B, page, sizeof(page)) < 0)
            break;
    }
    close(B);
    if (pipe2(ends, O_DIRECT) < 0)
        abort();
    put(C, ends[0]);
    put(D, ends[1]);
    dprintf(D, "first");
    dprintf(D, "second");
}

static void check_full_pipe(int process)
{
    char page[4096];

    for (int i = 0; i < 16; i++) {
        CHECK_INT(read(A, page, sizeof(page)), sizeof(page));
        CHECK_INT(page[0], 'a' + i % 26);
        CHECK_INT(page[4095], 'a' + i % 26);
    }
    CHECK_INT(read(A, page, sizeof(page)), 0); /* nobody writes any more */
    CHECK_STR(read_fd(C), "first");
    CHECK_STR(read_fd(C), "second");
}

static void a_full_pipe_without_writer_and_packets_are_kept(void)
{
    run_twice(set_up_full_pipe, check_full_pipe);
}

static int outside[4];

static void set_up_outside_pipes(void)
{
    /* start() closed them; the test keeps its own ends open. */
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", getppid(), outside[0]);
    put(A, open(path, O_RDONLY));
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", getppid(), outside[3]);
    put(B, open(path, O_WRONLY));
}

static void check_outside_pipes(int process)
{
    /* What was on its way arrives, then the end. */
    CHECK_STR(read_fd(A), "from outside");
    CHECK_STR(read_fd(A), "");
    signal(SIGPIPE, SIG_IGN);
    CHECK_INT(write(B, "x", 1), -1);
    CHECK_INT(errno, EPIPE);
}

static void a_pipe_that_leaves_the_job_comes_back_closed(void)
{
    CHECK_INT(pipe2(outside, O_CLOEXEC), 0);
    CHECK_INT(pipe2(outside + 2, O_CLOEXEC), 0);
    dprintf(outside[1], "from outside");
    run(set_up_outside_pipes, check_outside_pipes, NULL);
    for (int i = 0; i < 4; i++)
        close(outside[i]);
}

static void set_up_fifo(void)
{
    if (mkfifo(scenario_path("fifo"), 0600) < 0)
        abort();
    put(A, open(scenario_path("fifo"), O_RDONLY | O_NONBLOCK));
    put(B, open(scenario_path("fifo"), O_WRONLY));
    dprintf(B, "named");
}

static void check_fifo(int process)
{
    CHECK_STR(read_fd(A), "named");
    CHECK_INT(fcntl(A, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY | O_NONBLOCK);
    CHECK_INT(fcntl(B, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_WRONLY);
    close(B);
    CHECK_STR(read_fd(A), "");
}

static void a_named_pipe_keeps_its_contents(void)
{
    run_twice(set_up_fifo, check_fifo);
}

static void set_up_removed_fifo(void)
{
    if (mkfifo(scenario_path("gone"), 0600) < 0)
        abort();
    put(A, open(scenario_path("gone"), O_RDWR));
    put(B, open(scenario_path("gone"), O_WRONLY));
    unlink(scenario_path("gone"));
    dprintf(B, "nameless");
}

static void check_removed_fifo(int process)
{
    CHECK_STR(read_fd(A), "nameless");
    CHECK_INT(fcntl(A, F_GETFL) & O_ACCMODE, O_RDWR);
    CHECK_INT(fcntl(B, F_GETFL) & O_ACCMODE, O_WRONLY);
    dprintf(B, "again");
    CHECK_STR(read_fd(A), "again");
    CHECK_INT(access(scenario_path("gone"), F_OK), -1);
}

static void a_named_pipe_without_its_name_keeps_its_contents(void)
{
    run(set_up_removed_fifo, check_removed_fifo, NULL);
}

/* ---- counters, timers, signals ---- */

static void set_up_counters(void)
{
    struct itimerspec soon = {.it_value.tv_nsec = 200000000};
    struct itimerspec late = {.it_value.tv_sec = 1000};
    sigset_t set;

    put(A, eventfd(7, EFD_NONBLOCK));
    put(B, eventfd(2, EFD_SEMAPHORE));
    put(C, timerfd_create(CLOCK_MONOTONIC, 0));
    timerfd_settime(C, 0, &soon, NULL);
    put(F, timerfd_create(CLOCK_MONOTONIC, 0));
    timerfd_settime(F, 0, &late, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    put(D, signalfd(-1, &set, SFD_NONBLOCK));
}

static uint64_t count(int fd)
{
    uint64_t value = 0;

    return read(fd, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

static void check_counters(int process)
{
    struct signalfd_siginfo info = {0};
    struct itimerspec left;
    sigset_t set;

    CHECK_INT(count(A), 7);
    CHECK_INT(fcntl(A, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_INT(count(B), 1);
    CHECK_INT(count(B), 1);
    /* On a busy machine it may have expired before it was saved: it ticks all the same.
     */
    CHECK_INT(timerfd_gettime(C, &left), 0);
    CHECK(left.it_value.tv_sec == 0 && left.it_value.tv_nsec <= 200000000);
    CHECK_INT(count(C), 1);
    CHECK_INT(timerfd_gettime(F, &left), 0);
    CHECK(left.it_value.tv_sec > 900 && left.it_value.tv_sec < 1000);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    CHECK_INT(read(D, &info, sizeof(info)), sizeof(info));
    CHECK_INT(info.ssi_signo, SIGUSR1);
}

static void counters_timers_and_signal_masks_are_kept(void)
{
    run_twice(set_up_counters, check_counters);
}

/* ---- locks ---- */

static void set_up_locks(void)
{
    struct flock range = {.l_type = F_WRLCK, .l_start = 10, .l_len = 5};

    put(A, open(scenario_path("flock"), O_RDWR | O_CREAT, 0600));
    put(B, open(scenario_path("posix"), O_RDWR | O_CREAT, 0600));
    if (flock(A, LOCK_EX) < 0 || fcntl(B, F_SETLK, &range) < 0)
        abort();
}

static void check_locks(int process)
{
    struct flock range = {.l_type = F_WRLCK, .l_start = 0, .l_len = 100};
    int other = open(scenario_path("flock"), O_RDWR | O_CLOEXEC);
    pid_t pid;
    int status;

    CHECK_INT(flock(other, LOCK_EX | LOCK_NB), -1);
    CHECK_INT(errno, EWOULDBLOCK);
    pid = fork();
    if (pid == 0) {
        /* The lock is the parent's, and covers exactly what it covered. */
        fcntl(B, F_GETLK, &range);
        _exit(range.l_type == F_WRLCK && range.l_start == 10 && range.l_len == 5 ? 0
                                                                                 : 1);
    }
    waitpid(pid, &status, 0);
    CHECK_INT(status, 0);
}

static void locks_are_taken_again(void)
{
    run_twice(set_up_locks, check_locks);
}

static void check_in_vain(int process)
{
    tap_test_failed = true; /* as CHECK does, in the restored process */
}

static void a_failing_check_fails_the_scenario(void)
{
    struct scenario s = {.set_up = set_up_names, .check = check_in_vain};
    struct scenario live = {
        .set_up = set_up_names, .check = check_in_vain, .live = true};

    scenario_dir();
    CHECK(!scenario_run(&s));
    CHECK(!scenario_run(&live));
    scenario_clean();
}

int main(void)
{
    RUN(a_failing_check_fails_the_scenario);
    RUN(a_file_goes_on_where_it_was_and_loses_what_came_after);
    RUN(an_offset_shared_by_fork_is_shared_again);
    RUN(a_file_that_was_cut_meanwhile_is_an_error);
    RUN(removed_files_and_memfds_travel);
    RUN(a_file_in_dev_shm_travels_under_its_name);
    RUN(directories_devices_and_paths_are_opened_again);
    RUN(a_device_with_a_state_is_refused);
    RUN(a_removed_directory_is_refused);
    RUN(a_pipe_keeps_its_contents_and_ends);
    RUN(a_full_pipe_without_writer_and_packets_are_kept);
    RUN(a_pipe_that_leaves_the_job_comes_back_closed);
    RUN(a_named_pipe_keeps_its_contents);
    RUN(a_named_pipe_without_its_name_keeps_its_contents);
    RUN(counters_timers_and_signal_masks_are_kept);
    RUN(locks_are_taken_again);
    return tap_done();
}
