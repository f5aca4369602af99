/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/launch.h"

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "dmtcp/session.h"

#include <string.h>

const char launch_word[] = "--become-job";

/* Of the pipe by which the start is reported; nothing else is open above 2 there. */
enum { REPORT_FD = 3 };

static int add_plugin(const char *path, char *list, size_t size, struct err *e)
{
    size_t length = strlen(list);

    return str_format(list + length, size - length, e, "%s%s", length ? ":" : "", path);
}

/* Those for every job. A qckpt that was copied somewhere without its libraries can do
 * without them. */
static int add_plugins_of_all(const struct session *s, char *list, size_t size,
                              struct err *e)
{
    static const struct {
        const char *name, *without;
        unsigned since_major;
    } plugins[] = {
        {SESSION_EXEC_PLUGIN, "DMTCP 4.2 ends one of some ten thousand programs", 4},
        {SESSION_PIPES_PLUGIN,
         "what an ended program has left in a pipe may be lost at a checkpoint", 3},
    };
    struct err missing = {0};
    char path[PATH_MAX];

    for (size_t i = 0; i < sizeof(plugins) / sizeof(plugins[0]); i++) {
        if (s->in.major < plugins[i].since_major)
            continue;
        if (session_find_plugin(plugins[i].name, path, sizeof(path), &missing) < 0)
            log_warning("%s: without it %s", missing.text, plugins[i].without);
        else if (add_plugin(path, list, size, e) < 0)
            return -1;
    }
    return 0;
}

/* Ours first: they replace functions of DMTCP's own libraries. */
static int add_plugins(const struct session *s, const struct launch_how *how,
                       struct words *argv, struct err *e)
{
    char hosts[PATH_MAX], list[4 * PATH_MAX] = "";

    if (s->hosts.address[0] &&
        (session_find_plugin(SESSION_HOSTS_PLUGIN, hosts, sizeof(hosts), e) < 0 ||
         add_plugin(hosts, list, sizeof(list), e) < 0))
        return -1;
    if (add_plugins_of_all(s, list, sizeof(list), e) < 0)
        return -1;
    if (how->plugins && add_plugin(how->plugins, list, sizeof(list), e) < 0)
        return -1;
    if (!list[0])
        return 0;
    return words_add(argv, e, "--with-plugin") < 0 ? -1
                                                   : words_add(argv, e, "%s", list);
}

int launch_arguments(const struct session *s, const struct launch_how *how,
                     struct words *argv, struct err *e)
{
    char *const last[] = {(char *)how->self, (char *)launch_word,
                          (char *)how->job->path, NULL};

    /* Not --ckpt-signal: with any but its own, SIGUSR2, DMTCP (3.2, 4.2) lets threads
     * block the one that it stops them by, and waits for those for ever. */
    if (words_add(argv, e, "%s", s->in.launch) < 0 ||
        session_arguments(s, argv, e) < 0 ||
        words_add(argv, e, how->gzip ? "--gzip" : "--no-gzip") < 0)
        return -1;
    if (add_plugins(s, how, argv, e) < 0)
        return -1;
    if (words_split(argv, how->arguments, e) < 0)
        return -1;
    return words_add_all(argv, last, e) < 0 ? -1
                                            : words_add_all(argv, how->job->argv, e);
}

static int explain(struct session *s, struct err *e)
{
    char said[700];

    session_last_words(s, said, sizeof(said));
    return err_set(e, ERR_FAILED, "dmtcp_launch could not start the job: %s", said);
}

int launch_job(struct session *s, const struct launch_how *how, struct err *e)
{
    auto_words struct words argv = {0}, envp = {0};
    struct start_how start = *how->job;

    if (launch_arguments(s, how, &argv, e) < 0 ||
        session_environment(s, how->job->envp, &envp, e) < 0)
        return -1;
    start.name = how->job->path;
    start.path = s->in.launch;
    start.argv = argv.word;
    start.envp = envp.word;
    start.report_fd = REPORT_FD;
    if (start_program(&start, &s->root, NULL, e) == 0)
        return 0;
    return e->kind == ERR_FAILED ? explain(s, e) : -1;
}

void launch_as_told(int argc, char **argv)
{
    if (argc >= 4 && strcmp(argv[1], launch_word) == 0)
        start_exec(REPORT_FD, argv[2], argv + 3);
}
