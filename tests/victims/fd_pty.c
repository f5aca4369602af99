/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A pseudo terminal: settings, size, queued data, a child on it as its terminal. */
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "victim.h"

static bool reads(int fd, const char *want)
{
    char buf[64] = "";
    size_t got = 0;

    while (got < strlen(want)) {
        ssize_t n = read(fd, buf + got, sizeof(buf) - 1 - got);

        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return strcmp(buf, want) == 0;
}

int main(void)
{
    struct winsize size = {33, 99, 0, 0}, now_size;
    struct termios t, now_t;
    int master, slave, on_master, queued = 0;
    char name[64], now_name[64], c = 0;
    pid_t child;

    NEED(openpty(&master, &slave, name, NULL, &size) == 0);
    NEED(tcgetattr(slave, &t) == 0);
    cfmakeraw(&t);
    t.c_cc[VMIN] = 3;
    t.c_iflag |= IXON;
    NEED(tcsetattr(slave, TCSANOW, &t) == 0);
    NEED(write(slave, "from the slave", 14) == 14);
    NEED(write(master, "to the slave", 12) == 12);
    child = forkpty(&on_master, NULL, NULL, &size);
    NEED(child >= 0);
    if (child == 0) {
        pid_t group = tcgetpgrp(0);

        victim_wait_go();
        /* Canonical and echoing; the terminal is still this session's. */
        _exit(read(0, &c, 1) == 1 && c == 'k' && tcgetpgrp(0) == group &&
                      group == getpid() && open("/dev/tty", O_RDWR) >= 0
                  ? 6
                  : 7);
    }
    victim_wait();
    NEED(tcgetattr(slave, &now_t) == 0);
    CHECK("modes", t.c_iflag == now_t.c_iflag && t.c_oflag == now_t.c_oflag &&
                       t.c_cflag == now_t.c_cflag && t.c_lflag == now_t.c_lflag);
    CHECK("control characters", memcmp(t.c_cc, now_t.c_cc, sizeof(t.c_cc)) == 0);
    NEED(ioctl(master, TIOCGWINSZ, &now_size) == 0);
    CHECK_INT("rows", now_size.ws_row, 33);
    CHECK_INT("columns", now_size.ws_col, 99);
    CHECK("data for the master", reads(master, "from the slave"));
    NEED(ioctl(slave, FIONREAD, &queued) == 0);
    CHECK_INT("bytes for the slave", queued, 12);
    CHECK("data for the slave", reads(slave, "to the slave"));
    NEED(ttyname_r(slave, now_name, sizeof(now_name)) == 0);
    CHECK_STR("name of the slave", now_name, name);
    NEED(write(on_master, "k\n", 2) == 2);
    CHECK_INT("the child on its terminal", victim_waitpid(child), 6 << 8);
    CHECK("its echo", reads(on_master, "k\r\n"));
    return victim_end();
}
