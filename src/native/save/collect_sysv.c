/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * System V semaphores and message queues (sysvipc(7)). They belong to no process and
 * are not saved; a restart would give the job an empty IPC namespace. No process shows
 * that it uses one, but the kernel remembers who did last.
 */
#include "base/err.h"
#include "base/scope.h"
#include "native/save/save.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct image_process *process_of(const struct save *s, pid_t host_pid)
{
    for (uint32_t i = 0; i < s->f->n_processes; i++)
        if (s->f->processes[i].pid == host_pid)
            return &s->img->processes[i];
    return NULL;
}

static int refuse(const struct image_process *p, const char *what, int id,
                  struct err *e)
{
    return err_set(
        e, ERR_REFUSED,
        "process %d uses System V %s %d, which cannot be saved: use the POSIX "
        "kind, or remove it (ipcrm) when it is a leftover",
        p->pid, what, id);
}

/* The process of the job that was the last to change a semaphore of the set, or NULL.
 */
static const struct image_process *user_of_set(const struct save *s, int id, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        int pid = semctl(id, (int)i, GETPID);
        const struct image_process *p = pid > 0 ? process_of(s, pid) : NULL;

        if (p)
            return p;
    }
    return NULL;
}

static int refuse_semaphores(const struct save *s, struct err *e)
{
    auto_file FILE *f = fopen("/proc/sysvipc/sem", "re");
    char line[256];
    unsigned n;
    int id;

    while (f && fgets(line, sizeof(line), f)) {
        const struct image_process *p;

        if (sscanf(line, "%*d %d %*o %u", &id, &n) != 2)
            continue;
        p = user_of_set(s, id, n);
        if (p)
            return refuse(p, "semaphores", id, e);
    }
    return 0;
}

static int refuse_queues(const struct save *s, struct err *e)
{
    auto_file FILE *f = fopen("/proc/sysvipc/msg", "re");
    int id, sender, receiver;
    char line[256];

    while (f && fgets(line, sizeof(line), f)) {
        const struct image_process *p;

        if (sscanf(line, "%*d %d %*o %*u %*u %d %d", &id, &sender, &receiver) != 3)
            continue;
        p = process_of(s, sender);
        if (!p)
            p = process_of(s, receiver);
        if (p)
            return refuse(p, "message queue", id, e);
    }
    return 0;
}

/* A namespace of its own holds nothing but what the job made. */
static bool has_entries(const char *path)
{
    auto_file FILE *f = fopen(path, "re");
    char line[256];

    return f && fgets(line, sizeof(line), f) && fgets(line, sizeof(line), f);
}

enum { HAS_NONE, HAS_SEMAPHORES, HAS_QUEUES, CANNOT_LOOK };

/* In a child of ours: /proc/sysvipc shows the namespace of the one who opens it. */
static _Noreturn void look_inside(pid_t init)
{
    static const char *const spaces[] = {"user", "ipc"};
    char path[64];

    for (int i = 0; i < 2; i++) {
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/ns/%s", init, spaces[i]);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        /* The user namespace is the same one when root made the others. */
        if (fd < 0 || (setns(fd, 0) < 0 && i == 1))
            _exit(CANNOT_LOOK);
    }
    if (has_entries("/proc/sysvipc/sem"))
        _exit(HAS_SEMAPHORES);
    _exit(has_entries("/proc/sysvipc/msg") ? HAS_QUEUES : HAS_NONE);
}

static int refuse_inside(const struct save *s, struct err *e)
{
    pid_t pid = fork();
    int status;

    if (pid < 0)
        return err_sys(e, "look for System V semaphores");
    if (pid == 0)
        look_inside(s->root->init);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_sys(e, "look for System V semaphores");
    switch (WIFEXITED(status) ? WEXITSTATUS(status) : CANNOT_LOOK) {
    case HAS_NONE:
        return 0;
    case HAS_SEMAPHORES:
        return refuse(&s->img->processes[0], "semaphores", 0, e);
    case HAS_QUEUES:
        return refuse(&s->img->processes[0], "message queue", 0, e);
    default:
        return err_set(e, ERR_FAILED,
                       "cannot look for System V semaphores in the job's namespace");
    }
}

int collect_sysv(const struct save *s, struct err *e)
{
    if (s->root->init)
        return refuse_inside(s, e);
    return refuse_semaphores(s, e) < 0 ? -1 : refuse_queues(s, e);
}
