/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/command.h"

#include "base/err.h"
#include "base/spawn.h"
#include "dmtcp/install.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { COMMAND_TIMEOUT_MS = 5000, COMMAND_OUTPUT_MAX = 16 << 20 };

/* What dmtcp_command exits with when the coordinator says no. */
enum { EXIT_REFUSED = 2 };

void command_list_free(struct command_list *list)
{
    free(list->worker);
    *list = (struct command_list){0};
}

/* ---- answers ---- */

static int unknown(const char *what, const char *line, struct err *e)
{
    return err_set(e, ERR_FAILED,
                   "dmtcp_command answers %s with \"%.*s\", which no known version "
                   "does",
                   what, (int)(strcspn(line, "\n") < 200 ? strcspn(line, "\n") : 200),
                   line);
}

/* The value of the line "  NAME=value". */
static const char *find_value(const char *text, const char *name)
{
    size_t n = strlen(name);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += strspn(line, "\n ");
        if (strncmp(line, name, n) == 0 && line[n] == '=')
            return line + n + 1;
    }
    return NULL;
}

static bool is_line(const char *at, const char *word)
{
    size_t n = strlen(word);

    return strncmp(at, word, n) == 0 && (at[n] == '\n' || at[n] == '\0');
}

int command_parse_status(const char *text, struct command_status *out, struct err *e)
{
    const char *peers = find_value(text, "NUM_PEERS");
    const char *running = find_value(text, "RUNNING");
    unsigned long n;
    char *end;

    if (!peers || !running)
        return unknown("-s", text, e);
    n = strtoul(peers, &end, 10);
    if (end == peers || *peers < '0' || *peers > '9' || *end != '\n' || n > 1 << 24)
        return unknown("-s", peers, e);
    if (!is_line(running, "yes") && !is_line(running, "no"))
        return unknown("-s", running, e);
    *out = (struct command_status){.peers = n, .running = is_line(running, "yes")};
    return 0;
}

/* The last place of `what` in the first `size` bytes. */
static const char *find_last(const char *line, size_t size, const char *what)
{
    size_t n = strlen(what);

    for (size_t i = size; i >= n; i--)
        if (memcmp(line + i - n, what, n) == 0)
            return line + i - n;
    return NULL;
}

/* "N, PROG[VIRTUAL:REAL]@HOST, UNIQUE, WorkerState::STATE, BARRIER", from behind: a
 * program's name may hold anything. */
static int parse_worker(const char *line, size_t size, struct command_worker *w)
{
    const char *state = find_last(line, size, ", WorkerState::");
    const char *unique = state ? find_last(line, state - line, ", ") : NULL;
    const char *host = unique ? find_last(line, unique - line, "]@") : NULL;
    const char *pids = host ? find_last(line, host - line, "[") : NULL;
    size_t length;
    char end;

    if (!pids || sscanf(pids, "[%9d:%9d%c", &w->virtual_pid, &w->pid, &end) != 3 ||
        end != ']' || w->virtual_pid <= 0 || w->pid <= 0)
        return -1;
    host += 2;
    snprintf(w->host, sizeof(w->host), "%.*s", (int)(unique - host), host);
    unique += 2;
    length = state - unique;
    if (length == 0 || length >= sizeof(w->unique) ||
        strspn(unique, "0123456789abcdef-") != length)
        return -1;
    memcpy(w->unique, unique, length);
    w->unique[length] = '\0';
    return 0;
}

static int append(struct command_list *list, const struct command_worker *w,
                  struct err *e)
{
    struct command_worker *more =
        realloc(list->worker, (list->n + 1) * sizeof(*list->worker));

    if (!more)
        return err_sys(e, "list of processes");
    list->worker = more;
    list->worker[list->n++] = *w;
    return 0;
}

int command_parse_list(const char *text, struct command_list *out, struct err *e)
{
    static const char title[] = "#, PROG[virtPID:realPID]@HOST, DMTCP-UNIQUEPID, ";
    auto_command_list struct command_list list = {0};
    const char *line = strstr(text, title);

    if (!line)
        return unknown("-l", text, e);
    line = strchr(line, '\n');
    for (line = line ? line + 1 : ""; *line; line += *line == '\n') {
        struct command_worker w = {0};
        size_t size = strcspn(line, "\n");

        if (size > 0 && parse_worker(line, size, &w) < 0)
            return unknown("-l", line, e);
        if (size > 0 && append(&list, &w, e) < 0)
            return -1;
        line += size;
    }
    *out = list;
    list = (struct command_list){0};
    return 0;
}

/* ---- questions ---- */

static const char *message_of(const struct spawn_output *o)
{
    const char *text = o->err_size ? o->err : o->out;
    size_t n = strlen(text);

    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
        n--;
    ((char *)text)[n] = '\0';
    return text;
}

/* Whoever is not there and whoever says no have the same status. */
static enum err_kind kind_of(const struct spawn_output *o)
{
    if (!WIFEXITED(o->status) || WEXITSTATUS(o->status) != EXIT_REFUSED)
        return ERR_FAILED;
    return strstr(o->err, "Coordinator not found") ||
                   strstr(o->out, "Coordinator not found")
               ? ERR_GONE
               : ERR_REFUSED;
}

static int ask(const struct install *in, int port, const char *what,
               struct spawn_output *output, struct err *e)
{
    char number[16];
    char *argv[] = {(char *)in->command, "-h", "127.0.0.1", "-p", number,
                    (char *)what,        NULL};
    const struct spawn_how how = {.path = in->command,
                                  .argv = argv,
                                  .timeout_ms = COMMAND_TIMEOUT_MS,
                                  .max_size = COMMAND_OUTPUT_MAX};

    snprintf(number, sizeof(number), "%d", port);
    if (spawn_run(&how, output, e) < 0)
        return -1;
    if (WIFEXITED(output->status) && WEXITSTATUS(output->status) == 0)
        return 0;
    return err_set(e, kind_of(output), "dmtcp_command %s: %.300s", what,
                   message_of(output));
}

int command_status(const struct install *in, int port, struct command_status *out,
                   struct err *e)
{
    auto_spawn_output struct spawn_output output = {0};

    return ask(in, port, "-s", &output, e) < 0
               ? -1
               : command_parse_status(output.out, out, e);
}

int command_list(const struct install *in, int port, struct command_list *out,
                 struct err *e)
{
    auto_spawn_output struct spawn_output output = {0};

    return ask(in, port, "-l", &output, e) < 0 ? -1
                                               : command_parse_list(output.out, out, e);
}

int command_checkpoint(const struct install *in, int port, struct err *e)
{
    auto_spawn_output struct spawn_output output = {0};

    return ask(in, port, "-c", &output, e);
}
