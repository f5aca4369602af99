/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pseudo-terminals are saved and restored with what waits in them. */
#include "files_scenario.h"
#include "tap.h"

#include <fcntl.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static void set_up_pty(void)
{
    struct winsize size = {.ws_row = 33, .ws_col = 111};
    struct termios settings;
    int master, slave;

    if (openpty(&master, &slave, NULL, NULL, &size) < 0)
        abort();
    put(A, master);
    put(B, slave);
    tcgetattr(B, &settings);
    settings.c_lflag &= ~(ECHO | ICANON);
    settings.c_oflag &= ~OPOST;
    tcsetattr(B, TCSANOW, &settings);
    put(C, open("/dev/ptmx", O_RDWR | O_NOCTTY));
    say(A, "in");
    say(B, "out");
}

static void check_pty(int process)
{
    struct winsize size = {0};
    struct termios settings;
    unsigned a = 0, c = 0;

    CHECK_INT(ioctl(B, TIOCGWINSZ, &size), 0);
    CHECK_INT(size.ws_row, 33);
    CHECK_INT(size.ws_col, 111);
    CHECK_INT(tcgetattr(B, &settings), 0);
    CHECK_INT(settings.c_lflag & (ECHO | ICANON), 0);
    CHECK_STR(read_fd(A), "out");
    CHECK_STR(read_fd(B), "in");
    say(A, "typed");
    CHECK_STR(read_fd(B), "typed");
    say(B, "printed\n");
    CHECK_STR(read_fd(A), "printed\n");
    CHECK_INT(ioctl(A, TIOCGPTN, &a), 0);
    CHECK_INT(ioctl(C, TIOCGPTN, &c), 0);
    CHECK(a != c);
    close(B);
    CHECK_STR(read_fd(A), "EIO");
}

static void a_pseudo_terminal_keeps_its_settings(void)
{
    run_twice(set_up_pty, check_pty);
}

/* By lines, with echo, and the master in packet mode. */
static void set_up_canonical(void)
{
    int master, slave, on = 1;

    if (openpty(&master, &slave, NULL, NULL, NULL) < 0)
        abort();
    put(A, master);
    put(B, slave);
    say(A, "one\ntwo\n");
    ioctl(A, TIOCPKT, &on);
}

/* What the master in packet mode reads until it has `size` bytes; each packet begins
 * with its status. The kernel hands over in one or several. */
static void read_packets(char *text, size_t size)
{
    char packet[64];
    size_t got = 0;

    while (got < size) {
        ssize_t n = read(A, packet, 1 + size - got);

        CHECK(n > 1);
        CHECK_INT(packet[0], TIOCPKT_DATA);
        if (n <= 1)
            break;
        memcpy(text + got, packet + 1, n - 1);
        got += n - 1;
    }
    text[got] = '\0';
}

static void check_canonical(int process)
{
    struct termios settings;
    int waiting = 0;
    char echo[64];

    CHECK_STR(read_fd(B), "one\n");
    CHECK_STR(read_fd(B), "two\n");
    CHECK_INT(tcgetattr(B, &settings), 0);
    CHECK_INT(settings.c_lflag & (ICANON | ECHO | ISIG), ICANON | ECHO | ISIG);
    CHECK_INT(settings.c_oflag & OPOST, OPOST);
    read_packets(echo, 10);
    CHECK_STR(echo, "one\r\ntwo\r\n");
    CHECK_INT(ioctl(A, FIONREAD, &waiting), 0);
    CHECK_INT(waiting, 0);
}

static void lines_for_a_terminal_stay_lines(void)
{
    run_twice(set_up_canonical, check_canonical);
}
int main(void)
{
    RUN(a_pseudo_terminal_keeps_its_settings);
    RUN(lines_for_a_terminal_stay_lines);
    return tap_done();
}
