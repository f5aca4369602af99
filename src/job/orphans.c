/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "job/orphans.h"

#include "base/scope.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>

/* The parent of a process, or 0. The command's name, in parentheses, may hold anything
 * (proc_pid_stat(5)), so the fields are counted from the last parenthesis. */
static pid_t parent_of(const char *pid)
{
    char path[64], line[512];
    auto_file FILE *f = NULL;
    const char *end;
    int parent;
    char state;

    snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    f = fopen(path, "re");
    if (!f || !fgets(line, sizeof(line), f))
        return 0;
    end = strrchr(line, ')');
    if (!end || sscanf(end + 1, " %c %d", &state, &parent) != 2)
        return 0;
    return parent;
}

/* Our children cannot be anybody else by the time they are killed: nobody but us reaps
 * them. */
static void kill_children(void)
{
    auto_dir DIR *proc = opendir("/proc");
    struct dirent *entry;

    while (proc && (entry = readdir(proc)))
        if (isdigit((unsigned char)entry->d_name[0]) &&
            parent_of(entry->d_name) == getpid())
            kill(strtol(entry->d_name, NULL, 10), SIGKILL);
}

bool orphans_kill(unsigned deadline_s)
{
    const struct timespec nap = {.tv_nsec = 2000000};
    struct timespec now, end;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += deadline_s;
    for (;;) {
        pid_t pid;

        kill_children();
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
            ;
        if (pid < 0 && errno == ECHILD)
            return true;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec > end.tv_sec)
            return false;
        nanosleep(&nap, NULL);
    }
}
