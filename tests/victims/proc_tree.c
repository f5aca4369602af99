/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A tree with sessions and process groups, some of whose leaders are gone, and an
 * orphan. Each process looks at its own ids after the wait and reports through shared
 * memory.
 */
#include <sys/mman.h>

#include "victim.h"

enum {
    ROOT,
    GROUP,
    MEMBER,
    SESSION,
    IN_SESSION,
    LOST_GROUP,
    LOST_SESSION,
    ORPHAN,
    COUNT
};

static const char *const names[COUNT] = {"root",
                                         "leader of a group",
                                         "member of that group",
                                         "session leader",
                                         "member of that session",
                                         "member of a group without leader",
                                         "member of a session without leader",
                                         "orphan"};

struct ids {
    pid_t pid, ppid, pgid, sid;
};

static struct shared {
    struct ids before[COUNT], after[COUNT];
    volatile int up[COUNT], looked[COUNT];
} * shared;

static struct ids look(void)
{
    return (struct ids){getpid(), getppid(), getpgrp(), getsid(0)};
}

/* Everyone's life once its ids are what they should be. */
static void live(int me)
{
    shared->before[me] = look();
    shared->up[me] = 1;
    victim_wait_go();
    shared->after[me] = look();
    shared->looked[me] = 1;
}

static void wait_up(int who)
{
    while (!shared->up[who])
        victim_sleep_ms(1);
}

static pid_t child(void)
{
    pid_t pid = fork();

    NEED(pid >= 0);
    return pid;
}

static void run_group(void)
{
    pid_t member;

    setpgid(0, 0);
    member = child();
    if (member == 0) {
        live(MEMBER);
        _exit(0);
    }
    live(GROUP);
    _exit(victim_waitpid(member) == 0 ? 0 : 1);
}

static void run_session(void)
{
    pid_t member;

    NEED(setsid() == getpid());
    member = child();
    if (member == 0) {
        setpgid(0, 0);
        live(IN_SESSION);
        _exit(0);
    }
    live(SESSION);
    _exit(victim_waitpid(member) == 0 ? 0 : 1);
}

/* The child of a short-lived leader of a group (in our session) or of a session. */
static void run_lost(int who)
{
    if (who == LOST_SESSION)
        NEED(setsid() == getpid());
    else if (who == LOST_GROUP)
        setpgid(0, 0);
    if (child() == 0) {
        /* The parent's end is what makes the state. */
        while (getppid() == shared->before[who].ppid)
            victim_sleep_ms(1);
        live(who);
        _exit(0);
    }
    _exit(0);
}

static void check_ids(int who)
{
    const struct ids *b = &shared->before[who], *a = &shared->after[who];

    victim_check(memcmp(a, b, sizeof(*a)) == 0, names[who],
                 "pid %d ppid %d pgid %d sid %d, expected %d %d %d %d", a->pid, a->ppid,
                 a->pgid, a->sid, b->pid, b->ppid, b->pgid, b->sid);
}

int main(void)
{
    pid_t group, session;

    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    NEED(shared != MAP_FAILED);
    group = child();
    if (group == 0)
        run_group();
    session = child();
    if (session == 0)
        run_session();
    for (int who = LOST_GROUP; who <= ORPHAN; who++) {
        pid_t pid = child();

        if (pid == 0) {
            shared->before[who].ppid = getpid();
            run_lost(who);
        }
        NEED(victim_waitpid(pid) == 0);
    }
    for (int who = GROUP; who < COUNT; who++)
        wait_up(who);
    victim_ready();
    live(ROOT);
    for (int who = GROUP; who < COUNT; who++) {
        for (int t = 0; t < 6000 && !shared->looked[who]; t++)
            victim_sleep_ms(10);
        CHECK_INT(names[who], shared->looked[who], 1);
    }
    for (int who = 0; who < COUNT; who++)
        check_ids(who);
    CHECK_INT("end of the group", victim_waitpid(group), 0);
    CHECK_INT("end of the session", victim_waitpid(session), 0);
    CHECK("no other child is left", waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    CHECK("a group is signalled as a whole", kill(-getpgrp(), 0) == 0);
    return victim_end();
}
