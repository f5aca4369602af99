/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "door_fake.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MESSAGE_SIZE = 100 }; /* fake_coordinator.c's */

char fake_program[64];

bool fake_opened(const struct rig *r)
{
    if (!r->door)
        printf("# %s\n", r->error);
    CHECK(r->door != NULL);
    return r->door != NULL;
}

int fake_join(const struct rig *r)
{
    char welcome[8] = "";
    int fd = rig_connect(r, 'w');

    CHECK_INT(recv(fd, welcome, sizeof(welcome), MSG_WAITALL), sizeof(welcome));
    CHECK_STR(welcome, "welcome");
    return fd;
}

void fake_request(const struct rig *r, char word)
{
    static int last = -1;

    if (last >= 0)
        close(last);
    last = rig_connect(r, word);
    CHECK(last >= 0);
}

void fake_ask(const struct rig *r, char word)
{
    char none;
    int fd = rig_connect(r, word);

    CHECK_INT(recv(fd, &none, 1, 0), 0);
    close(fd);
}

bool fake_stands_still(int worker, int ms)
{
    int size = -1;

    usleep(ms * 1000);
    return ioctl(worker, FIONREAD, &size) == 0 && size <= MESSAGE_SIZE;
}

const char *fake_passed(int worker, int ms)
{
    static char name[64];
    char message[MESSAGE_SIZE];
    struct pollfd fd = {worker, POLLIN, 0};

    name[0] = '\0';
    if (poll(&fd, 1, ms) == 1 &&
        recv(worker, message, sizeof(message), MSG_WAITALL) == sizeof(message) &&
        poll(&fd, 1, ms) == 1)
        CHECK(recv(worker, name, sizeof(name), 0) > 0);
    return name;
}

void fake_release(struct rig *r)
{
    struct err e = {0};

    CHECK_INT(door_release(r->door, &e), 0);
    CHECK_STR(e.text, "");
}

void fake_prepare(char dir[64])
{
    auto_free char *program = NULL;
    struct err e = {0};
    size_t size = 0;
    int fd;

    snprintf(fake_program, sizeof(fake_program), "%s/fake_coordinator",
             mkdtemp(dir) ? dir : ".");
    if (chmod(dir, 0755) < 0 ||
        io_read_file(AT_FDCWD, FAKE_COORDINATOR, 1 << 26, &program, &size, &e) < 0)
        printf("# %s\n", e.text);
    fd = open(fake_program, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    if (io_write_all(fd, program, size, &e) < 0 || fchmod(fd, 0755) < 0)
        printf("# %s\n", e.text);
    close(fd);
}
