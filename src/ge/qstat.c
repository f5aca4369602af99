/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/scope.h"
#include "base/spawn.h"
#include "ge/ge.h"
#include "ge/tool.h"
#include "ge/xml.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A job or, of an array job, tasks in the same state. */
struct entry {
    unsigned long job;
    bool deleted;
    bool is_new; /* it waits for its first start */
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
    auto_free char *number = ge_xml_element(from, to, "JB_job_number");
    auto_free char *state = ge_xml_element(from, to, "state");
    auto_free char *tasks = ge_xml_element(from, to, "tasks");
    auto_free char *queue = ge_xml_element(from, to, "queue_name");
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
    entry->is_new = strchr(state, 'q') && !strchr(state, 'R');
    entry->tasks = take_ptr(tasks);
    entry->queue = take_ptr(queue);
    return 0;
}

/* An answer that was cut off, or that is an error in another form, must not look as if
 * the job were gone. */
static int check_frame(const char *xml, struct err *e)
{
    if (!ge_xml_is_whole(xml, "job_info") || !strstr(xml, "<job_info"))
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

bool ge_jobs_has_new(const struct ge_jobs *jobs, const char *job)
{
    unsigned long wanted = strtoul(job, NULL, 10);

    for (size_t i = 0; i < jobs->n; i++)
        if (jobs->entries[i].job == wanted && jobs->entries[i].is_new)
            return true;
    return false;
}

/* ---- the question ---- */

static struct ge_jobs *ask(const char *user, const char *states, unsigned timeout_ms,
                           struct err *e)
{
    auto_spawn_output struct spawn_output output = {0};
    char *argv[] = {(char *)"qstat", (char *)"-u",   (char *)user, (char *)"-s",
                    (char *)states,  (char *)"-xml", NULL};

    if (ge_tool_run(argv, timeout_ms, &output, e) < 0)
        return NULL;
    return ge_jobs_parse(output.out, e);
}

struct ge_jobs *ge_jobs_ask(const char *user, unsigned timeout_ms, struct err *e)
{
    return ask(user, "rs", timeout_ms, e);
}

struct ge_jobs *ge_jobs_ask_all(const char *user, unsigned timeout_ms, struct err *e)
{
    return ask(user, "prs", timeout_ms, e);
}

int ge_job_is_known(const char *job, unsigned timeout_ms, bool *known, struct err *e)
{
    auto_spawn_output struct spawn_output output = {0};
    char *argv[] = {(char *)"qstat", (char *)"-j", (char *)job, (char *)"-xml", NULL};

    if (ge_tool_run(argv, timeout_ms, &output, e) < 0)
        return -1;
    return ge_job_known_parse(output.out, job, known, e);
}

int ge_job_known_parse(const char *xml, const char *job, bool *known, struct err *e)
{
    const char *end = xml + strlen(xml);
    auto_free char *number = ge_xml_element(xml, end, "JB_job_number");
    auto_free char *missing = ge_xml_element(xml, end, "ST_name");

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
