/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The plugin for pipes under DMTCP, in a program that is its DMTCP: what a process does
 * with the ends of pipes at a checkpoint, as 3.2 and 4.2 do it.
 */
#include "tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char leaders_are_known[] = "Socket::Ckpt_Register_Peer_Info";
static const char ends_are_empty[] = "Socket::Drain";

void dmtcp_global_barrier(const char *name);
void dmtcp_local_barrier(const char *name);
void *dmtcp_dlsym(void *handle, const char *symbol);
ssize_t write_all(int fd, const void *data,
                  size_t size) __asm__("_ZN5dmtcp4Util8writeAllEiPKvm");

/* ---- the functions that it replaces ---- */

static char passed[100];

static void pass_barrier(const char *name)
{
    snprintf(passed, sizeof(passed), "%s", name);
}

static ssize_t write_at_once(int fd, const void *data, size_t size)
{
    return send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void *dmtcp_dlsym(void *handle, const char *symbol)
{
    (void)handle;
    if (strcmp(symbol, "setsockopt") == 0)
        return (void *)setsockopt;
    return strstr(symbol, "barrier") ? (void *)pass_barrier : (void *)write_at_once;
}

/* ---- pipes ---- */

static ino_t inode(int fd)
{
    struct stat st;

    return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (dir && readdir(dir))
        n++;
    closedir(dir);
    return n;
}

struct pipe {
    int reader, writer;
};

/* As DMTCP makes it; we lead for the reader. */
static struct pipe pipe_with(const char *data, size_t size)
{
    int pair[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    CHECK_INT(send(pair[1], data, size, MSG_DONTWAIT), size);
    CHECK(fcntl(pair[0], F_SETOWN, getpid()) == 0);
    return (struct pipe){.reader = pair[0], .writer = pair[1]};
}

/* Until the writer's end, or nothing is there. */
static size_t read_all(int fd, char *data, size_t size)
{
    size_t done = 0;
    ssize_t n;

    while (done < size && (n = recv(fd, data + done, size - done, MSG_DONTWAIT)) > 0)
        done += (size_t)n;
    return done;
}

/* What a leader does with an end whose writer has ended: empties it, closes it, and has
 * another with the same in its place. */
static void empty(int fd, const char *expected)
{
    char data[100] = "";
    int pair[2];

    CHECK_INT(read_all(fd, data, sizeof(data) - 1), strlen(expected));
    CHECK_STR(data, expected);
    close(fd);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    CHECK(write_all(pair[1], data, strlen(data)) == (ssize_t)strlen(data));
    if (pair[0] != fd) {
        dup2(pair[0], fd);
        close(pair[0]);
    }
    close(pair[1]);
}

static void still_has(int fd, const char *expected)
{
    char data[100] = "";

    CHECK_INT(read_all(fd, data, sizeof(data) - 1), strlen(expected));
    CHECK_STR(data, expected);
    CHECK_INT(recv(fd, data, 1, 0), 0);
}

/* ---- tests ---- */

/* Another process that has the end open and does not lead: reads it when it is told to,
 * and ends with 0 when it finds that. */
static pid_t start_other(int end, int go, const char *expected)
{
    pid_t pid = fork();
    char told;

    if (pid == 0) {
        CHECK_INT(read(go, &told, 1), 1);
        still_has(end, expected);
        fflush(stdout);
        _exit(tap_test_failed);
    }
    return pid;
}

static void all_who_have_the_end_find_what_was_in_it(void)
{
    struct pipe p = pipe_with("what was left", 13);
    ino_t end = inode(p.reader);
    int go[2], before, status = -1;
    pid_t other;

    close(p.writer);
    CHECK(pipe(go) == 0);
    other = start_other(p.reader, go[0], "what was left");
    CHECK(fcntl(p.reader, F_SETFD, FD_CLOEXEC) == 0);
    before = open_descriptors();
    dmtcp_global_barrier(leaders_are_known);
    CHECK_STR(passed, leaders_are_known);
    CHECK(inode(p.reader) != end);
    CHECK_INT(fcntl(p.reader, F_GETOWN), getpid());
    empty(p.reader, "what was left");
    dmtcp_local_barrier(ends_are_empty);
    CHECK_STR(passed, ends_are_empty);
    CHECK(inode(p.reader) == end);
    CHECK_INT(fcntl(p.reader, F_GETFD), FD_CLOEXEC);
    CHECK_INT(open_descriptors(), before);
    CHECK_INT(write(go[1], "", 1), 1);
    CHECK_INT(waitpid(other, &status, 0), other);
    CHECK_INT(status, 0);
    close(p.reader);
    close(go[0]);
    close(go[1]);
}

static void two_descriptors_of_one_end_stay_one(void)
{
    struct pipe p = pipe_with("abc", 3);
    ino_t end = inode(p.reader);
    int second = dup(p.reader);

    close(p.writer);
    dmtcp_global_barrier(leaders_are_known);
    CHECK(inode(p.reader) != end);
    CHECK(inode(second) == inode(p.reader));
    empty(p.reader, "abc");
    dup2(p.reader, second);
    /* Of several hosts all barriers are global. */
    dmtcp_global_barrier(ends_are_empty);
    CHECK(inode(p.reader) == end);
    CHECK(inode(second) == end);
    still_has(second, "abc");
    close(p.reader);
    close(second);
}

/* The other side still answers, and reads nothing but the answer. */
/* Of what may be open all but `n` is. */
static struct rlimit leave_free(int n)
{
    struct rlimit files;
    int highest = dup(STDIN_FILENO);

    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = (rlim_t)highest + 1 + (rlim_t)n;
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    return files;
}

static void a_job_that_may_open_no_more_is_helped(void)
{
    struct pipe p = pipe_with("abc", 3);
    ino_t end = inode(p.reader);
    struct rlimit before, files, after;
    int second = dup(p.reader);

    close(p.writer);
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    files = leave_free(0);
    CHECK(dup(STDIN_FILENO) < 0);
    dmtcp_global_barrier(leaders_are_known);
    CHECK(inode(p.reader) != end);
    CHECK(inode(second) == inode(p.reader));
    dmtcp_local_barrier(ends_are_empty);
    CHECK(inode(p.reader) == end);
    CHECK(inode(second) == end);
    CHECK(getrlimit(RLIMIT_NOFILE, &after) == 0);
    CHECK_INT(after.rlim_cur, files.rlim_cur);
    CHECK_INT(after.rlim_max, files.rlim_max);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    still_has(second, "abc");
    close(p.reader);
    close(second);
}

/* With no more than DMTCP needs itself; it hangs where it has not. */
static void the_last_descriptors_are_dmtcps(void)
{
    struct pipe p = pipe_with("abc", 3);
    ino_t end = inode(p.reader);
    struct rlimit files;
    int status = -1;
    pid_t pid = fork();

    close(p.writer);
    if (pid == 0) {
        CHECK(fcntl(p.reader, F_SETOWN, getpid()) == 0);
        files = leave_free(2);
        files.rlim_max = files.rlim_cur;
        CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
        dmtcp_global_barrier(leaders_are_known);
        CHECK(inode(p.reader) == end);
        CHECK(dup(STDIN_FILENO) >= 0);
        CHECK(dup(STDIN_FILENO) >= 0);
        dmtcp_local_barrier(ends_are_empty);
        still_has(p.reader, "abc");
        fflush(stdout);
        _exit(tap_test_failed);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
    close(p.reader);
}

static void a_connection_that_one_side_has_shut_goes_on(void)
{
    struct pipe p = pipe_with("question", 8);
    ino_t ends[] = {inode(p.reader), inode(p.writer)};

    CHECK(fcntl(p.writer, F_SETOWN, getpid()) == 0);
    CHECK(shutdown(p.writer, SHUT_WR) == 0);
    dmtcp_global_barrier(leaders_are_known);
    CHECK(inode(p.reader) != ends[0]);
    CHECK(inode(p.writer) != ends[1]);
    CHECK(write_at_once(p.reader, "cookie", 6) < 0);
    empty(p.reader, "question");
    empty(p.writer, "");
    dmtcp_local_barrier(ends_are_empty);
    CHECK(inode(p.reader) == ends[0]);
    CHECK(inode(p.writer) == ends[1]);
    still_has(p.reader, "question");
    CHECK_INT(write_at_once(p.reader, "answer", 6), 6);
    close(p.reader);
    still_has(p.writer, "answer");
    close(p.writer);
}

static void send_with_descriptor(int fd, const char *text)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS,
                            .cmsg_len = CMSG_LEN(sizeof(int))}};
    struct iovec part = {(char *)text, strlen(text)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};

    *(int *)CMSG_DATA(&control.header) = STDIN_FILENO;
    CHECK_INT(sendmsg(fd, &message, MSG_DONTWAIT), strlen(text));
}

