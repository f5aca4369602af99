/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/io.h"
#include "ge/ge.h"
#include "tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD                                               \
    "<?xml version='1.0'?>\n"                              \
    "<job_info  xmlns:xsd=\"http://example.org/x.xsd\">\n" \
    "  <queue_info>\n"
#define TAIL "  </queue_info>\n  <job_info>\n  </job_info>\n</job_info>\n"
#define JOB(number, state, tasks)                             \
    "    <job_list state=\"running\">\n"                      \
    "      <JB_job_number>" number "</JB_job_number>\n"       \
    "      <JAT_prio>0.50000</JAT_prio>\n"                    \
    "      <JB_name>&lt;state&gt;d&lt;/state&gt;</JB_name>\n" \
    "      <state>" state "</state>\n"                        \
    "      <slots>1</slots>\n" tasks "    </job_list>\n"
#define TASKS(list) "      <tasks>" list "</tasks>\n"

static const char list[] = HEAD JOB("8", "r", "") JOB("11", "dr", "")
    JOB("13", "dRr", "") JOB("14", "r", TASKS("1")) JOB("14", "dr", TASKS("2"))
        JOB("14", "qw", TASKS("5-9:2,20,30-31:1")) JOB("15", "Rq", "")
            JOB("16", "Eqw", "") TAIL;

static struct ge_jobs *parse(const char *xml, struct err *e)
{
    *e = (struct err){0};
    return ge_jobs_parse(xml, e);
}

static void states_tell_deleted_jobs_from_others(void)
{
    struct err e;
    struct ge_jobs *jobs = parse(list, &e);

    CHECK_STR(e.text, "");
    CHECK(jobs != NULL);
    if (!jobs)
        return;
    CHECK_INT(ge_jobs_find(jobs, "8", "1", NULL), GE_PRESENT);
    CHECK_INT(ge_jobs_find(jobs, "11", "1", NULL), GE_DELETED);
    CHECK_INT(ge_jobs_find(jobs, "13", "1", NULL), GE_DELETED);
    CHECK_INT(ge_jobs_find(jobs, "15", "1", NULL), GE_PRESENT);
    CHECK_INT(ge_jobs_find(jobs, "16", "1", NULL), GE_PRESENT);
    CHECK_INT(ge_jobs_find(jobs, "1", "1", NULL), GE_ABSENT);
    CHECK_INT(ge_jobs_find(jobs, "111", "1", NULL), GE_ABSENT);
    ge_jobs_free(jobs);
}

static void tasks_of_an_array_job_are_told_apart(void)
{
    static const struct {
        const char *task;
        enum ge_presence presence;
    } cases[] = {
        {"1", GE_PRESENT},  {"2", GE_DELETED},  {"3", GE_ABSENT},  {"5", GE_PRESENT},
        {"6", GE_ABSENT},   {"9", GE_PRESENT},  {"11", GE_ABSENT}, {"20", GE_PRESENT},
        {"30", GE_PRESENT}, {"31", GE_PRESENT}, {"32", GE_ABSENT},
    };
    struct err e;
    struct ge_jobs *jobs = parse(list, &e);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        CHECK_INT(ge_jobs_find(jobs, "14", cases[i].task, NULL), cases[i].presence);
    CHECK_INT(ge_jobs_find_any(jobs, "14"), GE_PRESENT);
    CHECK_INT(ge_jobs_find_any(jobs, "17"), GE_ABSENT);
    ge_jobs_free(jobs);
}

static void a_job_on_another_host_is_told_apart(void)
{
    struct err e;
    struct ge_jobs *jobs =
        parse(HEAD JOB("8", "Rr", "<queue_name>all.q@n1.example.org</queue_name>\n")
                  JOB("9", "Rq", "<queue_name></queue_name>\n") TAIL,
              &e);

    CHECK_INT(ge_jobs_find(jobs, "8", "1", "N1.example.org"), GE_PRESENT);
    CHECK_INT(ge_jobs_find(jobs, "8", "1", "n2.example.org"), GE_ELSEWHERE);
    CHECK_INT(ge_jobs_find(jobs, "8", "1", NULL), GE_PRESENT);
    CHECK_INT(ge_jobs_find(jobs, "9", "1", "n1.example.org"), GE_ELSEWHERE);
    ge_jobs_free(jobs);
}

