/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Children by fork, vfork and posix_spawn, all the time, each with its own status. */
#include <spawn.h>

#include "victim.h"

#define ROUNDS 110

extern char **environ;

static int by_fork(int code)
{
    pid_t pid = fork();

    NEED(pid >= 0);
    if (pid == 0) {
        pid_t grandchild = fork();

        if (grandchild == 0)
            _exit(code / 2);
        _exit(victim_waitpid(grandchild) == (code / 2) << 8 ? code : 1);
    }
    return victim_waitpid(pid);
}

/* posix_spawn is CLONE_VM | CLONE_VFORK in glibc. */
static int by_spawn(int code)
{
    char text[16];
    char *const argv[] = {"sh", "-c", text, NULL};
    pid_t pid;

    snprintf(text, sizeof(text), "exit %d", code);
    NEED(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) == 0);
    return victim_waitpid(pid);
}

static int by_vfork(int code)
{
    pid_t pid = vfork();

    if (pid == 0)
        _exit(code);
    NEED(pid > 0);
    return victim_waitpid(pid);
}

int main(void)
{
    static int (*const ways[])(int) = {by_fork, by_spawn, by_vfork};

    victim_ready();
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t way = 0; way < 3; way++) {
            int code = 2 + (round * 3 + (int)way) % 250;
            int status = ways[way](code);

            if (status != code << 8)
                victim_say("FAIL round %d way %zu: saw status %x, expected %x", round,
                           way, status, code << 8);
        }
        victim_say("round %d", round);
        victim_sleep_ms(12);
    }
    return 0;
}