static void what_is_sent_with_descriptors_is_copied(void)
{
    struct pipe p = pipe_with("one", 3);
    ino_t end = inode(p.reader);
    int offset = 0;
    socklen_t size = sizeof(offset);

    send_with_descriptor(p.writer, " two");
    send_with_descriptor(p.writer, " three");
    CHECK_INT(send(p.writer, " four", 5, MSG_DONTWAIT), 5);
    close(p.writer);
    dmtcp_global_barrier(leaders_are_known);
    CHECK(inode(p.reader) != end);
    empty(p.reader, "one two three four");
    dmtcp_local_barrier(ends_are_empty);
    CHECK(inode(p.reader) == end);
    CHECK(getsockopt(p.reader, SOL_SOCKET, SO_PEEK_OFF, &offset, &size) == 0);
    CHECK_INT(offset, -1);
    still_has(p.reader, "one two three four");
    close(p.reader);
}

static void is_left_alone(struct pipe p)
{
    ino_t end = inode(p.reader);

    dmtcp_global_barrier(leaders_are_known);
    CHECK(inode(p.reader) == end);
    dmtcp_local_barrier(ends_are_empty);
    CHECK(inode(p.reader) == end);
    close(p.reader);
}

static void others_are_left_alone(void)
{
    struct pipe p = pipe_with("has a writer", 12);

    is_left_alone(p);
    close(p.writer);
    p = pipe_with("", 0);
    close(p.writer);
    is_left_alone(p);
    p = pipe_with("another leads", 13);
    close(p.writer);
    CHECK(fcntl(p.reader, F_SETOWN, getppid()) == 0);
    is_left_alone(p);
}

