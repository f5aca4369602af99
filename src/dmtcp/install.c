/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/install.h"

#include "base/err.h"
#include "base/spawn.h"
#include "base/str.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VERSION_TIMEOUT_MS = 10000, VERSION_OUTPUT_MAX = 64 << 10 };
enum { LINE_MAX_SHOWN = 200 };
enum { MAJOR_OLDEST = 3, MAJOR_NEWEST = 4 };

static const char cure[] = "set QCKPT_DMTCP_PREFIX to the prefix that DMTCP 3 or 4 was "
                           "installed with";

/* ---- the version ---- */

/* Its length, for a message. */
static int first_line(const char *text)
{
    size_t length = strcspn(text, "\n");

    return length < LINE_MAX_SHOWN ? (int)length : LINE_MAX_SHOWN;
}

int install_parse_version(const char *path, const char *text, unsigned *major,
                          unsigned *minor, struct err *e)
{
    static const char lead[] = "dmtcp_launch (DMTCP) ";
    unsigned ma, mi;

    if (strncmp(text, lead, sizeof(lead) - 1) != 0 ||
        sscanf(text + sizeof(lead) - 1, "%3u.%3u", &ma, &mi) != 2)
        return err_set(e, ERR_REFUSED,
                       "%s --version does not tell the version of a DMTCP but says "
                       "\"%.*s\"; %s",
                       path, first_line(text), text, cure);
    if (ma < MAJOR_OLDEST || ma > MAJOR_NEWEST)
        return err_set(e, ERR_REFUSED,
                       "%s is of DMTCP %u.%u, but only versions %d and %d are known "
                       "here; %s",
                       path, ma, mi, MAJOR_OLDEST, MAJOR_NEWEST, cure);
    *major = ma;
    *minor = mi;
    return 0;
}

static int read_version(struct install *in, struct err *e)
{
    char *argv[] = {in->launch, "--version", NULL};
    const struct spawn_how how = {.path = in->launch,
                                  .argv = argv,
                                  .timeout_ms = VERSION_TIMEOUT_MS,
                                  .max_size = VERSION_OUTPUT_MAX};
    auto_spawn_output struct spawn_output output = {0};

    const char *said;

    if (spawn_run(&how, &output, e) < 0)
        return err_wrap(e, "ask %s for its version", in->launch);
    said = output.err_size ? output.err : output.out;
    if (!WIFEXITED(output.status) || WEXITSTATUS(output.status) != 0)
        return err_set(e, ERR_REFUSED, "%s --version fails: \"%.*s\"", in->launch,
                       first_line(said), said);
    return install_parse_version(in->launch, output.out, &in->major, &in->minor, e);
}

/* ---- the programs ---- */

static int find_in(const char *dir, struct install *in, struct err *e)
{
    const struct {
        const char *name;
        char *path;
    } programs[] = {{"dmtcp_launch", in->launch},
                    {"dmtcp_restart", in->restart},
                    {"dmtcp_command", in->command},
                    {"dmtcp_coordinator", in->coordinator}};
    char helper[PATH_MAX];

    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        if (str_format(programs[i].path, PATH_MAX, e, "%s/%s", dir, programs[i].name) <
            0)
            return -1;
        if (access(programs[i].path, X_OK) < 0)
            return err_set(e, ERR_REFUSED, "%s: %s; %s", programs[i].path,
                           strerror(errno), cure);
    }
    /* dmtcp_restart becomes it; it is looked up beside it. */
    if (str_format(helper, sizeof(helper), e, "%s/mtcp_restart", dir) < 0)
        return -1;
    if (access(helper, X_OK) < 0)
        return err_set(e, ERR_REFUSED, "%s: %s; %s", helper, strerror(errno), cure);
    return 0;
}

static bool has_launch(const char *dir)
{
    char path[PATH_MAX];

    return dir[0] == '/' &&
           (size_t)snprintf(path, sizeof(path), "%s/dmtcp_launch", dir) <
               sizeof(path) &&
           access(path, X_OK) == 0;
}

/* The first directory of a list with colons, as PATH is, that has dmtcp_launch. */
static bool search(const char *list, char dir[PATH_MAX])
{
    while (list && *list) {
        size_t n = strcspn(list, ":");

        if (n < PATH_MAX) {
            snprintf(dir, PATH_MAX, "%.*s", (int)n, list);
            if (has_launch(dir))
                return true;
        }
        list += n + (list[n] == ':');
    }
    return false;
}

int install_find(const char *prefix, struct install *out, struct err *e)
{
    struct install found = {0};
    char dir[PATH_MAX];

    if (prefix && prefix[0] != '/')
        return err_set(e, ERR_REFUSED,
                       "the prefix of DMTCP, %s, is not an absolute path; %s", prefix,
                       cure);
    if (prefix && str_format(dir, sizeof(dir), e, "%s/bin", prefix) < 0)
        return -1;
    if (!prefix && !search(getenv("PATH"), dir) &&
        !search("/usr/bin:/usr/local/bin:/opt/dmtcp/bin", dir))
        return err_set(
            e, ERR_REFUSED,
            "DMTCP is not installed here: no dmtcp_launch in PATH, /usr/bin, "
            "/usr/local/bin or /opt/dmtcp/bin; install it, or %s",
            cure);
    if (find_in(dir, &found, e) < 0 || read_version(&found, e) < 0)
        return -1;
    *out = found;
    return 0;
}
