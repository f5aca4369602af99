/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "ge/ge.h"
#include "scratch.h"
#include "tap.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

static void plain_job(void)
{
    clearenv();
    setenv("JOB_ID", "4711", 1);
    setenv("SGE_TASK_ID", "undefined", 1);
    setenv("RESTARTED", "0", 1);
}

static void ckpt_job(void)
{
    plain_job();
    setenv("SGE_CKPT_ENV", "qckpt", 1);
    setenv("SGE_CKPT_DIR", "/nfs/ckpt", 1);
    setenv("TMPDIR", "/tmp/4711.1.all.q", 1);
}

static void a_plain_job_is_task_1_of_this_user(void)
{
    struct ge_job j;
    struct err e = {0};

    ckpt_job();
    CHECK_INT(ge_job_read(&j, &e), 0);
    CHECK_STR(j.job, "4711");
    CHECK_STR(j.task, "1");
    CHECK_STR(j.user, getpwuid(geteuid())->pw_name);
    CHECK_STR(j.ckpt_dir, "/nfs/ckpt");
    CHECK_STR(j.tmpdir, "/tmp/4711.1.all.q");
    CHECK(!j.restarted);
}

static void an_array_task_has_its_own_number(void)
{
    struct ge_job j;
    struct err e = {0};

    ckpt_job();
    setenv("SGE_TASK_ID", "37", 1);
    setenv("RESTARTED", "2", 1);
    CHECK_INT(ge_job_read(&j, &e), 0);
    CHECK_STR(j.task, "37");
    CHECK(j.restarted);
}

static void a_job_without_checkpointing_is_no_error(void)
{
    struct ge_job j;
    struct err e = {0};

    plain_job();
    CHECK_INT(ge_job_read(&j, &e), 0);
    CHECK(j.ckpt_env == NULL);
    CHECK(!ge_is_ours(&j, NULL));
}

static void a_wrong_variable_is_named(void)
{
    static const struct {
        const char *name, *value, *message;
    } cases[] = {
        {"JOB_ID", "", "JOB_ID is not set"},
        {"JOB_ID", "47a", "JOB_ID is '47a'"},
        {"JOB_ID", "../../etc", "JOB_ID is '../../etc'"},
        {"JOB_ID", "047", "JOB_ID is '047'"},
        {"JOB_ID", "-1", "JOB_ID is '-1'"},
        {"JOB_ID", "99999999999", "JOB_ID is"},
        {"SGE_TASK_ID", "1 ", "SGE_TASK_ID is '1 '"},
        {"SGE_TASK_ID", "..", "SGE_TASK_ID is '..'"},
        {"SGE_CKPT_DIR", "", "SGE_CKPT_DIR is not set"},
        {"SGE_CKPT_DIR", "ckpt", "ckpt_dir 'ckpt' is not an absolute path"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ge_job j;
        struct err e = {0};

        ckpt_job();
        setenv(cases[i].name, cases[i].value, 1);
        CHECK_INT(ge_job_read(&j, &e), -1);
        CHECK(e.kind == ERR_USAGE);
        CHECK_HAS(e.text, cases[i].message);
    }
}

static void a_hooks_arguments_come_before_the_environment(void)
{
    char *argv[] = {(char *)"qckpt-clean", (char *)"12", (char *)"0", (char *)"/ckpt",
                    NULL};
    struct ge_job j;
    struct err e = {0};

    ckpt_job();
    CHECK_INT(ge_job_read_hook(&j, 4, argv, &e), 0);
    CHECK_STR(j.job, "12");
    CHECK_STR(j.task, "1");
    CHECK_STR(j.ckpt_dir, "/ckpt");
    argv[2] = (char *)"8";
    CHECK_INT(ge_job_read_hook(&j, 4, argv, &e), 0);
    CHECK_STR(j.task, "8");
    argv[2] = (char *)"undefined";
    CHECK_INT(ge_job_read_hook(&j, 4, argv, &e), 0);
    CHECK_STR(j.task, "1");
}

static void a_hook_without_arguments_reads_the_environment(void)
{
    char *argv[] = {(char *)"qckpt-clean", NULL};
    struct ge_job j;
    struct err e = {0};

    ckpt_job();
    CHECK_INT(ge_job_read_hook(&j, 1, argv, &e), 0);
    CHECK_STR(j.job, "4711");
    plain_job();
    CHECK_INT(ge_job_read_hook(&j, 1, argv, &e), -1);
    CHECK_HAS(e.text, "SGE_CKPT_DIR is not set");
}

static void other_numbers_of_arguments_are_refused(void)
{
    char *argv[] = {(char *)"qckpt-clean", (char *)"12", (char *)"0",
                    (char *)"/ckpt",       (char *)"x",  NULL};
    struct ge_job j;
    struct err e = {0};

    ckpt_job();
    for (int argc = 2; argc <= 5; argc++) {
        if (argc == 4)
            continue;
        CHECK_INT(ge_job_read_hook(&j, argc, argv, &e), -1);
        CHECK_HAS(e.text, "give none, or $job_id $ja_task_id $ckpt_dir");
    }
}

static const char *hosts_file(const char *path, const char *nhosts)
{
    struct ge_job j;
    struct err e = {0};

    ckpt_job();
    setenv("PE_HOSTFILE", path, 1);
    if (nhosts)
        setenv("NHOSTS", nhosts, 1);
    CHECK_INT(ge_job_read(&j, &e), 0);
    return j.hosts_file;
}

static void a_file_of_several_hosts_counts(void)
{
    static const char one[] = "n1 2 all.q@n1 UNDEFINED\nn1 1 other.q@n1 UNDEFINED\n";
    static const char two[] = "n1 2 all.q@n1 UNDEFINED\nn2 1 all.q@n2 UNDEFINED\n";
    struct scratch s = scratch_make();
    char path[100];

    snprintf(path, sizeof(path), "%s/pe_hostfile", s.path);
    CHECK(!hosts_file(path, NULL));
    CHECK_STR(hosts_file(path, "2"), path);
    scratch_put(s.fd, "pe_hostfile", one, sizeof(one) - 1);
    CHECK(!hosts_file(path, NULL));
    CHECK(!hosts_file(path, "1"));
    scratch_put(s.fd, "pe_hostfile", two, sizeof(two) - 1);
    CHECK_STR(hosts_file(path, NULL), path);
    CHECK_STR(hosts_file(path, "2"), path);
    CHECK(!hosts_file("", "2"));
    CHECK(!hosts_file("pe_hostfile", "2"));
    scratch_drop(&s);
}

int main(void)
{
    RUN(a_file_of_several_hosts_counts);
    RUN(a_plain_job_is_task_1_of_this_user);
    RUN(an_array_task_has_its_own_number);
    RUN(a_job_without_checkpointing_is_no_error);
    RUN(a_wrong_variable_is_named);
    RUN(a_hooks_arguments_come_before_the_environment);
    RUN(a_hook_without_arguments_reads_the_environment);
    RUN(other_numbers_of_arguments_are_refused);
    return tap_done();
}
