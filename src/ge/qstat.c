/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "base/spawn.h"
#include "ge/ge.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* About 400 bytes a job: enough for more than 100,000 jobs of one user. */
enum { QSTAT_SIZE_MAX = 64 << 20 };

/* A job or, of an array job, tasks in the same state. */
struct entry {
    unsigned long job;
    bool deleted;
    char *queue; /* "all.q@n1"; NULL: it does not run */
    char *tasks; /* "1", "3-9:2", "1,4,7-9:1"; NULL: no array job */
};

struct ge_jobs {
    struct entry *entries;
    size_t n, room;
};

SCOPE_DEFINE(jobs, struct ge_jobs *, ge_jobs_free);
#define auto_jobs SCOPE_USE(jobs)

void ge_jobs_free(struct ge_jobs *jobs)
{
    if (!jobs)
        return;
    for (size_t i = 0; i < jobs->n; i++) {
        free(jobs->entries[i].tasks);
        free(jobs->entries[i].queue);
    }
    free(jobs->entries);
    free(jobs);
}

/* ---- the answer ---- */

/* The text of the only <NAME> between `from` and `to`, as a copy; NULL when there is
 * none or more than one. */
static char *element(const char *from, const char *to, const char *name)
{
    char open[40], close[40];
    const char *start, *end;

    snprintf(open, sizeof(open), "<%s>", name);
    snprintf(close, sizeof(close), "</%s>", name);
    start = memmem(from, to - from, open, strlen(open));
    if (!start)
        return NULL;
    start += strlen(open);
    end = memmem(start, to - start, close, strlen(close));
    if (!end || memchr(start, '<', end - start) ||
        memmem(end, to - end, open, strlen(open)))
        return NULL;
    return strndup(start, end - start);
}

static struct entry *add_entry(struct ge_jobs *jobs)
{
    size_t room = jobs->room ? jobs->room * 2 : 64;
    struct entry *entries;

    if (jobs->n == jobs->room) {
        entries = reallocarray(jobs->entries, room, sizeof(*entries));
        if (!entries)
            return NULL;
        jobs->entries = entries;
        jobs->room = room;
    }
    jobs->entries[jobs->n] = (struct entry){0};
    return &jobs->entries[jobs->n++];
}

static bool only(const char *text, const char *allowed)
{
    return *text && !text[strspn(text, allowed)];
}

/* One <job_list>...</job_list>. */
static int parse_entry(struct ge_jobs *jobs, const char *from, const char *to,
                       struct err *e)
{
    auto_free char *number = element(from, to, "JB_job_number");
    auto_free char *state = element(from, to, "state");
    auto_free char *tasks = element(from, to, "tasks");
    auto_free char *queue = element(from, to, "queue_name");
    struct entry *entry;

