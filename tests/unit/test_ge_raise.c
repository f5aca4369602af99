/* SPDX-License-Identifier: GPL-3.0-or-later */
/* golden/ge has what the programs of Son of Grid Engine 8.1.9 printed. */
#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "ge/ge.h"
#include "tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

SCOPE_DEFINE(raise, struct ge_raise *, ge_raise_free);
#define auto_raise SCOPE_USE(raise)

static char *golden(const char *name)
{
    char path[500];
    char *text = NULL;
    struct err e = {0};

    snprintf(path, sizeof(path), GOLDEN "/ge/%s", name);
    if (io_read_file(AT_FDCWD, path, 1 << 20, &text, NULL, &e) < 0)
        printf("Bail out! %s\n", e.text);
    return text;
}

static const struct ge_request level2[] = {{"cpu_level", "2", true, NULL}};
static const struct ge_request level3[] = {{"cpu_level", "3", true, NULL}};
static const struct ge_request contract[] = {
    {"cpu_level", "3", true, NULL},
    {"cpuflag_avx2", "1", false, "cpu_level"},
    {"cpuflag_avx512f", "1", false, NULL},
    {"cpuflag_never_heard_of", "1", false, NULL},
    {"h_rt", "1", false, NULL},
};

static struct ge_raise *plan(const char *file, const char *job,
                             const struct ge_request *wanted, size_t n, struct err *e)
{
    auto_free char *xml = golden(file), *complexes = golden("qconf-sc");

    *e = (struct err){0};
    return ge_raise_parse(job, xml, complexes, wanted, n, e);
}

static void a_job_that_asks_for_nothing_gets_the_first_requests(void)
{
    struct err e;
    auto_raise struct ge_raise *r = plan("qstat-j-none.xml", "4758", contract, 5, &e);

    CHECK_STR(e.text, "");
    if (!r)
        return;
    CHECK_STR(ge_raise_list(r), "cpu_level=3,cpuflag_avx512f=1");
    CHECK(ge_raise_report(r)->changes);
    CHECK_INT(ge_raise_report(r)->asks, 2);
    CHECK_STR(ge_raise_report(r)->added, "cpu_level=3 cpuflag_avx512f=1");
}

static void what_the_cluster_does_not_have_is_named_and_left_out(void)
{
    struct err e;
    auto_raise struct ge_raise *r = plan("qstat-j-none.xml", "4758", contract, 5, &e);

    if (!r)
        return;
    CHECK_STR(ge_raise_report(r)->unknown, "cpuflag_never_heard_of");
    CHECK_STR(ge_raise_report(r)->unusable, "h_rt");
}

static void requests_with_values_stay_as_they_are(void)
{
    struct err e;
    auto_raise struct ge_raise *r = plan("qstat-j-many.xml", "4755", level3, 1, &e);

    CHECK_STR(e.text, "");
    CHECK_STR(r ? ge_raise_list(r) : "",
              "h_rt=3600,mem_free=1.5G,licenses=2,hostname=n*,"
              "sw_name=\"a;b=c\"&d,cpu_level=3");
}

static void of_an_array_job_too(void)
{
    struct err e;
    auto_raise struct ge_raise *r = plan("qstat-j-array.xml", "4757", contract, 3, &e);

    CHECK_STR(r ? ge_raise_list(r) : "",
              "sw_re=[ab]*|c&!d,cpu_level=3,cpuflag_avx2=TRUE,cpuflag_avx512f=1");
    CHECK_STR(r ? ge_raise_report(r)->added : "", "cpu_level=3 cpuflag_avx512f=1");
}

/* The queue master names the elements in another way then. */
static void of_a_job_that_was_altered_too(void)
{
    struct err e;
    auto_raise struct ge_raise *r = plan("qstat-j-altered.xml", "4711", level3, 1, &e);

    CHECK_STR(r ? ge_raise_list(r) : e.text,
              "h_rt=3600,mem_free=1M,hostname=n*,arch=lx-amd64,cpu_level=3");
}

static void what_is_asked_for_already_changes_nothing(void)
{
    static const struct ge_request avx2[] = {{"cpuflag_avx2", "1", false, NULL}};
    struct err e;
    auto_raise struct ge_raise *r = plan("qstat-j-array.xml", "4757", level2, 1, &e);
    auto_raise struct ge_raise *q = plan("qstat-j-array.xml", "4757", avx2, 1, &e);

    CHECK(r && !ge_raise_report(r)->changes && ge_raise_report(r)->asks == 1);
    CHECK(q && !ge_raise_report(q)->changes && ge_raise_report(q)->asks == 1);
}

