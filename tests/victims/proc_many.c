/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Many of everything: processes in a deep and a wide tree, threads, descriptors, areas.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "victim.h"

#define WIDE 60
#define DEEP 25
#define THREADS 150
#define FILES 700
#define AREAS 2000
#define PAGE 4096UL

static volatile bool end;

static void *thread(void *arg)
{
    while (!end)
        victim_sleep_ms(50);
    return (void *)((uintptr_t)arg * 3);
}

/* A chain of processes, each the parent of the next; the status is its length. */
static int chain(int left)
{
    pid_t pid;
    int status;

    if (left == 0) {
        victim_wait_go();
        return 0;
    }
    pid = fork();
    NEED(pid >= 0);
    if (pid == 0)
        _exit(chain(left - 1));
    status = victim_waitpid(pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) + 1 : 255;
}

static void open_files(int *fds)
{
    struct rlimit limit;
    char name[32];

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 1024 ? limit.rlim_max : 1024;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "many%d", i % 100);
        fds[i] = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        NEED(fds[i] >= 0 && lseek(fds[i], i, SEEK_SET) == i);
    }
}

int main(void)
{
    static pid_t wide[WIDE];
    static pthread_t threads[THREADS];
    static int fds[FILES];
    static char *areas[AREAS];
    int bad[4] = {0};
    pid_t deep;

    for (int i = 0; i < WIDE; i++) {
        wide[i] = fork();
        NEED(wide[i] >= 0);
        if (wide[i] == 0) {
            victim_wait_go();
            _exit(i);
        }
    }
    deep = fork();
    NEED(deep >= 0);
    if (deep == 0)
        _exit(chain(DEEP));
    open_files(fds);
    for (int i = 0; i < AREAS; i++) {
        areas[i] = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        NEED(areas[i] != MAP_FAILED);
        victim_fill(areas[i], PAGE, (uint64_t)i);
        NEED(mprotect(areas[i] + PAGE, PAGE, i % 2 ? PROT_NONE : PROT_READ) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        NEED(pthread_create(&threads[i], NULL, thread, (void *)(intptr_t)i) == 0);
    victim_wait();
    end = true;
    for (int i = 0; i < THREADS; i++) {
        void *result;

        pthread_join(threads[i], &result);
        bad[0] += (uintptr_t)result != (uintptr_t)i * 3;
    }
    for (int i = 0; i < WIDE; i++)
        bad[1] += victim_waitpid(wide[i]) != i << 8;
    for (int i = 0; i < FILES; i++)
        bad[2] += lseek(fds[i], 0, SEEK_CUR) != i;
    for (int i = 0; i < AREAS; i++)
        bad[3] += victim_differs(areas[i], PAGE, (uint64_t)i) >= 0;
    CHECK_INT("wrong threads", bad[0], 0);
    CHECK_INT("wrong children", bad[1], 0);
    CHECK_INT("wrong files", bad[2], 0);
    CHECK_INT("wrong areas", bad[3], 0);
    CHECK_INT("length of the chain", victim_waitpid(deep), DEEP << 8);
    return victim_end();
}
