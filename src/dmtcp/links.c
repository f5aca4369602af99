/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/links.h"

#include "base/err.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/spawn.h"
#include "base/start.h"
#include "dmtcp/part.h"
#include "dmtcp/words.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BEAT_S = 10, KILL_S = 10, CLOSE_S = 10 };

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * UINT64_C(1000) + t.tv_nsec / 1000000;
}

static uint64_t in_s(unsigned s)
{
    return now_ms() + s * UINT64_C(1000);
}

/* ---- what it says ---- */

static void link_ends(struct link *link)
{
    scope_close(&link->fd);
    link->fd = -1;
}

/* A line in `out`; 0: none by the deadline (0: do not wait). -1: there will be none any
 * more, and what was begun is in `out`. */
static int read_line(struct link *link, uint64_t deadline_ms, char *out, size_t size)
{
    for (;;) {
        struct pollfd p = {.fd = link->fd, .events = POLLIN};
        char *end = memchr(link->line, '\n', link->used);
        uint64_t now = now_ms();
        ssize_t n;

        if (end || link->fd < 0) {
            size_t length = end ? (size_t)(end - link->line) : link->used;

            snprintf(out, size, "%.*s", (int)length, link->line);
            link->used -= end ? length + 1 : length;
            memmove(link->line, end ? end + 1 : link->line, link->used);
            return end ? 1 : -1;
        }
        if (poll(&p, 1, deadline_ms > now ? (int)(deadline_ms - now) : 0) <= 0)
            return 0;
        if (link->used == sizeof(link->line)) /* nothing that part.c says */
            link->used = 0;
        n = read(link->fd, link->line + link->used, sizeof(link->line) - link->used);
        if (n > 0)
            link->used += (size_t)n;
        else if (n == 0 || errno != EINTR)
            link_ends(link);
    }
}

/* What it says unasked. */
static void take_line(struct link *link, const char *line)
{
    if (strncmp(line, "ended ", 6) == 0)
        link->command_ended = true;
    if (strncmp(line, "empty ", 6) == 0)
        link->is_empty = line[6] == '1';
    if (strncmp(line, "count ", 6) == 0 && link->owed > 0)
        link->owed--;
    if (strncmp(line, "cpu ", 4) != 0 || link->cpu)
        return;
    link->cpu = strdup(line + 4);
    for (char *at = link->cpu; at && *at; at++)
        if (*at == '\t')
            *at = '\n';
}

/* The rest of a line that begins with `word`; lines before it are obeyed or passed
 * over. NULL: it did not come. */
static const char *await_word(struct link *link, const char *word, uint64_t deadline,
                              char *line, size_t size)
{
    size_t length = strlen(word);

    while (read_line(link, deadline, line, size) > 0) {
        take_line(link, line);
        /* An answer may be to what was asked before. */
        if (strncmp(line, word, length) == 0 && link->owed == 0)
            return line + length + (line[length] == ' ');
        if (strncmp(line, "refused ", 8) == 0)
            return NULL;
    }
    return NULL;
}