    if (!number || !only(number, "0123456789") || strlen(number) > 10)
        return err_set(e, ERR_CORRUPT, "qstat lists a job without a number");
    if (!state || !only(state, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        return err_set(e, ERR_CORRUPT, "qstat lists job %s without a state", number);
    if (tasks && !only(tasks, "0123456789-:,"))
        return err_set(e, ERR_CORRUPT, "qstat lists job %s with tasks '%.40s'", number,
                       tasks);
    entry = add_entry(jobs);
    if (!entry)
        return err_sys(e, "list of jobs");
    entry->job = strtoul(number, NULL, 10);
    entry->deleted = strchr(state, 'd') != NULL;
    entry->tasks = take_ptr(tasks);
    entry->queue = take_ptr(queue);
    return 0;
}

/* An answer that was cut off, or that is an error in another form, must not look as if
 * the job were gone. */
static int check_frame(const char *xml, struct err *e)
{
    static const char tail[] = "</job_info>";
    size_t size = strlen(xml);

    while (size > 0 && strchr(" \t\r\n", xml[size - 1]))
        size--;
    if (strncmp(xml, "<?xml", 5) != 0 || !strstr(xml, "<job_info") ||
        size < sizeof(tail) - 1 ||
        strncmp(xml + size - (sizeof(tail) - 1), tail, sizeof(tail) - 1) != 0)
        return err_set(e, ERR_CORRUPT, "qstat does not print a list of jobs: '%.60s'",
                       xml);
    return 0;
}

static int parse(struct ge_jobs *jobs, const char *xml, struct err *e)
{
    static const char open[] = "<job_list", close[] = "</job_list>";
    const char *from, *to;

    if (check_frame(xml, e) < 0)
        return -1;
    for (from = strstr(xml, open); from; from = strstr(to, open)) {
        to = strstr(from, close);
        if (!to)
            return err_set(e, ERR_CORRUPT, "qstat's list of jobs is cut off");
        if (memmem(from + 1, to - from - 1, open, sizeof(open) - 1))
            return err_set(e, ERR_CORRUPT, "qstat's list of jobs is cut off");
        if (parse_entry(jobs, from, to, e) < 0)
            return -1;
    }
    return 0;
}

struct ge_jobs *ge_jobs_parse(const char *xml, struct err *e)
{
    auto_jobs struct ge_jobs *jobs = calloc(1, sizeof(*jobs));

    if (!jobs) {
        err_sys(e, "list of jobs");
        return NULL;
    }
    if (parse(jobs, xml, e) < 0)
        return NULL;
    return take_ptr(jobs);
}

/* "N", "N-M" or "N-M:STEP", several with commas between them. */
static bool tasks_hold(const char *tasks, unsigned long task)
{
    const char *p = tasks;

    while (*p) {
        char *end;
        unsigned long first = strtoul(p, &end, 10), last = first, step = 1;

        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        if (*end == ':')
            step = strtoul(end + 1, &end, 10);
        if (task >= first && task <= last && step > 0 && (task - first) % step == 0)
            return true;
        if (*end != ',')
            return false;
        p = end + 1;
    }
    return false;
}

static bool runs_on(const struct entry *entry, const char *host)
{
    const char *at = entry->queue ? strrchr(entry->queue, '@') : NULL;

    return !host || (at && strcasecmp(at + 1, host) == 0);
}

enum ge_presence ge_jobs_find(const struct ge_jobs *jobs, const char *job,
                              const char *task, const char *host)
{
    unsigned long wanted = strtoul(job, NULL, 10), number = strtoul(task, NULL, 10);
    enum ge_presence found = GE_ABSENT;

    for (size_t i = 0; i < jobs->n; i++) {
        const struct entry *entry = &jobs->entries[i];

        if (entry->job != wanted || (entry->tasks && !tasks_hold(entry->tasks, number)))
            continue;
        if (!entry->deleted)
            return runs_on(entry, host) ? GE_PRESENT : GE_ELSEWHERE;
        found = GE_DELETED;
    }
    return found;
}

enum ge_presence ge_jobs_find_any(const struct ge_jobs *jobs, const char *job)
{
    unsigned long wanted = strtoul(job, NULL, 10);

    for (size_t i = 0; i < jobs->n; i++)
        if (jobs->entries[i].job == wanted)
            return GE_PRESENT;
    return GE_ABSENT;
}

/* ---- the question ---- */

/* The value of `key` in the cell's bootstrap file, bootstrap(5): "key value" lines. */
static char *bootstrap_get(const char *root, const char *key)
{
    const char *cell = getenv("SGE_CELL");
    auto_free char *name = NULL, *text = NULL;
    struct err ignored = {0};
    size_t length = strlen(key);

    if (asprintf(&name, "%s/%s/common/bootstrap", root,
                 cell && *cell ? cell : "default") < 0) {
        name = NULL;
        return NULL;
    }
    if (io_read_file(AT_FDCWD, name, 1 << 16, &text, NULL, &ignored) < 0)
        return NULL;
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        if (strncmp(line, key, length) == 0 &&
            (line[length] == ' ' || line[length] == '\t'))
            return strdup(line + length + strspn(line + length, " \t"));
    return NULL;
}

static bool try_program(char path[PATH_MAX], const char *directory, const char *arch)
{
    int n = arch ? snprintf(path, PATH_MAX, "%s/%s/qstat", directory, arch)
                 : snprintf(path, PATH_MAX, "%s/qstat", directory);

    return n > 0 && n < PATH_MAX && path[0] == '/' && access(path, X_OK) == 0;
}

/* The programs of Grid Engine are not in a job's PATH. binary_path is right as it is
 * (Debian) or has a directory for each architecture (everybody else). */
static int find_qstat(char path[PATH_MAX], struct err *e)
{
    const char *root = getenv("SGE_ROOT"), *binaries = getenv("SGE_BINARY_PATH");
    const char *arch = getenv("SGE_ARCH");
    auto_free char *bin = NULL, *configured = NULL;

    if (!arch || !*arch)
        arch = getenv("ARC");
    if (!arch || !*arch)
        arch = "lx-amd64";
    if (binaries && try_program(path, binaries, NULL))
        return 0;
    if (root && asprintf(&bin, "%s/bin", root) < 0)
        bin = NULL;
    if (bin && (try_program(path, bin, arch) || try_program(path, bin, NULL)))
        return 0;
    configured = root ? bootstrap_get(root, "binary_path") : NULL;
    if (configured &&
        (try_program(path, configured, arch) || try_program(path, configured, NULL)))
        return 0;
    if (try_program(path, "/usr/bin", NULL))
        return 0;
    return err_set(e, ERR_NOTHING,
                   "there is no qstat in SGE_BINARY_PATH (%s) or below "
                   "SGE_ROOT (%s)",
                   binaries ? binaries : "not set", root ? root : "not set");
}

/* qstat explains itself in several lines; the first says what is wrong. */
static void first_line(char *text)
{
    text[strcspn(text, "\n")] = '\0';
}

static int run_qstat(char *const *argv, unsigned timeout_ms,
                     struct spawn_output *output, struct err *e)
{
    char path[PATH_MAX];
    const struct spawn_how how = {.path = path,
                                  .argv = argv,
                                  .timeout_ms = timeout_ms,
                                  .max_size = QSTAT_SIZE_MAX};

    if (find_qstat(path, e) < 0 || spawn_run(&how, output, e) < 0)
        return -1;
    if (!WIFEXITED(output->status) || WEXITSTATUS(output->status) != 0) {
        first_line(output->err);
        return err_set(e, strstr(output->err, "denied:") ? ERR_REFUSED : ERR_FAILED,
                       "%s %s %s: %s", path, argv[1], argv[2],
                       output->err[0] ? output->err : "failed without a word");
    }
    if (strlen(output->out) != output->out_size)
        return err_set(e, ERR_CORRUPT, "%s prints a NUL", path);
    return 0;
}

struct ge_jobs *ge_jobs_ask(const char *user, unsigned timeout_ms, struct err *e)
{
    auto_spawn_output struct spawn_output output = {0};
    char *argv[] = {(char *)"qstat", (char *)"-u",   (char *)user, (char *)"-s",
                    (char *)"rs",    (char *)"-xml", NULL};

    if (run_qstat(argv, timeout_ms, &output, e) < 0)
        return NULL;
    return ge_jobs_parse(output.out, e);
}

int ge_job_is_known(const char *job, unsigned timeout_ms, bool *known, struct err *e)
{
    auto_spawn_output struct spawn_output output = {0};
    char *argv[] = {(char *)"qstat", (char *)"-j", (char *)job, (char *)"-xml", NULL};

    if (run_qstat(argv, timeout_ms, &output, e) < 0)
        return -1;
    return ge_job_known_parse(output.out, job, known, e);
}

int ge_job_known_parse(const char *xml, const char *job, bool *known, struct err *e)
{
    const char *end = xml + strlen(xml);
    auto_free char *number = element(xml, end, "JB_job_number");
    auto_free char *missing = element(xml, end, "ST_name");

    if (number && strcmp(number, job) == 0) {
        *known = true;
        return 0;
    }
    if (!number && missing && strcmp(missing, job) == 0 &&
        strstr(xml, "<unknown_jobs") && strstr(xml, "</unknown_jobs>")) {
        *known = false;
        return 0;
    }
    return err_set(e, ERR_CORRUPT,
                   "qstat does not say whether it knows job %s: '%.60s'", job, xml);
}
