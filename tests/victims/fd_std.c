/* SPDX-License-Identifier: GPL-3.0-or-later */
/* stdin, stdout and stderr: still the run's, also in duplicates and in children. */
#include <sys/stat.h>

#include "victim.h"

static bool same(int a, int b)
{
    struct stat x, y;

    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

int main(void)
{
    int out = dup(STDOUT_FILENO), err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 50);
    pid_t child;
    char c;

    NEED(out >= 0 && err >= 50);
    victim_say("before the wait");
    child = fork();
    NEED(child >= 0);
    if (child == 0) {
        victim_wait_go();
        victim_say("a line of the child");
        _exit(0);
    }
    victim_wait();
    CHECK_INT("the child's end", victim_waitpid(child), 0);
    CHECK("the duplicate is stdout", same(out, STDOUT_FILENO));
    CHECK("the other is stderr", same(err, STDERR_FILENO));
    CHECK_INT("a line through the duplicate", write(out, "duplicate\n", 10), 10);
    CHECK_INT("stderr is open", write(STDERR_FILENO, "", 0), 0);
    CHECK("stdin is at its end", read(STDIN_FILENO, &c, 1) == 0);
    return victim_end();
}