static const char complexes_text[] =
    "#name shortcut type relop requestable consumable default urgency\n#----\n"
    "cpu_level cpul INT <= YES NO 0 0\n"
    "cpuflag_avx2 cfavx2 BOOL == YES NO 0 0\n"
    "cpuflag_fma cffma BOOL == NO NO 0 0\n"
    "hostname h HOST == YES NO NONE 0\n";

#define JOB(list)                                                                 \
    "<?xml version='1.0'?>\n<detailed_job_info  xmlns:xsd=\"x\">\n"               \
    "<djob_info><element><JB_job_number>12</JB_job_number>\n" list "</element>\n" \
    "</djob_info></detailed_job_info>\n"
#define HARD(list) "<JB_hard_resource_list>\n" list "</JB_hard_resource_list>\n"
#define REQUEST(name, value)                            \
    "<qstat_l_requests>\n<CE_name>" name "</CE_name>\n" \
    "<CE_valtype>2</CE_valtype>\n"                      \
    "<CE_stringval>" value "</CE_stringval>\n</qstat_l_requests>\n"

static struct ge_raise *parse(const char *xml, const struct ge_request *wanted,
                              size_t n, struct err *e)
{
    *e = (struct err){0};
    return ge_raise_parse("12", xml, complexes_text, wanted, n, e);
}

static void a_stricter_request_of_the_users_stays(void)
{
    struct err e;
    auto_raise struct ge_raise *r =
        parse(JOB(HARD(REQUEST("cpu_level", "4"))), level3, 1, &e);

    CHECK(r && !ge_raise_report(r)->changes && ge_raise_report(r)->asks == 1);
}

static void a_weaker_one_is_raised(void)
{
    struct err e;
    auto_raise struct ge_raise *r =
        parse(JOB(HARD(REQUEST("cpu_level", "2") REQUEST("x", "y"))), level3, 1, &e);

    CHECK_STR(r ? ge_raise_list(r) : "", "cpu_level=3,x=y");
}

/* What 8.1.9 takes for an INT, as qstat shows it. */
static void numbers_are_read_as_grid_engine_does(void)
{
    static const char *const less[] = {"-1",   "1.5", "0x2", "02",
                                       "TRUE", "1e0", "+2",  "0.002k"};
    static const char *const enough[] = {"3", "2K", "1e1", "INFINITY", "99999999999"};
    char xml[1000];

    for (size_t i = 0; i < sizeof(less) / sizeof(less[0]); i++) {
        struct err e;
        auto_raise struct ge_raise *r = NULL;

        snprintf(xml, sizeof(xml), JOB(HARD(REQUEST("cpu_level", "%s"))), less[i]);
        r = parse(xml, level3, 1, &e);
        CHECK_STR(r ? ge_raise_list(r) : "", "cpu_level=3");
    }
    for (size_t i = 0; i < sizeof(enough) / sizeof(enough[0]); i++) {
        struct err e;
        auto_raise struct ge_raise *r = NULL;

        snprintf(xml, sizeof(xml), JOB(HARD(REQUEST("cpu_level", "%s"))), enough[i]);
        r = parse(xml, level3, 1, &e);
        CHECK(r && !ge_raise_report(r)->changes);
    }
}

static void a_contrary_one_stays_and_is_named(void)
{
    static const struct ge_request avx2[] = {{"cpuflag_avx2", "1", false, NULL}};
    static const char *const values[] = {"0", "FALSE", "false"};

    for (size_t i = 0; i < 3; i++) {
        char xml[1000];
        struct err e;
        auto_raise struct ge_raise *r = NULL;

        snprintf(xml, sizeof(xml), JOB(HARD(REQUEST("cpuflag_avx2", "%s"))), values[i]);
        r = parse(xml, avx2, 1, &e);
        CHECK(r && !ge_raise_report(r)->changes && ge_raise_report(r)->asks == 0);
        CHECK_HAS(r ? ge_raise_report(r)->contrary : "", "cpuflag_avx2=");
    }
}

