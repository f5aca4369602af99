/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The main thread has ended, another one goes on. */
#include <pthread.h>
#include <sys/syscall.h>

#include "victim.h"

static char state_of_leader(void)
{
    char text[256] = "", *paren;
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

    NEED(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    paren = strrchr(text, ')');
    NEED(paren);
    return paren[2];
}

static void *survivor(void *arg)
{
    long tid = syscall(SYS_gettid);

    while (state_of_leader() != 'Z')
        victim_sleep_ms(1);
    victim_ready_refused(getpid(), "(?i)thread|leader");
    victim_wait_go();
    CHECK_INT("thread id", syscall(SYS_gettid), tid);
    CHECK_INT("the leader is gone", state_of_leader(), 'Z');
    exit(victim_end());
    return arg;
}

int main(void)
{
    pthread_t t;

    NEED(pthread_create(&t, NULL, survivor, NULL) == 0);
    pthread_exit(NULL);
}
