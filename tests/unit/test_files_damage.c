/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an image says of open files is input from outside: damaged records are errors,
 * never crashes. */
#include "base/log.h"
#include "files_scenario.h"
#include "native/files/files.h"
#include "tap.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 600, FIRST = 10 };

static uint32_t seed = 1;

static uint32_t dice(uint32_t sides)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % sides;
}

static void make_sockets(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(at);
    int ends[2], listener = socket(AF_INET, SOCK_STREAM, 0), sock;

    bind(listener, (struct sockaddr *)&at, size);
    listen(listener, 1);
    getsockname(listener, (struct sockaddr *)&at, &size);
    sock = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(sock, (struct sockaddr *)&at, size) < 0 || write(sock, "tcp", 3) != 3)
        abort();
    accept(listener, NULL, NULL);
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", scenario_path("name"));
    bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&name, sizeof(name));
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) < 0 || write(ends[0], "dgram", 5) != 5)
        abort();
    socket(AF_NETLINK, SOCK_RAW, 0);
}

/* One of each kind. */
static void set_up(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    int ends[2], epoll, fd;
    sigset_t set;

    for (fd = 3; fd < FIRST; fd++)
        dup2(0, fd);
    fd = open(scenario_path("file"), O_RDWR | O_CREAT, 0600);
    flock(fd, LOCK_EX);
    memfd_create("memory", 0);
    open("/dev/null", O_RDWR);
    open("/tmp", O_RDONLY | O_DIRECTORY);
    open("/tmp", O_PATH);
    mkfifo(scenario_path("fifo"), 0600);
    open(scenario_path("fifo"), O_RDWR);
    if (pipe(ends) < 0 || write(ends[1], "pipe", 4) != 4)
        abort();
    epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event);
    eventfd(3, 0);
    timerfd_create(CLOCK_MONOTONIC, 0);
    sigemptyset(&set);
    signalfd(-1, &set, 0);
    fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    make_sockets();
}

static void change_detail(struct image_blob *b)
{
    uint8_t *bytes = b->data;
    uint32_t at;

    if (b->size == 0)
        return;
    at = dice(b->size);
    switch (dice(4)) {
    case 0:
        bytes[at] ^= 1 << dice(8);
        break;
    case 1:
        bytes[at] = 0xff;
        break;
    case 2:
        b->size = at;
        break;
    default:
        for (int i = 0; i < 4 && at + i < b->size; i++)
            bytes[at + i] = dice(2) ? 0xff : dice(256);
    }
}

static void change(struct image *img)
{
    struct image_file *f = &img->files[dice(img->n_files)];

    switch (dice(12)) {
    case 0:
        f->kind = dice(20);
        break;
    case 1:
        f->flags = dice(1 << 24);
        break;
    case 2:
        f->slot = dice(5);
        break;
    case 3:
        f->object = dice(3);
        break;
    default:
        change_detail(&f->detail);
    }
}

static void be_quiet(void *arg, enum log_level level, const char *line)
{
}

static void no_damage_crashes_the_restart(void)
{
    struct scenario s = {.set_up = set_up};
    int status, failed = 0, crashed = 0;

    scenario_dir();
    if (scenario_save(&s) < 0) {
        CHECK_STR(s.e.text, "");
        image_free(s.image);
        return;
    }
    CHECK(s.image->n_files > 20);
    fflush(stdout);
    for (int round = 0; round < ROUNDS; round++) {
        pid_t pid;

        seed = round + 1;
        pid = fork();
        if (pid == 0) {
            struct files_restore r = {
                .img = s.image, .stdio = {0, 1, 2}, .first_fd = 600};
            struct err e;

            alarm(20);
            log_to(be_quiet, NULL);
            for (uint32_t n = dice(3); n + 1 > 0 && n < 3; n--)
                change(s.image);
            status = files_restore_open(&r, &e) < 0;
            files_restore_close(&r);
            _exit(status ? 7 : 0);
        }
        waitpid(pid, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 7)
            failed++;
        else if (status != 0 && crashed++ == 0)
            printf("# round %d: status %#x\n", round, status);
    }
    printf("# %d of %d damaged images were refused\n", failed, ROUNDS);
    CHECK_INT(crashed, 0);
    CHECK(failed > ROUNDS / 4);
    image_free(s.image);
    scenario_clean();
}

int main(void)
{
    RUN(no_damage_crashes_the_restart);
    return tap_done();
}
