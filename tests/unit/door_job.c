/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * door_job DIR: two processes with three threads. Each appends to a file of its own,
 * DIR/count0 to count2, until somebody ends it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void *count(void *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    while (write(fd, "x", 1) == 1)
        usleep(2000);
    return NULL;
}

int main(int argc, char **argv)
{
    char path[3][128];
    pthread_t thread;

    if (argc != 2)
        return 2;
    for (int i = 0; i < 3; i++)
        snprintf(path[i], sizeof(path[i]), "%s/count%d", argv[1], i);
    if (fork() == 0)
        count(path[2]);
    if (pthread_create(&thread, NULL, count, path[1]))
        return 1;
    count(path[0]);
    return 1;
}
