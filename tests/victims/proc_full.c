/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A process with threads whose address space is as large as it may be (ulimit -v, which
 * is h_vmem in Grid Engine): not one page more can be mapped. */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "victim.h"

static volatile bool done;

/* Without stdio: it would map memory that is not counted yet. */
static unsigned long address_space(void)
{
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

    NEED(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    return strtoul(text, NULL, 10) * 4096;
}

static bool has_room(void)
{
    void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p != MAP_FAILED)
        munmap(p, 4096);
    return p != MAP_FAILED;
}

static void *wait_in_a_thread(void *arg)
{
    (void)arg;
    while (!done)
        victim_sleep_ms(20);
    return NULL;
}

int main(void)
{
    char *p =
        mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct rlimit limit;
    pthread_t thread;

    NEED(p != MAP_FAILED);
    victim_fill(p, 4 << 20, 5);
    NEED(pthread_create(&thread, NULL, wait_in_a_thread, NULL) == 0);
    victim_sleep_ms(50);
    limit.rlim_cur = limit.rlim_max = address_space();
    NEED(setrlimit(RLIMIT_AS, &limit) == 0 && !has_room());
    victim_wait();
    CHECK_INT("memory", victim_differs(p, 4 << 20, 5), -1);
    CHECK("there is no room still", !has_room());
    limit = (struct rlimit){0};
    getrlimit(RLIMIT_AS, &limit);
    CHECK_INT("and the limit is as it was", (long long)limit.rlim_cur,
              (long long)address_space());
    done = true;
    CHECK("the thread goes on", pthread_join(thread, NULL) == 0);
    return victim_end();
}