static void without_the_level_its_flags_are_asked_for_one_by_one(void)
{
    static const char few[] = "cpuflag_avx2 a BOOL == YES NO 0 0\n"
                              "hostname h HOST == YES NO NONE 0\n";
    struct err e = {0};
    auto_raise struct ge_raise *r = ge_raise_parse("12", JOB(""), few, contract, 2, &e);

    CHECK_STR(r ? ge_raise_list(r) : e.text, "cpuflag_avx2=1");
    CHECK_STR(r ? ge_raise_report(r)->unknown : "", "cpu_level");
}

static void one_that_may_not_be_requested_is_left_out(void)
{
    static const struct ge_request fma[] = {{"cpuflag_fma", "1", false, NULL}};
    struct err e;
    auto_raise struct ge_raise *r = parse(JOB(""), fma, 1, &e);

    CHECK(r && !ge_raise_report(r)->changes);
    CHECK_STR(r ? ge_raise_report(r)->unusable : "", "cpuflag_fma");
}

static void a_value_that_qalter_would_take_apart_is_refused(void)
{
    static const char *const wrong[] = {
        JOB(HARD(REQUEST("x", "a,b"))),
        JOB(HARD(REQUEST("x", "a b"))),
        JOB(HARD(REQUEST("x", "a\nb"))),
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct err e;
        auto_raise struct ge_raise *r = parse(wrong[i], level3, 1, &e);

        CHECK(!r && e.kind == ERR_CORRUPT);
        CHECK_HAS(e.text, "the request x=a");
    }
}

/* 8.1.9 prints '<' so, and a text that has these letters too. */
static void a_less_than_that_cannot_be_told_is_refused(void)
{
    struct err e;
    auto_raise struct ge_raise *r = plan("qstat-j-less.xml", "4756", level3, 1, &e);

    CHECK(!r && e.kind == ERR_CORRUPT);
    CHECK_HAS(e.text, "request sw_name: '%lt;a");
}

static void a_job_that_is_not_there_is_no_empty_list(void)
{
    struct err e;
    auto_raise struct ge_raise *r = plan("qstat-j-unknown.xml", "99", level3, 1, &e);

    CHECK(!r && e.kind == ERR_GONE);
}

static void an_answer_in_another_form_is_refused(void)
{
    static const char *const wrong[] = {
        "",
        "error: commlib error: got select error (Connection refused)\n",
        JOB(HARD(REQUEST("x", ""))),
        JOB(HARD(REQUEST("", "y"))),
        JOB(HARD(REQUEST("x", "&what;"))),
        JOB(HARD(REQUEST("x", "1") REQUEST("x", "2"))),
        JOB(HARD("<element>" REQUEST("x", "1") REQUEST("y", "1") "</element>")),
        JOB(HARD("<other><CE_name>x</CE_name><CE_stringval>1</CE_stringval></other>")),
        JOB(HARD(REQUEST("x", "1")) HARD(REQUEST("y", "1"))),
        JOB("<JB_hard_resource_list>" REQUEST("x", "1")),
        JOB(REQUEST("x", "1") "</JB_hard_resource_list>"),
        JOB("<JRS_hard_resource_list>" REQUEST("x", "1") "</JRS_hard_resource_list>"),
        JOB("</element><element><JB_job_number>13</JB_job_number>"),
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct err e;
        auto_raise struct ge_raise *r = parse(wrong[i], level3, 1, &e);

        if (r)
            printf("# accepted: %s\n", wrong[i]);
        CHECK(!r && e.kind == ERR_CORRUPT);
    }
}

/* Cut anywhere, the answer never looks as if the job asked for less. */
static void a_truncated_answer_is_refused(void)
{
    auto_free char *xml = golden("qstat-j-many.xml");
    size_t end = strlen(xml) - 2;

    for (size_t size = 0; size < end; size++) {
        auto_free char *part = strndup(xml, size);
        struct err e = {0};
        auto_raise struct ge_raise *r =
            ge_raise_parse("4755", part, complexes_text, level3, 1, &e);

        CHECK(!r && e.kind == ERR_CORRUPT);
    }
}

