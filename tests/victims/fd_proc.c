/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Open files of /proc and /sys, our own and another's; close-on-exec in an exec
 * afterwards. */

#include "victim.h"

int main(int argc, char **argv)
{
    char own[32], buf[256] = "";
    int status, meminfo, keep, lose;
    pid_t child;

    if (argc == 3) {
        keep = atoi(argv[1]);
        lose = atoi(argv[2]);
        return fcntl(keep, F_GETFD) >= 0 && fcntl(lose, F_GETFD) < 0 ? 0 : 1;
    }
    snprintf(own, sizeof(own), "/proc/%d/status", (int)getpid());
    status = open(own, O_RDONLY | O_CLOEXEC);
    meminfo = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    keep = open("/dev/null", O_RDONLY);
    lose = open("/dev/null", O_RDONLY | O_CLOEXEC);
    NEED(status >= 0 && meminfo >= 0 && keep >= 0 && lose >= 0);
    NEED(read(meminfo, buf, 9) == 9);
    victim_wait();
    CHECK("status is ours",
          pread(status, buf, 100, 0) > 6 && strncmp(buf, "Name:\tfd_proc", 13) == 0);
    CHECK("meminfo",
          pread(meminfo, buf, 9, 0) == 9 && memcmp(buf, "MemTotal:", 9) == 0);
    child = fork();
    NEED(child >= 0);
    if (child == 0) {
        char k[12], l[12];

        snprintf(k, sizeof(k), "%d", keep);
        snprintf(l, sizeof(l), "%d", lose);
        execl("/proc/self/exe", argv[0], k, l, NULL);
        _exit(9);
    }
    CHECK_INT("an exec after the restart", victim_waitpid(child), 0);
    return victim_end();
}