static int tell(struct link *link, char what)
{
    return link->fd >= 0 && send(link->fd, &what, 1, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static int broken(const struct link *link, struct err *e)
{
    return err_set(e, ERR_FAILED, "the connection to host %s of the job is broken",
                   link->host);
}

/* ---- opening ---- */

/* As one word of a shell's command line; csh too knows it, but for '!'. */
static int add_quoted(struct words *command, const char *word, struct err *e)
{
    size_t size = 4 * strlen(word) + 3;
    auto_free char *quoted = malloc(size);
    size_t n = 0;

    if (!quoted)
        return err_sys(e, "command line");
    quoted[n++] = '\'';
    for (; *word; word++)
        n += (size_t)snprintf(quoted + n, size - n,
                              *word == '\'' || *word == '!' ? "'\\%c'" : "%c", *word);
    snprintf(quoted + n, size - n, "'");
    return words_add(command, e, "%s", quoted);
}

/* What ssh gives to the user's shell there, which puts blanks between the words. */
static int add_command(const struct links *l, struct words *argv, struct err *e)
{
    if (words_add(argv, e, "exec") < 0 || add_quoted(argv, l->self, e) < 0 ||
        add_quoted(argv, part_word, e) < 0 || add_quoted(argv, l->workdir, e) < 0)
        return -1;
    return add_quoted(argv, l->tmpdir, e);
}

/* A cut cable is noticed within the minute that the other end waits. */
static int start_ssh(const struct links *l, struct link *link, int end, struct err *e)
{
    char *const start[] = {"ssh",
                           "-T",
                           "-x",
                           "-oBatchMode=yes",
                           "-oServerAliveInterval=15",
                           "-oServerAliveCountMax=3",
                           (char *)link->host,
                           NULL};
    auto_words struct words argv = {0};
    struct start_how ssh = {.path = "ssh", .stdio = {end, end, STDERR_FILENO}};

    if (words_add_all(&argv, start, e) < 0 || add_command(l, &argv, e) < 0)
        return -1;
    ssh.argv = argv.word;
    ssh.envp = environ;
    spawn_helper_mask(&ssh.mask);
    sigemptyset(&ssh.ignored);
    return start_program(&ssh, &link->ssh, NULL, e);
}

static int link_open(const struct links *l, struct link *link, struct err *e)
{
    int ends[2];
    int rc;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return err_sys(e, "connection to ssh");
    link->fd = ends[0];
    rc = start_ssh(l, link, ends[1], e);
    close(ends[1]);
    return rc;
}

static int link_ready(struct link *link, uint64_t deadline, struct err *e)
{
    char line[LINK_LINE_SIZE] = "";
    const char *name = await_word(link, "ready", deadline, line, sizeof(line));

    if (name && !link->cpu)
        return err_set(e, ERR_REFUSED,
                       "host %s of the job has another version of qckpt, which does "
                       "not say what its CPU offers",
                       link->host);
    if (name) {
        snprintf(link->name, sizeof(link->name), "%s", name);
        return 0;
    }
    if (strncmp(line, "refused ", 8) == 0)
        return err_set(e, ERR_REFUSED, "host %s of the job: %.400s", link->host,
                       line + 8);
    return err_set(e, ERR_REFUSED,
                   "qckpt cannot be run on host %s of the job: 'ssh %s' must work "
                   "without a password, and find it under the same path%s%.200s",
                   link->host, link->host, line[0] ? "; it says: " : "", line);
}

/* All signals are blocked here: it does not end by one that was meant for another. */
static int start_heart(struct links *l, struct err *e)
{
    pid_t parent = getpid();

    l->heart = fork();
    if (l->heart < 0) {
        l->heart = 0;
        return err_sys(e, "fork");
    }
    if (l->heart > 0)
        return 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == parent) {
        for (size_t i = 0; i < l->n; i++)
            tell(&l->link[i], '.');
        sleep(BEAT_S);
    }
    _exit(0);
}

static int remember(const struct links_how *how, struct links *l, struct err *e)
{
    size_t n = 0;

    while (how->hosts[n])
        n++;
    l->self = strdup(how->self);
    l->workdir = strdup(how->workdir);
    l->tmpdir = strdup(how->tmpdir);
    l->link = calloc(n + 1, sizeof(*l->link));
    if (!l->self || !l->workdir || !l->tmpdir || !l->link)
        return err_sys(e, "connections to the job's hosts");
    for (; l->n < n; l->n++)
        l->link[l->n] = (struct link){.host = how->hosts[l->n], .fd = -1};
    return 0;
}

static int open_all(const struct links_how *how, struct links *l, struct err *e)
{
    uint64_t deadline = in_s(how->timeout_s);

    if (remember(how, l, e) < 0)
        return -1;
    for (size_t i = 0; i < l->n; i++)
        if (link_open(l, &l->link[i], e) < 0)
            return -1;
    for (size_t i = 0; i < l->n; i++)
        if (link_ready(&l->link[i], deadline, e) < 0)
            return -1;
    return start_heart(l, e);
}

int links_open(const struct links_how *how, struct links *out, struct err *e)
{
    struct links l = {0};

    if (open_all(how, &l, e) < 0) {
        links_close(&l);
        return -1;
    }
    *out = l;
    return 0;
}

/* ---- questions ---- */

/* In letters that mean nothing else, for the heart may beat in between. */
static size_t spell(const char *word, char *out)
{
    size_t n = 0;

    for (const char *at = word;; at++) {
        out[n++] = (char)('A' + ((unsigned char)*at >> 4));
        out[n++] = (char)('A' + (*at & 15));
        if (!*at)
            return n;
    }
}

static int tell_word(struct link *link, const char *word, struct err *e)
{
    auto_free char *text = malloc(2 * strlen(word) + 2);
    size_t size, done = 0;

    if (!text)
        return err_sys(e, "command for host %s", link->host);
    size = spell(word, text);
    while (link->fd >= 0 && done < size) {
        ssize_t n = send(link->fd, text + done, size - done, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            break;
        done += n > 0 ? (size_t)n : 0;
    }
    return done == size ? 0 : broken(link, e);
}

int links_start(struct link *link, char *const *argv, struct err *e)
{
    for (; *argv; argv++)
        if (tell_word(link, *argv, e) < 0)
            return -1;
    return tell(link, 's') < 0 ? broken(link, e) : 0;
}

const char *links_broken(struct links *l)
{
    char line[LINK_LINE_SIZE];

    for (size_t i = 0; i < l->n; i++) {
        struct link *link = &l->link[i];
        int rc;

        while ((rc = read_line(link, 0, line, sizeof(line))) > 0)
            take_line(link, line);
        if (rc < 0 && !link->is_empty)
            return link->host;
    }
    return NULL;
}

const struct link *links_ended_command(const struct links *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->link[i].command_ended)
            return &l->link[i];
    return NULL;
}

int links_count(struct link *link, unsigned timeout_s, struct links_count *out,
                struct err *e)
{
    char line[LINK_LINE_SIZE] = "";
    const char *text = NULL;

    *out = (struct links_count){0};
    if (link->fd < 0 && link->is_empty)
        return 0;
    link->owed++;
    if (tell(link, 'c') == 0)
        text = await_word(link, "count", in_s(timeout_s), line, sizeof(line));
    if (text && sscanf(text, "%zu %zu %" SCNu64 " %31[^\n]", &out->under_dmtcp,
                       &out->foreign, &out->image_bytes, out->foreign_name) >= 3)
        return 0;
    return err_set(e, ERR_REFUSED,
                   "the job's processes on host %s cannot be counted: %.400s",
                   link->host, line[0] ? line : "there is no answer");
}

/* ---- ending ---- */

void links_kill(struct links *l)
{
    uint64_t deadline = in_s(KILL_S);
    char line[LINK_LINE_SIZE];

    for (size_t i = 0; i < l->n; i++)
        tell(&l->link[i], 'k');
    for (size_t i = 0; i < l->n; i++)
        if (l->link[i].fd >= 0 &&
            !await_word(&l->link[i], "gone", deadline, line, sizeof(line)))
            log_error("host %s does not say that the job's processes there are gone; "
                      "they end %d s after the connection to it",
                      l->link[i].host, PART_SILENCE_S);
}

static void end_child(pid_t pid, uint64_t deadline)
{
    while (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0) {
        if (now_ms() >= deadline)
            kill(pid, SIGKILL);
        poll(NULL, 0, 10);
    }
}

/* The heart has copies of them, which closing would leave open. */
static void end_all(struct links *l)
{
    uint64_t deadline = in_s(CLOSE_S);

    for (size_t i = 0; i < l->n; i++)
        if (l->link[i].fd >= 0)
            shutdown(l->link[i].fd, SHUT_WR);
    end_child(l->heart, 0);
    l->heart = 0;
    for (size_t i = 0; i < l->n; i++) {
        end_child(l->link[i].ssh, deadline);
        scope_close(&l->link[i].fd);
        l->link[i].fd = -1;
        l->link[i].ssh = 0;
    }
}

/* Only the connection may have gone, or the part have been killed: then what it looked
 * after is still there, and is ended by another. */
static void clean_up_behind(struct links *l, const bool *is_broken)
{
    uint64_t deadline = in_s(CLOSE_S);
    struct err e = {0};

    for (size_t i = 0; i < l->n; i++) {
        err_clear(&e);
        l->link[i].used = 0;
        if (is_broken[i] && link_open(l, &l->link[i], &e) < 0)
            log_warning("host %s of the job: %s", l->link[i].host, e.text);
    }
    for (size_t i = 0; i < l->n; i++) {
        err_clear(&e);
        if (!is_broken[i] || link_ready(&l->link[i], deadline, &e) == 0)
            continue;
        log_warning("host %s cannot be reached: what may be left of the job there ends "
                    "by itself, %d s after the connection to it",
                    l->link[i].host, PART_SILENCE_S);
        end_child(l->link[i].ssh, 0);
        l->link[i].ssh = 0;
    }
    end_all(l);
}

void links_close(struct links *l)
{
    auto_free bool *is_broken = calloc(l->n + 1, sizeof(*is_broken));
    bool any = false;

    for (size_t i = 0; is_broken && i < l->n; i++) {
        is_broken[i] = l->link[i].name[0] && l->link[i].fd < 0;
        any = any || is_broken[i];
    }
    end_all(l);
    if (any)
        clean_up_behind(l, is_broken);
    for (size_t i = 0; i < l->n; i++) {
        free(l->link[i].cpu);
        free(l->link[i].keep);
    }
    free(l->link);
    free(l->self);
    free(l->workdir);
    free(l->tmpdir);
    *l = (struct links){0};
}
