/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "ge/ge.h"
#include "tap.h"

#include <stdlib.h>

static const char sample[] =
    "add_grp_id=20001\n"
    "ckpt_job=1\n"
    "ckpt_command=/opt/q/libexec/qckpt/qckpt-checkpoint $job_id\n"
    "ckpt_clean_command=none\n"
    "handle_as_binary=1\n"
    "no_shell=0\n"
    "empty=\n"
    "pe_task_id=(null)\n"
    "njob_args=1\n"
    "job_arg1=a=b\n"
    "handle_as_binary=0\n"
    "pe_task_id=1.n1\n";

static struct ge_spool *parse(const char *text)
{
    struct err e = {0};

    return ge_spool_parse(text, strlen(text), &e);
}

static void values_are_taken_as_they_are(void)
{
    struct ge_spool *s = parse(sample);

    CHECK_STR(ge_spool_get(s, "add_grp_id"), "20001");
    CHECK_STR(ge_spool_get(s, "job_arg1"), "a=b");
    CHECK(ge_spool_get(s, "empty") == NULL);
    CHECK(ge_spool_get(s, "absent") == NULL);
    CHECK(ge_spool_get(s, "add_grp") == NULL);
    ge_spool_free(s);
}

static void of_a_repeated_key_the_first_counts(void)
{
    struct ge_spool *s = parse(sample);

    CHECK(ge_spool_flag(s, "handle_as_binary"));
    CHECK(!ge_spool_flag(s, "no_shell"));
    CHECK(!ge_spool_is_pe_task(s));
    ge_spool_free(s);
}

static void a_task_of_a_parallel_job_is_recognised(void)
{
    struct ge_spool *s = parse("pe_task_id=1.n1\n");

    CHECK(ge_spool_is_pe_task(s));
    ge_spool_free(s);
    s = parse("pe_task_id=\n");
    CHECK(!ge_spool_is_pe_task(s));
    ge_spool_free(s);
    CHECK(!ge_spool_is_pe_task(NULL));
}

static bool ours(const char *name, const char *config)
{
    struct ge_job j = {.ckpt_env = name, .ckpt_dir = "/ckpt"};
    struct ge_spool *s = config ? parse(config) : NULL;
    bool result = ge_is_ours(&j, s);

    ge_spool_free(s);
    return result;
}

static void an_environment_is_ours_by_its_commands(void)
{
    CHECK(ours("x", sample));
    CHECK(ours("x", "ckpt_migr_command=/usr/bin/nice /l/qckpt-migrate a\n"));
    CHECK(ours("x", "ckpt_clean_command=qckpt-clean\n"));
    CHECK(!ours("qckpt", "ckpt_command=/usr/bin/other\n"));
    CHECK(!ours("qckpt", "ckpt_command=/qckpt-x/other not-qckpt-y\n"));
    CHECK(!ours("x", "ckpt_command=none\nckpt_migr_command=\n"));
    CHECK(!ours(NULL, sample));
}

static void the_names_of_gridengine_dmtcp_are_ours(void)
{
    CHECK(ours("x", "ckpt_command=/usr/share/gridengine/util/dmtcp_checkpoint\n"));
    CHECK(ours("x", "ckpt_migr_command=/u/dmtcp_migrate $job_id\n"));
    CHECK(ours("x", "ckpt_migr_command=/u/dmtcp_migrate_cpu\t$job_id\n"));
    CHECK(ours("x", "ckpt_clean_command=dmtcp_cleanup\n"));
    CHECK(!ours("dmtcp", "ckpt_command=/u/dmtcp_launch\n"));
    CHECK(!ours("dmtcp", "ckpt_command=/u/dmtcp_checkpoint2\n"));
    CHECK(!ours("dmtcp", "ckpt_command=/u/my_dmtcp_checkpoint\n"));
    CHECK(!ours("dmtcp", "ckpt_command=/u/dmtcp_migrate/other\n"));
    CHECK(!ours("dmtcp", "ckpt_command=/u/other dmtcp_checkpoint\n"));
    CHECK(!ours("dmtcp", "ckpt_command=/u/dmtcp_starter\n"));
    CHECK(!ours("x", "ckpt_command=/u/qckpt-\n"));
}

static void without_a_spool_the_name_decides(void)
{
    CHECK(ours("qckpt", NULL));
    CHECK(ours("qckpt_cpu", NULL));
    CHECK(ours("long-qckpt", NULL));
    CHECK(ours("dmtcp", NULL));
    CHECK(ours("my_dmtcp_cpu", NULL));
    CHECK(!ours("blcr", NULL));
    CHECK(!ours(NULL, NULL));
}

static void junk_does_no_harm(void)
{
    unsigned seed = 1;

    for (int round = 0; round < 2000; round++) {
        char junk[200];
        size_t size = rand_r(&seed) % sizeof(junk);
        struct err e = {0};
        struct ge_spool *s;

        for (size_t i = 0; i < size; i++)
            junk[i] = "\n=pe_task_id\0ckpt_command qckpt-\xff"[rand_r(&seed) % 33];
        s = ge_spool_parse(junk, size, &e);
        CHECK(s != NULL);
        ge_spool_get(s, "pe_task_id");
        ge_spool_is_pe_task(s);
        ge_spool_flag(s, "");
        ours("qckpt", "=\n==\n");
        ge_spool_free(s);
    }
}

static void a_missing_directory_is_named(void)
{
    struct err e = {0};

    CHECK(ge_spool_read("/nonexistent/4711.1", &e) == NULL);
    CHECK_HAS(e.text, "job spool directory /nonexistent/4711.1");
}

int main(void)
{
    RUN(values_are_taken_as_they_are);
    RUN(of_a_repeated_key_the_first_counts);
    RUN(a_task_of_a_parallel_job_is_recognised);
    RUN(an_environment_is_ours_by_its_commands);
    RUN(the_names_of_gridengine_dmtcp_are_ours);
    RUN(without_a_spool_the_name_decides);
    RUN(junk_does_no_harm);
    RUN(a_missing_directory_is_named);
    return tap_done();
}
