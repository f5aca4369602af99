/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A process that looks as if it had been started on a CPU without AVX. */
#include "place/binding.h"

#include "base/err.h"
#include "binding_far.h"
#include "place_of_registers.h"
#include "tap.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { OK = 7, WRONG = 8 };

static struct err e;
static const uint64_t *place_size;

/* The words above the place are those that are overwritten. */
__attribute__((target("avx"), noinline)) static int call_far(void)
{
    volatile uint8_t above[512];
    far_vector a = {1, 2, 3, 4, 5, 6, 7, 8}, sum;

    for (size_t i = 0; i < sizeof(above); i++)
        above[i] = (uint8_t)(i * 7);
    sum = far_sum(a, a);
    for (size_t i = 0; i < sizeof(above); i++)
        if (above[i] != (uint8_t)(i * 7))
            return WRONG;
    return sum[0] == 2 && sum[7] == 16 ? OK : WRONG;
}

/* Stopped, so that it calls nothing with a place of a wrong size until it is told to;
 * goes on to call the function. */
static pid_t stopped(uint64_t size)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGSEGV, SIG_DFL);
        kill(getpid(), SIGSTOP);
        _exit(call_far());
    }
    CHECK_INT(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status));
    CHECK_INT(set_place(pid, place_size, size), 0);
    return pid;
}

static int end_of(pid_t pid)
{
    int status = 0;

    kill(pid, SIGCONT);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    return status;
}

static uint64_t place_of(pid_t pid)
{
    char path[40];
    uint64_t size = 0;
    int mem;

    snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    mem = open(path, O_RDONLY | O_CLOEXEC);
    CHECK_INT(pread(mem, &size, sizeof(size), (off_t)(uintptr_t)place_size),
              sizeof(size));
    close(mem);
    return size;
}

static void without_room_a_first_call_does_harm(void)
{
    CHECK(end_of(stopped(LESSER)) != W_EXITCODE(OK, 0));
}

static void with_room_it_does_none(void)
{
    pid_t pid = stopped(LESSER);

    CHECK_INT(place_of(pid), LESSER);
    CHECK_INT(binding_make_room(pid, &e), 0);
    CHECK(place_of(pid) >= *place_size);
    CHECK_INT(end_of(pid), W_EXITCODE(OK, 0));
}

static void a_larger_place_stays(void)
{
    pid_t pid = stopped(8192);

    CHECK_INT(binding_make_room(pid, &e), 0);
    CHECK_INT(place_of(pid), 8192);
    kill(pid, SIGKILL);
    end_of(pid);
}

static void what_is_no_size_is_left_alone(void)
{
    static const uint64_t wrong[] = {0, 64, 641, 1 << 20, UINT64_MAX};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        pid_t pid = stopped(wrong[i]);

        CHECK_INT(binding_make_room(pid, &e), 0);
        CHECK(place_of(pid) == wrong[i]);
        kill(pid, SIGKILL);
        end_of(pid);
    }
}

static void a_process_that_is_gone_is_an_error(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    CHECK_INT(binding_make_room(pid, &e), -1);
    CHECK_INT(e.kind, ERR_SYS);
}

int main(void)
{
    place_size = find_place();
    if (!place_size) {
        printf("1..0 # SKIP no AVX, or an ld.so that saves no registers with XSAVE\n");
        return 0;
    }
    RUN(without_room_a_first_call_does_harm);
    RUN(with_room_it_does_none);
    RUN(a_larger_place_stays);
    RUN(what_is_no_size_is_left_alone);
    RUN(a_process_that_is_gone_is_an_error);
    return tap_done();
}
