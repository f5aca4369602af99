/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Descriptors that came through exec: a pipeline of this program's own making. */
#include "victim.h"

/* As the reader: standard input and an odd descriptor come from the parent. */
static int reader(int odd)
{
    char buf[64] = "";
    size_t got = 0;
    ssize_t n;

    victim_wait_go();
    while ((n = read(0, buf + got, sizeof(buf) - 1 - got)) > 0)
        got += (size_t)n;
    if (strcmp(buf, "before, after") != 0)
        return 1;
    return read(odd, buf, 5) == 5 && memcmp(buf, "extra", 5) == 0 ? 7 : 2;
}

int main(int argc, char **argv)
{
    int in[2], odd[2];
    char number[12];
    pid_t child;

    if (argc == 2)
        return reader(atoi(argv[1]));
    NEED(pipe2(in, O_CLOEXEC) == 0 && pipe2(odd, O_CLOEXEC) == 0);
    child = fork();
    NEED(child >= 0);
    if (child == 0) {
        NEED(dup2(in[0], 0) == 0 && dup2(odd[0], 123) == 123);
        snprintf(number, sizeof(number), "%d", 123);
        execl("/proc/self/exe", argv[0], number, NULL);
        _exit(99);
    }
    close(in[0]);
    close(odd[0]);
    NEED(write(in[1], "before", 6) == 6 && write(odd[1], "extra", 5) == 5);
    victim_sleep_ms(50);
    victim_wait();
    CHECK_INT("write", write(in[1], ", after", 7), 7);
    close(in[1]);
    CHECK_INT("what the child read", victim_waitpid(child), 7 << 8);
    return victim_end();
}
