/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "door_rig.h"

#include "base/err.h"
#include "base/io.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t child_of(pid_t pid)
{
    char path[64], text[64] = "";
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
        perror("# children of the door");
    close(fd);
    return strtol(text, NULL, 10);
}

struct rig rig_open(const char *program, unsigned timeout_s)
{
    struct rig r = {.dir = "/tmp/qckpt-door-XXXXXX"};
    struct door_how how = {.coordinator = program,
                           .workdir = r.dir,
                           .tmpdir = r.dir,
                           .timeout_s = timeout_s};
    struct err e = {0};

    if (!mkdtemp(r.dir))
        perror("# mkdtemp");
    r.door = door_open(&how, &e);
    if (r.door)
        r.coordinator = child_of(door_pid(r.door));
    else
        snprintf(r.error, sizeof(r.error), "%s: %s", err_kind_name(e.kind), e.text);
    return r;
}

void rig_close(struct rig *r)
{
    struct err ignored;

    door_close(r->door);
    r->door = NULL;
    io_remove_tree(AT_FDCWD, r->dir, &ignored);
}

enum door_event rig_event(struct rig *r, int ms)
{
    struct pollfd fd = {door_fd(r->door), POLLIN, 0};

    r->text[0] = '\0';
    if (poll(&fd, 1, ms) <= 0)
        return DOOR_NOTHING;
    return door_next(r->door, r->text, sizeof(r->text));
}

void rig_hello(char hello[RIG_HELLO_SIZE], char word)
{
    memset(hello, 0, RIG_HELLO_SIZE);
    memcpy(hello, "DMTCP_CKPT_V0\n", sizeof("DMTCP_CKPT_V0\n"));
    hello[RIG_HELLO_WORD] = word;
}

int rig_connect(const struct rig *r, char word)
{
    char hello[RIG_HELLO_SIZE];
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_port = htons(door_port(r->door)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {WAIT_MS / 1000, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    rig_hello(hello, word);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ||
        (word && send(fd, hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello))) {
        close(fd);
        return -1;
    }
    return fd;
}

long long proc_status(pid_t pid, const char *key, int base)
{
    char path[64], line[256];
    long long value = -1;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    f = fopen(path, "re");
    if (!f)
        return -1;
    while (fgets(line, sizeof(line), f))
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
            value = (long long)strtoull(line + strlen(key) + 1, NULL, base);
    fclose(f);
    return value;
}

/* A zombie has ended: whoever inherited it has not looked yet. */
static bool has_ended(pid_t pid)
{
    char path[64], text[256] = "", *state;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true;
    if (read(fd, text, sizeof(text) - 1) <= 0)
        text[0] = '\0';
    close(fd);
    state = strrchr(text, ')');
    return !state || state[2] == 'Z' || state[2] == 'X';
}

bool ends(pid_t pid)
{
    for (int i = 0; i < WAIT_MS / 10; i++) {
        if (has_ended(pid))
            return true;
        usleep(10000);
    }
    return false;
}

pid_t as_user(unsigned uid, int (*body)(void *), void *arg)
{
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid != 0)
        return pid;
    if (uid != getuid() &&
        (setgroups(0, NULL) < 0 || setgid(uid) < 0 || setuid(uid) < 0))
        _exit(100);
    _exit(body(arg));
}

int status_of(pid_t pid)
{
    int status;

    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}
