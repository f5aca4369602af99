/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blocked signals stay pending with their values: of the process, of a thread, in
 * order. */
#include <pthread.h>
#include <sys/syscall.h>

#include "victim.h"

static volatile long thread_tid;
static volatile bool go, done;
static siginfo_t thread_got[3];

/* The bare system call: glibc shows SI_TKILL as SI_USER. */
static void take(int sig, siginfo_t *info)
{
    struct timespec now = {0, 0};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, sig);
    if (syscall(SYS_rt_sigtimedwait, &set, info, &now, 8) != sig)
        memset(info, 0, sizeof(*info));
}

static void *thread(void *arg)
{
    thread_tid = syscall(SYS_gettid);
    while (!go)
        victim_sleep_ms(10);
    take(SIGUSR1, &thread_got[0]);
    take(SIGRTMIN + 2, &thread_got[1]);
    take(SIGRTMIN + 2, &thread_got[2]);
    done = true;
    return arg;
}

static void queue_to_thread(int sig, int value)
{
    siginfo_t info = {.si_signo = sig, .si_code = SI_QUEUE};

    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = value;
    NEED(syscall(SYS_rt_tgsigqueueinfo, getpid(), thread_tid, sig, &info) == 0);
}

static void check_taken(const char *what, int sig, int code, int value)
{
    siginfo_t info;

    take(sig, &info);
    victim_check(info.si_signo == sig && info.si_code == code &&
                     info.si_pid == getpid() && info.si_value.sival_int == value,
                 what, "signal %d code %d pid %d value %d", info.si_signo, info.si_code,
                 info.si_pid, info.si_value.sival_int);
}

int main(void)
{
    union sigval v;
    siginfo_t info;
    pthread_t t;
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    NEED(pthread_create(&t, NULL, thread, NULL) == 0);
    while (!thread_tid)
        victim_sleep_ms(1);
    for (v.sival_int = 4711; v.sival_int < 4714; v.sival_int++)
        NEED(sigqueue(getpid(), SIGRTMIN + 1, v) == 0);
    v.sival_int = 99;
    NEED(sigqueue(getpid(), SIGUSR2, v) == 0);
    NEED(kill(getpid(), SIGTERM) == 0);
    NEED(syscall(SYS_tgkill, getpid(), thread_tid, SIGUSR1) == 0);
    queue_to_thread(SIGRTMIN + 2, 7);
    queue_to_thread(SIGRTMIN + 2, 8);
    victim_wait();
    check_taken("first queued", SIGRTMIN + 1, SI_QUEUE, 4711);
    check_taken("second queued", SIGRTMIN + 1, SI_QUEUE, 4712);
    check_taken("third queued", SIGRTMIN + 1, SI_QUEUE, 4713);
    check_taken("a standard signal with a value", SIGUSR2, SI_QUEUE, 99);
    take(SIGTERM, &info);
    victim_check(info.si_signo == SIGTERM && info.si_code == SI_USER &&
                     info.si_pid == getpid() && info.si_uid == getuid(),
                 "killed by ourselves", "signal %d code %d pid %d uid %d",
                 info.si_signo, info.si_code, info.si_pid, info.si_uid);
    take(SIGRTMIN + 1, &info);
    CHECK_INT("no fourth", info.si_signo, 0);
    take(SIGRTMIN + 2, &info);
    CHECK_INT("the thread's signal is not ours", info.si_signo, 0);
    go = true;
    pthread_join(t, NULL);
    CHECK_INT("the thread's signal", thread_got[0].si_signo, SIGUSR1);
    CHECK_INT("its code", thread_got[0].si_code, SI_TKILL);
    CHECK_INT("the thread's first value", thread_got[1].si_value.sival_int, 7);
    CHECK_INT("the thread's second value", thread_got[2].si_value.sival_int, 8);
    return victim_end();
}
