/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A pipe whose writer has ended, in a program that has functions of its own with names
 * of the C library's: whoever looks at the pipe from inside must not call these. */
#include "victim.h"

static volatile int calls;

int send(void);
int recv(void);
int ioctl(void);
int getsockopt(void);
int setsockopt(void);

int send(void)
{
    return ++calls;
}

int recv(void)
{
    return ++calls;
}

int ioctl(void)
{
    return ++calls;
}

int getsockopt(void)
{
    return ++calls;
}

int setsockopt(void)
{
    return ++calls;
}

int main(void)
{
    char buf[64] = "";
    pid_t child;
    int left[2], status = -1;

    NEED(pipe(left) == 0);
    NEED(write(left[1], "last words", 10) == 10);
    close(left[1]);
    child = fork();
    NEED(child >= 0);
    if (child == 0) {
        victim_wait_go();
        _exit(calls);
    }
    victim_wait();
    CHECK_INT("what was left", read(left[0], buf, sizeof(buf)), 10);
    CHECK_STR("it", buf, "last words");
    CHECK_INT("the end", read(left[0], buf, sizeof(buf)), 0);
    CHECK_INT("calls of its functions", calls, 0);
    NEED(waitpid(child, &status, 0) == child);
    CHECK_INT("those of its child", status, 0);
    return victim_end();
}