static void flipped_bytes_do_no_harm(void)
{
    auto_free char *xml = golden("qstat-j-many.xml");
    size_t size = strlen(xml);
    unsigned seed = 7;

    for (int round = 0; round < 3000; round++) {
        auto_free char *copy = strdup(xml);
        struct err e = {0};
        auto_raise struct ge_raise *r = NULL;

        for (int i = 0; i < 4; i++)
            copy[rand_r(&seed) % size] = "<>/d\x80 -&,;"[rand_r(&seed) % 10];
        r = ge_raise_parse("4755", copy, complexes_text, level3, 1, &e);
        CHECK(r || e.text[0]);
    }
}

static void damaged_complexes_are_refused(void)
{
    static const char *const wrong[] = {
        "",
        "error: no\n",
        "hostname h HOST == YES NO NONE\n",
        "hostname h HOST == YES NO NONE 0 0\n",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct err e = {0};
        auto_raise struct ge_raise *r =
            ge_raise_parse("12", JOB(""), wrong[i], level3, 1, &e);

        CHECK(!r && e.kind == ERR_CORRUPT);
    }
}

/* ---- what the cluster offers ---- */

static struct ge_offers offers(const struct ge_request *wanted, size_t n,
                               const char *host)
{
    auto_free char *xml = golden("qstat-F.xml");
    struct err e;
    auto_raise struct ge_raise *r = plan("qstat-j-none.xml", "4758", wanted, n, &e);
    struct ge_offers result = {99, 99, 99, 99};

    CHECK(r && ge_offers_parse(r, xml, host, &result, &e) == 0);
    return result;
}

/* n1: avx2 of its queue; n2: fixed, avx2 and level 3; n3: a load sensor's, level 2. */
static void queues_that_have_all_are_counted(void)
{
    static const struct ge_request avx2[] = {{"cpuflag_avx2", "1", false, NULL},
                                             {"cpu_level", "2", true, NULL}};
    struct ge_offers o = offers(level2, 1, "n2");

    CHECK_INT(o.queues, 3);
    CHECK_INT(o.enough, 2);
    CHECK_INT(o.elsewhere, 1);
    CHECK_INT(o.hosts, 2);
    o = offers(avx2, 1, NULL);
    CHECK_INT(o.enough, 2);
    CHECK_INT(o.elsewhere, 2);
    CHECK_INT(offers(avx2, 2, NULL).enough, 1);
    CHECK_INT(offers(level3, 1, "N2").elsewhere, 0);
    CHECK_INT(offers(contract, 3, NULL).enough, 0);
}

static void a_damaged_list_of_queues_is_refused(void)
{
    auto_free char *xml = golden("qstat-F.xml");
    struct err e;
    auto_raise struct ge_raise *r = plan("qstat-j-none.xml", "4758", level2, 1, &e);
    size_t end = strlen(xml) - 2;
    struct ge_offers o;

    for (size_t size = 0; size < end; size += 3) {
        auto_free char *part = strndup(xml, size);

        /* The inner </job_info> comes after all queues. */
        CHECK(ge_offers_parse(r, part, NULL, &o, &e) < 0 || o.queues == 3);
    }
}

/* ---- with programs that stand for Grid Engine's ---- */

static char directory[] = "/tmp/qckpt-raise-XXXXXX";

static void stub(const char *program, const char *script)
{
    char path[100];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", directory, program);
    f = fopen(path, "w");
    fprintf(f, "#!/bin/sh\ncd %s\n%s\n", directory, script);
    fclose(f);
    chmod(path, 0755);
    setenv("SGE_BINARY_PATH", directory, 1);
}

static void usual_stubs(void)
{
    stub("qconf", "[ \"$*\" = -sc ] || exit 9\nprintf '%s\\n' "
                  "'cpu_level cpul INT <= YES NO 0 0' "
                  "'hostname h HOST == YES NO NONE 0'");
    stub("qstat",
         "[ \"$*\" = '-j 12 -xml' ] || exit 9\n"
         "if [ -e altered ]; then cat <<'X'\n" JOB(HARD(REQUEST("x", "y") REQUEST(
             "cpu_level", "3"))) "X\n"
                                 "else cat <<'X'\n" JOB(
                                     HARD(REQUEST("x", "y"))) "X\nfi");
    stub("qalter", "[ \"$*\" = '-l x=y,cpu_level=3 12' ] || exit 9\n>altered");
}

static int ask_and_write(struct err *e)
{
    auto_raise struct ge_raise *r = NULL;

    *e = (struct err){0};
    r = ge_raise_plan("12", level3, 1, 10000, e);
    return r ? ge_raise_write(r, 10000, e) : -1;
}

