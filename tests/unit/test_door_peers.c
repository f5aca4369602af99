/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whom the door lets in, and how. */
#include "door_fake.h"

#include "base/err.h"
#include "base/io.h"
#include "tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static int connect_and_be_silent(void *arg)
{
    const struct rig *r = arg;
    char none;
    int fd = rig_connect(r, 0);

    /* Turned away: the end of the connection, and not our patience's. */
    return fd >= 0 && recv(fd, &none, 1, 0) == 0 ? 0 : 1;
}

static void a_silent_stranger_blocks_nobody_and_is_told_of(void)
{
    struct rig r;
    char name[32];
    pid_t stranger;
    int worker;

    if (getuid() != 0)
        SKIP("only root can be another user");
    r = rig_open(fake_program, 10);
    if (!fake_opened(&r))
        return;
    stranger = as_user(STRANGER, connect_and_be_silent, &r);
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_STRANGER);
    snprintf(name, sizeof(name), "user %u (process %d)", STRANGER, stranger);
    CHECK_HAS(r.text, name);
    CHECK_INT(status_of(stranger), 0);
    worker = fake_join(&r);
    fake_request(&r, 'c');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    fake_release(&r);
    CHECK_STR(fake_passed(worker, WAIT_MS), "DMT:WriteCkpt");
    /* The next ones are counted, not told: nobody fills the job's log. */
    for (int i = 0; i < 20; i++)
        CHECK_INT(status_of(as_user(STRANGER, connect_and_be_silent, &r)), 0);
    CHECK_INT(rig_event(&r, 50), DOOR_NOTHING);
    close(worker);
    rig_close(&r);
}

/* The first bytes of a message are none, nor is what a scanner of ports says. */
static void what_does_not_speak_as_dmtcp_blocks_nobody(void)
{
    static const char noise[300] = "GET / HTTP/1.0\r\n\r\n";
    struct rig r = rig_open(fake_program, 10);
    char hello[RIG_HELLO_SIZE], welcome[8] = "", none;
    int silent, half, scanner, worker;

    if (!fake_opened(&r))
        return;
    rig_hello(hello, 'w');
    silent = rig_connect(&r, 0);
    half = rig_connect(&r, 0);
    CHECK_INT(send(half, hello, 20, MSG_NOSIGNAL), 20);
    worker = fake_join(&r);
    fake_request(&r, 'c');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    fake_release(&r);
    CHECK_STR(fake_passed(worker, WAIT_MS), "DMT:WriteCkpt");
    /* Slow, but one of us. */
    CHECK_INT(send(half, hello + 20, sizeof(hello) - 20, MSG_NOSIGNAL),
              sizeof(hello) - 20);
    CHECK_INT(recv(half, welcome, sizeof(welcome), MSG_WAITALL), sizeof(welcome));
    CHECK_STR(welcome, "welcome");
    CHECK_INT(rig_event(&r, 50), DOOR_NOTHING);
    scanner = rig_connect(&r, 0);
    CHECK_INT(send(scanner, noise, sizeof(noise), MSG_NOSIGNAL), sizeof(noise));
    CHECK(recv(scanner, &none, 1, 0) <= 0);
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_STRANGER);
    CHECK_HAS(r.text, "did not speak as DMTCP does");
    close(scanner);
    close(half);
    close(worker);
    close(silent);
    rig_close(&r);
}

static int kill_and_hang_up(void *arg)
{
    int fd = rig_connect(arg, 'k');

    close(fd);
    return fd >= 0 ? 0 : 1;
}

static int kill_and_reset(void *arg)
{
    struct linger linger = {1, 0};
    int fd = rig_connect(arg, 'k');

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
    return fd >= 0 ? 0 : 1;
}

/* The kernel says of a socket that nobody holds any more that it is root's. */
static void a_stranger_who_hangs_up_at_once_does_not_pass_for_root(void)
{
    struct rig r;

    if (getuid() != 0)
        SKIP("only root can be another user");
    r = rig_open(fake_program, 10);
    if (!fake_opened(&r))
        return;
    /* Gone before the door looks: the connections wait in the queue. */
    CHECK_INT(kill(door_pid(r.door), SIGSTOP), 0);
    CHECK_INT(status_of(as_user(STRANGER, kill_and_hang_up, &r)), 0);
    CHECK_INT(status_of(as_user(STRANGER, kill_and_reset, &r)), 0);
    CHECK_INT(kill(door_pid(r.door), SIGCONT), 0);
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_STRANGER);
    CHECK_HAS(r.text, "hung up");
    close(fake_join(&r));
    CHECK_INT(rig_event(&r, 50), DOOR_NOTHING);
    rig_close(&r);
}

static void the_users_own_commands_reach_the_coordinator(void)
{
    struct rig r = rig_open(fake_program, 10);

    if (!fake_opened(&r))
        return;
    fake_ask(&r, 'k');
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_CLOSED);
    CHECK_STR(r.text, "DMTCP's coordinator ended with status 3; the last line of its "
                      "log: killed by a command");
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_CLOSED);
    CHECK_HAS(r.text, "killed by a command");
    rig_close(&r);
}

