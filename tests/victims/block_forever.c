/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Threads in calls without a timeout: they stay there, and end when their event comes.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "victim.h"

enum {
    READ_PIPE,
    WRITE_PIPE,
    READ_EVENT,
    EPOLL,
    POLL,
    SELECT,
    FUTEX,
    ACCEPT,
    RECEIVE,
    SIGNAL,
    CHILD,
    CHILD_INFO,
    FLOCK,
    COUNT
};

static const char *const names[COUNT] = {"read of a pipe",
                                         "write to a full pipe",
                                         "read of an eventfd",
                                         "epoll_wait",
                                         "poll",
                                         "select",
                                         "futex",
                                         "accept",
                                         "recv",
                                         "sigwaitinfo",
                                         "wait4",
                                         "waitid",
                                         "flock"};

static int empty_pipe[2], full_pipe[2], polled[2], selected[2], watched[2], pair[2];
static int over[2]; /* its end tells the children that they may end */
static int event, epoll, listener, locked, lock_two, futex_word;
static pid_t child[2];
static volatile long result[COUNT];
static volatile int error[COUNT];
static volatile bool in_it[COUNT], back[COUNT];
static char big[4096];

static long wait_select(void)
{
    fd_set set;

    FD_ZERO(&set);
    FD_SET(selected[0], &set);
    return select(selected[0] + 1, &set, NULL, NULL, NULL);
}

static long wait_signal(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 4);
    return sigwaitinfo(&set, NULL);
}

static long block(int way)
{
    struct pollfd p = {polled[0], POLLIN, 0};
    struct epoll_event ev;
    uint64_t value = 0;
    siginfo_t info;
    int status;
    char c;

    switch (way) {
    case READ_PIPE:
        return read(empty_pipe[0], &c, 1);
    case WRITE_PIPE:
        return write(full_pipe[1], big, sizeof(big));
    case READ_EVENT:
        return read(event, &value, 8) == 8 ? (long)value : -1;
    case EPOLL:
        return epoll_wait(epoll, &ev, 1, -1);
    case POLL:
        return poll(&p, 1, -1);
    case SELECT:
        return wait_select();
    case FUTEX:
        return syscall(SYS_futex, &futex_word, 0 /* FUTEX_WAIT */, 0, NULL, NULL, 0);
    case ACCEPT:
        return accept(listener, NULL, NULL) >= 0;
    case RECEIVE:
        return recv(pair[0], &c, 1, 0);
    case SIGNAL:
        return wait_signal();
    case CHILD:
        return waitpid(child[0], &status, 0) == child[0] ? status : -1;
    case CHILD_INFO:
        return waitid(P_PID, (id_t)child[1], &info, WEXITED) == 0 ? info.si_status : -1;
    default:
        return flock(lock_two, LOCK_EX);
    }
}

static const long wanted[COUNT] = {1, 4096, 3, 1, 1, 1, 0, 1, 1, 0, 41 << 8, 42, 0};

/* Those that end with EINTR after a mere stop in any kernel (signal(7)): asked again.
 */
static bool may_be_interrupted(int way)
{
    return way == EPOLL || way == SIGNAL;
}

static void *run(void *arg)
{
    int way = (int)(intptr_t)arg;

    in_it[way] = true;
    do {
        errno = 0;
        result[way] = block(way);
        error[way] = errno;
    } while (result[way] < 0 && error[way] == EINTR && may_be_interrupted(way));
    back[way] = true;
    return NULL;
}

static void make_listener(struct sockaddr_un *a)
{
    a->sun_family = AF_UNIX;
    snprintf(a->sun_path, sizeof(a->sun_path), "block.sock");
    unlink(a->sun_path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    NEED(bind(listener, (struct sockaddr *)a, sizeof(*a)) == 0);
    NEED(listen(listener, 4) == 0);
}

static void prepare(struct sockaddr_un *a)
{
    struct epoll_event ev = {.events = EPOLLIN};
    sigset_t set;

    NEED(pipe(empty_pipe) == 0 && pipe(full_pipe) == 0 && pipe(polled) == 0);
    NEED(pipe(selected) == 0 && pipe(watched) == 0 && pipe(over) == 0);
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    NEED(fcntl(full_pipe[1], F_SETPIPE_SZ, 4096) == 4096);
    NEED(write(full_pipe[1], big, sizeof(big)) == sizeof(big));
    event = eventfd(0, EFD_CLOEXEC);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    NEED(event >= 0 && epoll >= 0);
    NEED(epoll_ctl(epoll, EPOLL_CTL_ADD, watched[0], &ev) == 0);
    make_listener(a);
    locked = open("block.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    lock_two = open("block.lock", O_RDWR | O_CLOEXEC);
    NEED(flock(locked, LOCK_EX) == 0);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 4);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 2; i++) {
        child[i] = fork();
        NEED(child[i] >= 0);
        if (child[i] == 0) {
            close(over[1]);
            NEED(read(over[0], big, 1) == 0);
            _exit(41 + i);
        }
    }
}

static void release(const struct sockaddr_un *a)
{
    uint64_t three = 3;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    NEED(write(empty_pipe[1], "x", 1) == 1 && write(polled[1], "x", 1) == 1);
    NEED(write(selected[1], "x", 1) == 1 && write(watched[1], "x", 1) == 1);
    NEED(read(full_pipe[0], big, sizeof(big)) == sizeof(big));
    NEED(write(event, &three, 8) == 8);
    __atomic_store_n(&futex_word, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &futex_word, 1 /* FUTEX_WAKE */, 10, NULL, NULL, 0);
    CHECK_INT("connect", connect(fd, (const struct sockaddr *)a, sizeof(*a)), 0);
    NEED(write(pair[1], "x", 1) == 1);
    NEED(kill(getpid(), SIGRTMIN + 4) == 0);
    close(over[1]); /* the children's, too */
    flock(locked, LOCK_UN);
}

int main(void)
{
    struct sockaddr_un a = {0};
    pthread_t threads[COUNT];

    prepare(&a);
    for (int i = 0; i < COUNT; i++)
        NEED(pthread_create(&threads[i], NULL, run, (void *)(intptr_t)i) == 0);
    for (int i = 0; i < COUNT; i++)
        while (!in_it[i])
            victim_sleep_ms(1);
    victim_sleep_ms(50);
    victim_wait();
    for (int i = 0; i < COUNT; i++)
        victim_check(!back[i], names[i], "%ld, errno %d, before its event", result[i],
                     error[i]);
    release(&a);
    for (int i = 0; i < COUNT; i++) {
        long want = i == SIGNAL ? SIGRTMIN + 4 : wanted[i];

        for (int t = 0; t < 6000 && !back[i]; t++)
            victim_sleep_ms(10);
        if (!victim_check(back[i], names[i], "no end after its event"))
            continue;
        victim_check(result[i] == want, names[i], "%ld, errno %d, expected %ld",
                     result[i], error[i], want);
    }
    return victim_end();
}