static void qalter_gets_the_merged_list_and_is_not_called_again(void)
{
    struct err e;

    usual_stubs();
    CHECK_INT(ask_and_write(&e), 0);
    CHECK_STR(e.text, "");
    stub("qalter", "exit 9");
    CHECK_INT(ask_and_write(&e), 0);
}

static void what_did_not_take_is_a_failure(void)
{
    struct err e;

    usual_stubs();
    stub("qalter", "rm -f altered; exit 0");
    stub("qstat", "cat <<'X'\n" JOB(HARD(REQUEST("x", "y"))) "X");
    CHECK_INT(ask_and_write(&e), -1);
    CHECK_STR(e.text, "after qalter job 12 does not ask for cpu_level=3");
    stub("qstat",
         "if [ -e asked ]; then cat <<'X'\n" JOB(HARD(REQUEST("x", "z") REQUEST(
             "cpu_level", "3"))) "X\n"
                                 "else >asked; cat <<'X'\n" JOB(
                                     HARD(REQUEST("x", "y"))) "X\nfi");
    CHECK_INT(ask_and_write(&e), -1);
    CHECK_STR(e.text, "after qalter job 12 asks for x=z instead of y");
}

static void refusals_are_told_in_the_programs_words(void)
{
    struct err e;

    usual_stubs();
    stub("qalter", "echo 'unknown resource \"cpu_level\"'; exit 1");
    stub("qstat", "cat <<'X'\n" JOB("") "X");
    CHECK_INT(ask_and_write(&e), -1);
    CHECK_HAS(e.text, "qalter -l cpu_level=3: unknown resource \"cpu_level\"");
    stub("qconf", "echo 'denied: host \"n1\" is neither submit nor admin host' >&2\n"
                  "exit 1");
    CHECK_INT(ask_and_write(&e), -1);
    CHECK(e.kind == ERR_REFUSED);
    CHECK_HAS(e.text, "neither submit nor admin host");
}

static void a_hanging_program_is_left(void)
{
    struct err e = {0};

    stub("qconf", "exec sleep 600");
    CHECK(!ge_raise_plan("12", level3, 1, 300, &e));
    CHECK(e.kind == ERR_TIMEOUT);
}

/* ---- tasks ---- */

static void tasks_that_never_ran_are_seen(void)
{
    auto_free char *xml = golden("qstat-prs.xml");
    struct err e = {0};
    struct ge_jobs *jobs = ge_jobs_parse(xml, &e);

    CHECK(jobs && ge_jobs_has_new(jobs, "4757") && !ge_jobs_has_new(jobs, "4758"));
    ge_jobs_free(jobs);
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
    RUN(a_job_that_asks_for_nothing_gets_the_first_requests);
    RUN(what_the_cluster_does_not_have_is_named_and_left_out);
    RUN(requests_with_values_stay_as_they_are);
    RUN(of_an_array_job_too);
    RUN(of_a_job_that_was_altered_too);
    RUN(what_is_asked_for_already_changes_nothing);
    RUN(a_stricter_request_of_the_users_stays);
    RUN(a_weaker_one_is_raised);
    RUN(numbers_are_read_as_grid_engine_does);
    RUN(a_contrary_one_stays_and_is_named);
    RUN(without_the_level_its_flags_are_asked_for_one_by_one);
    RUN(one_that_may_not_be_requested_is_left_out);
    RUN(a_value_that_qalter_would_take_apart_is_refused);
    RUN(a_less_than_that_cannot_be_told_is_refused);
    RUN(a_job_that_is_not_there_is_no_empty_list);
    RUN(an_answer_in_another_form_is_refused);
    RUN(a_truncated_answer_is_refused);
    RUN(flipped_bytes_do_no_harm);
    RUN(damaged_complexes_are_refused);
    RUN(queues_that_have_all_are_counted);
    RUN(a_damaged_list_of_queues_is_refused);
    RUN(qalter_gets_the_merged_list_and_is_not_called_again);
    RUN(what_did_not_take_is_a_failure);
    RUN(refusals_are_told_in_the_programs_words);
    RUN(a_hanging_program_is_left);
    RUN(tasks_that_never_ran_are_seen);
    return end();
}