static void other_barriers_are_passed(void)
{
    struct pipe p = pipe_with("abc", 3);
    ino_t end = inode(p.reader);

    close(p.writer);
    dmtcp_local_barrier("Socket::Pre_Ckpt");
    CHECK_STR(passed, "Socket::Pre_Ckpt");
    dmtcp_global_barrier("another");
    CHECK_STR(passed, "another");
    CHECK(inode(p.reader) == end);
    close(p.reader);
}

static char much[1 << 20], seen[sizeof(much)];

/* As much as it takes in pieces of the size that cat(1) writes. */
static size_t fill(int fd)
{
    size_t size = 0;
    ssize_t n;

    while ((n = send(fd, much + size, 1 << 17, MSG_DONTWAIT)) > 0)
        size += (size_t)n;
    return size;
}

static void a_full_pipe_fits_into_another(void)
{
    struct pipe p = pipe_with("", 0), to = pipe_with("", 0);
    size_t size;
    ino_t end = inode(p.reader);

    for (size_t i = 0; i < sizeof(much); i++)
        much[i] = (char)(i * 31 + (i >> 8));
    size = fill(p.writer);
    printf("# %zu bytes\n", size);
    close(p.writer);
    dmtcp_global_barrier(leaders_are_known);
    CHECK(inode(p.reader) != end);
    CHECK_INT(read_all(p.reader, seen, sizeof(seen)), size);
    CHECK(memcmp(seen, much, size) == 0);
    CHECK_INT(write_all(to.writer, seen, size), size);
    dmtcp_local_barrier(ends_are_empty);
    memset(seen, 0, sizeof(seen));
    CHECK_INT(read_all(p.reader, seen, sizeof(seen)), size);
    CHECK(memcmp(seen, much, size) == 0);
    close(p.reader);
    close(to.reader);
    close(to.writer);
}

int main(void)
{
    RUN(all_who_have_the_end_find_what_was_in_it);
    RUN(two_descriptors_of_one_end_stay_one);
    RUN(a_job_that_may_open_no_more_is_helped);
    RUN(the_last_descriptors_are_dmtcps);
    RUN(a_connection_that_one_side_has_shut_goes_on);
    RUN(what_is_sent_with_descriptors_is_copied);
    RUN(others_are_left_alone);
    RUN(other_barriers_are_passed);
    RUN(a_full_pipe_fits_into_another);
    return tap_done();
}
