/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A job with threads: each step all of them mix their own block of memory and meet at a
 * barrier; the main thread prints a digest over everything. The same seed gives the
 * same lines, however often the job was moved.
 *
 *   threads [-t THREADS] [-m MIB] [-n STEPS] [-p PAUSE_MS] [-s SEED] [-g STEP] [-r]
 *
 * -m  memory of each thread
 * -g  from this step on each thread has 16 times the memory
 * -r  run under a seccomp filter (that allows everything): cannot be checkpointed
 *
 * While the file exists that the environment names as HOLD, it does not get beyond its
 * last step.
 *
 * "begin" is the first line: a second one means that the job was begun again.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 64, GROWTH = 16 };

static int threads = 4, mib = 1, steps = 60, pause_ms = 200, grow_at = -1;
static uint64_t seed = 1;
static pthread_barrier_t stage;
static uint64_t sums[MAX_THREADS];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* xorshift64*: incompressible contents, cheap and reproducible. */
static uint64_t next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static uint64_t *make_block(size_t words, uint64_t *state)
{
    uint64_t *block = malloc(words * sizeof *block);

    if (!block)
        die("malloc");
    for (size_t i = 0; i < words; i++)
        block[i] = next(state);
    return block;
}

static void meet(void)
{
    int result = pthread_barrier_wait(&stage);

    if (result != 0 && result != PTHREAD_BARRIER_SERIAL_THREAD) {
        errno = result;
        die("pthread_barrier_wait");
    }
}

static void *work(void *argument)
{
    size_t self = (size_t)(uintptr_t)argument, words = (size_t)mib << 17;
    uint64_t state = seed * 1000 + self + 1, *block = make_block(words, &state);

    for (int step = 0; step < steps; step++) {
        if (step == grow_at) {
            free(block);
            words *= GROWTH;
            block = make_block(words, &state);
        }
        for (size_t i = 0; i < words; i++)
            sums[self] = (sums[self] ^ block[i]) * UINT64_C(1099511628211);
        for (size_t i = 0; i < words; i += 64)
            block[i] = next(&state);
        meet();
        meet();
    }
    free(block);
    return NULL;
}

static void confine(void)
{
    struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {.len = 1, .filter = allow};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        die("seccomp");
}

static uint64_t digest(void)
{
    uint64_t all = 0;

    for (int i = 0; i < threads; i++)
        all = (all ^ sums[i]) * UINT64_C(1099511628211);
    return all;
}

static void wait_for_the_test(void)
{
    const char *hold = getenv("HOLD");
    struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};

    while (hold && access(hold, F_OK) == 0)
        nanosleep(&pause, NULL);
}

static void options(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "t:m:n:p:s:g:r")) != -1) {
        switch (option) {
        case 't':
            threads = (int)strtol(optarg, NULL, 10);
            break;
        case 'm':
            mib = (int)strtol(optarg, NULL, 10);
            break;
        case 'n':
            steps = (int)strtol(optarg, NULL, 10);
            break;
        case 'p':
            pause_ms = (int)strtol(optarg, NULL, 10);
            break;
        case 's':
            seed = strtoull(optarg, NULL, 10);
            break;
        case 'g':
            grow_at = (int)strtol(optarg, NULL, 10);
            break;
        case 'r':
            confine();
            break;
        default:
            exit(2);
        }
    }
    if (threads < 1 || threads > MAX_THREADS || mib < 1 || steps < 1 || pause_ms < 0)
        exit(2);
}

int main(int argc, char **argv)
{
    pthread_t ids[MAX_THREADS];
    struct timespec pause;

    options(argc, argv);
    pause = (struct timespec){pause_ms / 1000, pause_ms % 1000 * 1000000L};
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("begin seed %" PRIu64 "\n", seed);
    errno = pthread_barrier_init(&stage, NULL, (unsigned)threads + 1);
    if (errno)
        die("pthread_barrier_init");
    for (int i = 0; i < threads; i++) {
        errno = pthread_create(&ids[i], NULL, work, (void *)(uintptr_t)i);
        if (errno)
            die("pthread_create");
    }
    for (int step = 0; step < steps; step++) {
        meet();
        printf("step %d %016" PRIx64 "\n", step, digest());
        nanosleep(&pause, NULL);
        if (step == steps - 1)
            wait_for_the_test();
        meet();
    }
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    printf("end %016" PRIx64 "\n", digest());
    return 0;
}
