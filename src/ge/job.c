/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "base/str.h"
#include "ge/ge.h"

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOSTS_SIZE_MAX = 16 << 20 };

/* Grid Engine sets what does not apply to "undefined" or leaves it empty. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    if (!value || !*value || strcmp(value, "undefined") == 0)
        return NULL;
    return value;
}

/* Job and task numbers become names in the store: digits without leading zeros. */
static int read_number(const char *what, const char *text, char out[GE_ID_SIZE],
                       struct err *e)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 10 || text[digits] || text[0] == '0')
        return err_set(e, ERR_USAGE, "%s is '%.40s', not a number of a job or task",
                       what, text);
    memcpy(out, text, digits + 1);
    return 0;
}

static int read_user(char out[GE_USER_SIZE], struct err *e)
{
    const struct passwd *pw = getpwuid(geteuid());

    if (!pw)
        return err_set(e, ERR_FAILED, "user %u has no name: getpwuid finds no entry",
                       (unsigned)geteuid());
    if (!str_is_name(pw->pw_name) || strlen(pw->pw_name) >= GE_USER_SIZE)
        return err_set(e, ERR_FAILED, "user name '%.40s' cannot be a directory's name",
                       pw->pw_name);
    strncpy(out, pw->pw_name, GE_USER_SIZE - 1);
    return 0;
}

static int read_ids(struct ge_job *j, const char *job, const char *task, struct err *e)
{
    if (!job)
        return err_set(e, ERR_USAGE,
                       "JOB_ID is not set; is this called by Grid Engine?");
    if (read_number("JOB_ID", job, j->job, e) < 0)
        return -1;
    /* A plain job's task is 0 in $ja_task_id and "undefined" in the environment. */
    j->is_array = task && strcmp(task, "0") != 0;
    if (!j->is_array)
        task = "1";
    return read_number("SGE_TASK_ID", task, j->task, e);
}

static int read_ckpt_dir(struct ge_job *j, const char *dir, struct err *e)
{
    if (!dir)
        return err_set(
            e, ERR_USAGE,
            "SGE_CKPT_DIR is not set; give the checkpoint environment '%s' a "
            "ckpt_dir (qconf -mckpt)",
            j->ckpt_env ? j->ckpt_env : "");
    if (dir[0] != '/')
        return err_set(e, ERR_USAGE, "ckpt_dir '%s' is not an absolute path", dir);
    j->ckpt_dir = dir;
    return 0;
}

/* Each line begins with a host's name, sge_pe(5); a host may have several. */
static bool names_hosts(const char *path)
{
    struct err ignored = {0};
    auto_free char *text = NULL;
    char *rest, *line;
    const char *first = NULL;

    if (io_read_file(AT_FDCWD, path, HOSTS_SIZE_MAX, &text, NULL, &ignored) < 0)
        return false;
    rest = text;
    while ((line = strsep(&rest, "\n"))) {
        line[strcspn(line, " \t")] = '\0';
        if (!first)
            first = line;
        else if (*line && strcmp(first, line) != 0)
            return true;
    }
    return false;
}

static const char *read_hosts_file(void)
{
    const char *path = variable("PE_HOSTFILE");
    const char *count = variable("NHOSTS");

    if (!path || path[0] != '/')
        return NULL;
    return (count && strcmp(count, "1") != 0) || names_hosts(path) ? path : NULL;
}

/* What has a PE_HOSTFILE of several has at least two. */
static unsigned count_hosts(const char *hosts_file)
{
    const char *count = variable("NHOSTS");
    unsigned long n = count ? strtoul(count, NULL, 10) : 0;

    if (!hosts_file)
        return 1;
    return n >= 2 && n < UINT_MAX ? (unsigned)n : 2;
}

static int read_job(struct ge_job *j, const char *job, const char *task,
                    const char *ckpt_dir, struct err *e)
{
    struct ge_job result = {0};
    const char *restarted = variable("RESTARTED");

    result.ckpt_env = variable("SGE_CKPT_ENV");
    result.spool_dir = variable("SGE_JOB_SPOOL_DIR");
    result.tmpdir = variable("TMPDIR");
    result.job_script = variable("JOB_SCRIPT");
    result.hosts_file = read_hosts_file();
    result.hosts = count_hosts(result.hosts_file);
    result.pe = variable("PE");
    result.restarted = restarted && strcmp(restarted, "0") != 0;
    result.migrated = restarted && strcmp(restarted, "2") == 0;
    if (read_ids(&result, job, task, e) < 0 || read_user(result.user, e) < 0)
        return -1;
    if ((result.ckpt_env || ckpt_dir) && read_ckpt_dir(&result, ckpt_dir, e) < 0)
        return -1;
    *j = result;
    return 0;
}

int ge_job_read(struct ge_job *j, struct err *e)
{
    return read_job(j, variable("JOB_ID"), variable("SGE_TASK_ID"),
                    variable("SGE_CKPT_DIR"), e);
}

int ge_job_read_hook(struct ge_job *j, int argc, char **argv, struct err *e)
{
    if (argc == 1) {
        if (ge_job_read(j, e) < 0)
            return -1;
    } else if (argc == 4) {
        const char *task = strcmp(argv[2], "undefined") == 0 ? NULL : argv[2];

        if (read_job(j, argv[1], task, argv[3], e) < 0)
            return -1;
    } else {
        return err_set(e, ERR_USAGE,
                       "%d arguments; give none, or $job_id $ja_task_id $ckpt_dir "
                       "(checkpoint(5))",
                       argc - 1);
    }
    return j->ckpt_dir ? 0 : read_ckpt_dir(j, NULL, e);
}