static void an_empty_list_is_an_answer(void)
{
    struct err e;
    struct ge_jobs *jobs = parse(HEAD TAIL, &e);

    CHECK(jobs && ge_jobs_find(jobs, "1", "1", NULL) == GE_ABSENT);
    ge_jobs_free(jobs);
}

static void anything_else_is_no_answer(void)
{
    static const char *const wrong[] = {
        "",
        "error: commlib error: got select error (Connection refused)\n",
        HEAD,
        HEAD JOB("8", "r", ""),
        HEAD "<job_list state=\"running\">\n" TAIL,
        HEAD JOB("8", "", "") TAIL,
        HEAD JOB("", "r", "") TAIL,
        HEAD JOB("8a", "r", "") TAIL,
        HEAD JOB("8", "r</state><state>d", "") TAIL,
        HEAD JOB("8", "r", TASKS("1;2")) TAIL,
        HEAD "<job_list>" JOB("8", "r", "") TAIL,
        "<html><job_info></job_info>",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct err e;
        struct ge_jobs *jobs = parse(wrong[i], &e);

        if (jobs)
            printf("# accepted: %s\n", wrong[i]);
        CHECK(!jobs && e.kind == ERR_CORRUPT);
        ge_jobs_free(jobs);
    }
}

/* Cut anywhere, the answer is refused: it never looks as if a job were gone. */
static void a_truncated_answer_is_refused(void)
{
    char copy[sizeof(list)];

    for (size_t size = 0; size < sizeof(list) - 2; size++) {
        struct err e;
        struct ge_jobs *jobs;

        memcpy(copy, list, size);
        copy[size] = '\0';
        jobs = parse(copy, &e);
        /* The inner </job_info> ends no answer that lacks jobs. */
        CHECK(!jobs || ge_jobs_find(jobs, "16", "1", NULL) == GE_PRESENT);
        ge_jobs_free(jobs);
    }
}

static void flipped_bytes_do_no_harm(void)
{
    unsigned seed = 7;

    for (int round = 0; round < 5000; round++) {
        char copy[sizeof(list)];
        struct err e;
        struct ge_jobs *jobs;

        memcpy(copy, list, sizeof(list));
        for (int i = 0; i < 4; i++)
            copy[rand_r(&seed) % (sizeof(list) - 1)] =
                "<>/d\x80 -:,9"[rand_r(&seed) % 10];
        jobs = parse(copy, &e);
        if (jobs)
            ge_jobs_find(jobs, "14", "7", NULL);
        ge_jobs_free(jobs);
    }
}

/* ---- asking a program that stands for qstat ---- */

static char directory[] = "/tmp/qckpt-qstat-XXXXXX";

static void stub(const char *script)
{
    char path[100];
    FILE *f;

    snprintf(path, sizeof(path), "%s/qstat", directory);
    f = fopen(path, "w");
    fprintf(f, "#!/bin/sh\n%s\n", script);
    fclose(f);
    chmod(path, 0755);
    setenv("SGE_BINARY_PATH", directory, 1);
}

static void qstat_is_asked_for_the_users_jobs(void)
{
    struct err e = {0};
    struct ge_jobs *jobs;

    stub("[ \"$*\" = '-u anna -s rs -xml' ] || exit 9\n"
         "cat <<'X'\n" HEAD JOB("8", "dr", "") TAIL "X");
    jobs = ge_jobs_ask("anna", 10000, &e);
    CHECK_STR(e.text, "");
    CHECK(jobs && ge_jobs_find(jobs, "8", "1", NULL) == GE_DELETED);
    ge_jobs_free(jobs);
}

static void a_refusal_is_told_in_qstats_words(void)
{
    struct err e = {0};

    stub("echo 'denied: host \"n1\" is neither submit nor admin host' >&2; exit 1");
    CHECK(ge_jobs_ask("anna", 10000, &e) == NULL);
    CHECK_HAS(e.text,
              "qstat -u anna: denied: host \"n1\" is neither submit nor admin host");
}

