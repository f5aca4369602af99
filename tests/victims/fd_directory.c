/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An open directory: reading goes on where it was; *at calls and fchdir through it. */
#include <dirent.h>
#include <sys/stat.h>

#include "victim.h"

#define FILES 300

int main(void)
{
    static int seen[FILES];
    char name[32];
    DIR *dir;
    int read_before = 0, missing = 0, twice = 0, fd, path;
    struct dirent *d;

    NEED(mkdir("fd_directory", 0700) == 0 || errno == EEXIST);
    fd = open("fd_directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    path = open("fd_directory", O_PATH | O_CLOEXEC);
    NEED(fd >= 0 && path >= 0);
    for (int i = 0; i < FILES; i++) {
        int f;

        snprintf(name, sizeof(name), "file%03d", i);
        f = openat(fd, name, O_WRONLY | O_CREAT, 0600);
        NEED(f >= 0);
        close(f);
    }
    dir = opendir("fd_directory");
    NEED(dir);
    while (read_before < 100 && (d = readdir(dir)) != NULL)
        if (strncmp(d->d_name, "file", 4) == 0) {
            seen[atoi(d->d_name + 4)]++;
            read_before++;
        }
    victim_wait();
    while ((d = readdir(dir)) != NULL)
        if (strncmp(d->d_name, "file", 4) == 0)
            seen[atoi(d->d_name + 4)]++;
    for (int i = 0; i < FILES; i++) {
        missing += seen[i] == 0;
        twice += seen[i] > 1;
    }
    CHECK_INT("entries left out", missing, 0);
    CHECK_INT("entries seen twice", twice, 0);
    CHECK("openat", faccessat(fd, "file007", R_OK, 0) == 0);
    CHECK("openat by O_PATH", faccessat(path, "file008", R_OK, 0) == 0);
    CHECK_INT("flags of O_PATH", fcntl(path, F_GETFL) & O_PATH, O_PATH);
    CHECK("fchdir", fchdir(fd) == 0 && access("file009", F_OK) == 0);
    return victim_end();
}