/* Lets the coordinator run on before the door as soon as it can. */
static void let_the_door_wait(const struct rig *r)
{
    const struct sched_param none = {0};
    cpu_set_t all, one;
    int cpu = 0;

    CHECK_INT(sched_getaffinity(0, sizeof(all), &all), 0);
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    CHECK_INT(sched_setaffinity(door_pid(r->door), sizeof(one), &one), 0);
    CHECK_INT(sched_setaffinity(r->coordinator, sizeof(one), &one), 0);
    CHECK_INT(sched_setscheduler(door_pid(r->door), SCHED_IDLE, &none), 0);
}

static struct rig open_as(const char *mode)
{
    struct rig r;

    setenv("FAKE_COORDINATOR", mode, 1);
    r = rig_open(fake_program, 10);
    unsetenv("FAKE_COORDINATOR");
    return r;
}

/* Or a close(2) of the coordinator's leaves it in its epoll(7) set. */
static void nobody_else_holds_what_the_coordinator_is_given(void)
{
    struct rig r = open_as("alone");
    char none;

    if (!fake_opened(&r))
        return;
    let_the_door_wait(&r);
    for (int i = 0; i < 30; i++) {
        int fd = rig_connect(&r, 'x');

        CHECK(fd >= 0 && recv(fd, &none, 1, 0) <= 0);
        close(fd);
    }
    CHECK_INT(rig_event(&r, 50), DOOR_NOTHING);
    CHECK_STR(r.text, "");
    rig_close(&r);
}

/* The first message of a process: as DMTCP 3.2 and 4.2 send it, as far as the door
 * looks at it. */
struct hello {
    char magic[16], barrier[72];
    uint32_t size, more, type, state;
    char rest[104], behind[8];
};
_Static_assert(sizeof(struct hello) == 216, "208 bytes and 8 behind them");

enum { NEW_WORKER = 1, RESTART_WORKER = 3 };
enum { UNKNOWN = 0, RUNNING = 1, PRESUSPEND = 2, RESTARTING = 6 };

/* The state that the coordinator has read; -1: another message in any other place. */
static int heard(const struct rig *r, struct hello hello)
{
    struct hello got = {.size = 0};
    int fd = rig_connect(r, 0), state;

    CHECK_INT(send(fd, &hello, sizeof(hello), MSG_NOSIGNAL), sizeof(hello));
    CHECK_INT(recv(fd, &got, sizeof(got), MSG_WAITALL), sizeof(got));
    close(fd);
    state = (int)got.state;
    got.state = hello.state;
    return memcmp(&got, &hello, sizeof(got)) == 0 ? state : -1;
}

static void a_process_that_begins_while_its_parent_is_stopped_is_taken(void)
{
    struct hello hello = {.magic = "DMTCP_CKPT_V0\n",
                          .barrier = "barrier",
                          .size = 208,
                          .more = 8,
                          .type = NEW_WORKER,
                          .rest = "rest",
                          .behind = "host"};
    struct rig r = open_as("hello");

    if (!fake_opened(&r))
        return;
    for (unsigned state = UNKNOWN; state <= RESTARTING; state++) {
        hello.state = state;
        CHECK_INT(heard(&r, hello), state == UNKNOWN ? UNKNOWN : RUNNING);
    }
    hello.type = RESTART_WORKER;
    CHECK_INT(heard(&r, hello), RESTARTING);
    /* What is not known is left alone. */
    hello.type = NEW_WORKER;
    hello.size = 200;
    CHECK_INT(heard(&r, hello), RESTARTING);
    hello.size = 208;
    hello.state = RESTARTING + 1;
    CHECK_INT(heard(&r, hello), RESTARTING + 1);
    hello.state = PRESUSPEND;
    rig_close(&r);
}

static void a_job_across_hosts_takes_other_addresses(void)
{
    static const char *const hosts[] = {"localhost", "192.0.2.7", NULL};
    static const char *const wrong[] = {"no.such.host.invalid", NULL};
    struct rig r = {.dir = "/tmp/qckpt-door-XXXXXX"};
    struct door_how how = {.coordinator = fake_program,
                           .workdir = r.dir,
                           .tmpdir = r.dir,
                           .hosts = hosts,
                           .timeout_s = 10};
    struct err e = {0};

    CHECK(mkdtemp(r.dir) != NULL);
    r.door = door_open(&how, &e);
    CHECK_STR(e.text, "");
    if (!r.door)
        return;
    close(fake_join(&r));
    door_close(r.door);
    how.hosts = wrong;
    r.door = door_open(&how, &e);
    CHECK(r.door == NULL);
    CHECK_HAS(e.text, "host no.such.host.invalid of the job has no IPv4 address");
    rig_close(&r);
}

int main(void)
{
    char dir[64] = "/tmp/qckpt-door-XXXXXX";
    struct err ignored;

    fake_prepare(dir);
    RUN(a_silent_stranger_blocks_nobody_and_is_told_of);
    RUN(what_does_not_speak_as_dmtcp_blocks_nobody);
    RUN(a_stranger_who_hangs_up_at_once_does_not_pass_for_root);
    RUN(the_users_own_commands_reach_the_coordinator);
    RUN(a_job_across_hosts_takes_other_addresses);
    RUN(nobody_else_holds_what_the_coordinator_is_given);
    RUN(a_process_that_begins_while_its_parent_is_stopped_is_taken);
    io_remove_tree(AT_FDCWD, dir, &ignored);
    return tap_done();
}