static void a_silent_failure_and_an_empty_answer_are_failures(void)
{
    struct err e = {0};

    stub("exit 1");
    CHECK(ge_jobs_ask("anna", 10000, &e) == NULL);
    CHECK_HAS(e.text, "failed without a word");
    stub("exit 0");
    CHECK(ge_jobs_ask("anna", 10000, &e) == NULL);
    CHECK(e.kind == ERR_CORRUPT);
    stub("kill -9 $$");
    CHECK(ge_jobs_ask("anna", 10000, &e) == NULL);
}

static void a_hanging_qstat_is_left(void)
{
    struct err e = {0};

    stub("exec sleep 600");
    CHECK(ge_jobs_ask("anna", 300, &e) == NULL);
    CHECK(e.kind == ERR_TIMEOUT);
}

#define KNOWN(number)                                                 \
    "<?xml version='1.0'?>\n<detailed_job_info xmlns:xsd=\"x\">\n"    \
    "<djob_info><element><JB_job_number>" number "</JB_job_number>\n" \
    "</element></djob_info></detailed_job_info>\n"
#define UNKNOWN(number)                        \
    "<?xml version='1.0'?>\n<unknown_jobs >\n" \
    "    <ST_name>" number "</ST_name>\n</unknown_jobs>\n"

static void a_job_is_known_or_not_or_there_is_no_answer(void)
{
    static const struct {
        const char *xml;
        int result;
        bool known;
    } cases[] = {
        {KNOWN("12"), 0, true},
        {UNKNOWN("12"), 0, false},
        {KNOWN("13"), -1, false},
        {UNKNOWN("13"), -1, false},
        {UNKNOWN("12") UNKNOWN("12"), -1, false},
        {KNOWN("13") UNKNOWN("12"), -1, false},
        {"<ST_name>12</ST_name>", -1, false},
        {"<unknown_jobs ><ST_name>12</ST_name>", -1, false},
        {"", -1, false},
        {"error: commlib error", -1, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = {0};
        bool known = false;

        CHECK_INT(ge_job_known_parse(cases[i].xml, "12", &known, &e), cases[i].result);
        CHECK_INT(known, cases[i].known);
    }
}

static void qstat_is_found_by_bootstrap(void)
{
    char path[100];
    struct err e = {0};
    struct ge_jobs *jobs;
    FILE *f;

    stub("cat <<'X'\n" HEAD TAIL "X");
    unsetenv("SGE_BINARY_PATH");
    setenv("SGE_ROOT", directory, 1);
    setenv("SGE_CELL", "c", 1);
    snprintf(path, sizeof(path), "%s/c", directory);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/c/common", directory);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/c/common/bootstrap", directory);
    f = fopen(path, "w");
    fprintf(f, "admin_user   x\nbinary_path\t%s\n", directory);
    fclose(f);
    jobs = ge_jobs_ask("anna", 10000, &e);
    CHECK_STR(e.text, "");
    CHECK(jobs != NULL);
    ge_jobs_free(jobs);
    unsetenv("SGE_ROOT");
}

static int end(void)
{
    struct err e = {0};

    if (io_remove_tree(AT_FDCWD, directory, &e) < 0)
        printf("# %s\n", e.text);
    return tap_done();
}

int main(void)
{
    if (!mkdtemp(directory))
        return 1;
    RUN(states_tell_deleted_jobs_from_others);
    RUN(tasks_of_an_array_job_are_told_apart);
    RUN(a_job_on_another_host_is_told_apart);
    RUN(an_empty_list_is_an_answer);
    RUN(anything_else_is_no_answer);
    RUN(a_truncated_answer_is_refused);
    RUN(flipped_bytes_do_no_harm);
    RUN(a_job_is_known_or_not_or_there_is_no_answer);
    RUN(qstat_is_asked_for_the_users_jobs);
    RUN(a_refusal_is_told_in_qstats_words);
    RUN(a_silent_failure_and_an_empty_answer_are_failures);
    RUN(a_hanging_qstat_is_left);
    RUN(qstat_is_found_by_bootstrap);
    return end();
}
