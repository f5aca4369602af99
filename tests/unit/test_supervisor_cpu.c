/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The CPU contract: what generations carry, and where they are continued. */
#include "supervisor_fixture.h"

#include "base/scope.h"
#include "base/sum.h"
#include "cpu/cpu.h"

#include <stdlib.h>
#include <sys/wait.h>

/* What this host pretends to be from now on; "" for what it is. */
static void be(const char *cpu)
{
    setenv("QCKPT_TESTING", "1", 1);
    setenv("QCKPT_FAKE_CPU", cpu, 1);
}

static void policy(const char *text)
{
    CHECK_INT(cpu_policy_parse(text, &config.cpu, &e), 0);
}

/* The contract of a generation. */
static const struct cpu_contract *contract_of(uint64_t generation)
{
    static struct cpu_contract contract;
    auto_fd int dirfd = -1;
    static struct store_meta meta;

    contract = (struct cpu_contract){0};
    CHECK_INT(store_generation_open(store, generation, &meta, &dirfd, &e), 0);
    CHECK_INT(cpu_contract_parse(meta.cpu, &contract, &e), 0);
    return &contract;
}

static const char *needs_of(uint64_t generation)
{
    static char text[CPU_TEXT_SIZE];

    return cpu_flags_list(&contract_of(generation)->needs, text, sizeof(text));
}

static const char *level_flags(unsigned level)
{
    static char text[CPU_TEXT_SIZE];
    struct cpu_flags flags;

    cpu_level_flags(level, &flags);
    return cpu_flags_list(&flags, text, sizeof(text));
}

/* "state" is there, and grows. */
static bool wait_for_counting(void)
{
    size_t before = 0;

    for (int i = 0; i < PATIENCE_MS / 10; i++) {
        size_t now = strlen(get("state"));

        if (before > 0 && now > before)
            return true;
        before = now;
        nap_ms(10);
    }
    return false;
}

/* Runs the counter until it is stopped at a checkpoint. */
static void stop_at_checkpoint(void)
{
    struct job_checkpoint c;
    pid_t pid;

    put("state", "");
    pid = front(counter);
    CHECK(wait_for_counting());
    CHECK(ask(true, &c));
    CHECK_INT(end_of(pid), W_EXITCODE(JOB_EXIT_STOPPED, 0));
}

/* Publishes what the file engine saved, with another contract. */
static void publish(const char *state, const char *cpu)
{
    static const char command[] = "sh\0-c\0exit 6";
    const char *const names[] = {"state", "command"};
    const void *const data[] = {state, command};
    const size_t sizes[] = {strlen(state), sizeof(command)};
    struct store_meta meta = {.host = "old", .engine = "file", .processes = 1};
    struct store_stage *stage;
    uint64_t epoch, offset;

    CHECK_INT(store_epoch_take(store, "old", 1, "", &epoch, &e), 0);
    stage = store_stage_begin(store, epoch, &e);
    snprintf(meta.cpu, sizeof(meta.cpu), "%s", cpu);
    for (int i = 0; i < 2; i++) {
        struct sum_file *f = sum_create(store_stage_dirfd(stage), names[i], &e);

        CHECK(f &&
              (sizes[i] == 0 || sum_append(f, data[i], sizes[i], &offset, &e) == 0) &&
              sum_finish(f, &e) == 0);
    }
    CHECK_INT(store_publish(stage, &meta, NULL, &e), 0);
    config.none_runs = true;
}

static void a_generation_says_what_it_needs(void)
{
    fresh();
    be("x86-64-v3");
    stop_at_checkpoint();
    CHECK_INT(contract_of(1)->policy.kind, CPU_POLICY_HOST);
    CHECK_STR(needs_of(1), level_flags(3));
    CHECK_STR(contract_of(1)->made_on.arch, "x86_64");
}

static void a_host_with_less_starts_nothing(void)
{
    fresh();
    be("x86-64-v3");
    stop_at_checkpoint();
    be("x86-64-v2");
    put("state", "untouched");
    config.host = "geb";
    CHECK_INT(run(counter), W_EXITCODE(NOT_STARTED, 0));
    CHECK_HAS(get("why"), "host geb lacks abm avx avx2 ");
    CHECK_HAS(get("why"), "; generation 1 was made where they exist");
    CHECK_HAS(events(),
              "\"level\":\"warning\",\"event\":\"wrong-host\",\"generation\":1");
    CHECK(!strstr(events(), "nothing was started"));
    CHECK_STR(get("state"), "untouched");
    CHECK_STR(needs_of(1), level_flags(3));
}

static void a_host_with_enough_continues(void)
{
    static const char *const hosts[] = {"x86-64-v3", "x86-64-v4", "x86-64-v3 +sse4a"};

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        fresh();
        be("x86-64-v3");
        stop_at_checkpoint();
        be(hosts[i]);
        CHECK_INT(counted(front(counter)), W_EXITCODE(5, 0));
        CHECK(count_is_whole());
    }
}

static void a_contract_grows_with_the_hosts(void)
{
    fresh();
    be("x86-64-v2 +sse4a");
    stop_at_checkpoint();
    be("x86-64-v3 +sse4a");
    stop_at_checkpoint();
    CHECK(!cpu_flags_has(&contract_of(1)->needs, "avx2"));
    CHECK(cpu_flags_has(&contract_of(2)->needs, "avx2"));
    CHECK(cpu_flags_has(&contract_of(2)->needs, "sse4a"));
    be("x86-64-v2 +sse4a");
    CHECK_INT(run(counter), W_EXITCODE(NOT_STARTED, 0));
    CHECK_HAS(get("why"), "generation 2 was made where");
}

/* Going back to an older one repeats what another host need not. */
static void an_older_generation_is_for_a_person_to_choose(void)
{
    fresh();
    be("x86-64-v2");
    stop_at_checkpoint();
    be("x86-64-v3");
    stop_at_checkpoint();
    be("x86-64-v2");
    CHECK_INT(run(counter), W_EXITCODE(NOT_STARTED, 0));
    config.generation = 2;
    CHECK_INT(run(counter), W_EXITCODE(NOT_STARTED, 0));
    CHECK(strncmp(get("why"), "host ", 5) == 0);
    config.generation = 1;
    CHECK_INT(counted(front(counter)), W_EXITCODE(5, 0));
}

/* The contract holds, but the registers in use have no place. */
static void an_engine_may_find_the_host_wrong(void)
{
    fresh();
    be("x86-64-v3");
    stop_at_checkpoint();
    stop_at_checkpoint();
    config.host = "geb";
    file_engine_faults.restart_wrong_host = true;
    CHECK_INT(run(counter), W_EXITCODE(NOT_STARTED, 0));
    CHECK_STR(get("why"),
              "host geb cannot continue generation 2: the image uses avx registers");
    CHECK_HAS(events(), "\"wrong-host\",\"generation\":2");
    CHECK(!strstr(events(), "\"wrong-host\",\"generation\":1"));
    CHECK(!strstr(events(), "restart-failed"));
}

static void a_person_may_know_better(void)
{
    fresh();
    be("x86-64-v3");
    stop_at_checkpoint();
    be("x86-64-v2");
    config.ignore_cpu = true;
    stop_at_checkpoint();
    CHECK_HAS(events(), "it is continued here all the same");
    CHECK_STR(needs_of(2), level_flags(3));
    CHECK_INT(cpu_level("x86_64", &contract_of(2)->made_on.flags), 2);
}

static void the_policy_of_the_launch_stays(void)
{
    fresh();
    be("x86-64-v3 +sse4a");
    policy("level");
    stop_at_checkpoint();
    CHECK_STR(needs_of(1), level_flags(3));
    policy("baseline=x86-64-v1");
    stop_at_checkpoint();
    CHECK_INT(contract_of(2)->policy.kind, CPU_POLICY_LEVEL);
    CHECK_STR(needs_of(2), level_flags(3));
}

static void a_baseline_is_kept_by_the_environment(void)
{
    fresh();
    be("x86-64-v4");
    policy("baseline=x86-64-v2");
    setenv("GLIBC_TUNABLES", "glibc.malloc.check=0", 1);
    CHECK_INT(run("echo \"$GLIBC_TUNABLES $LD_BIND_NOW\" > env"), 0);
    CHECK_HAS(get("env"), "glibc.cpu.hwcaps=-AVX");
    CHECK_HAS(get("env"), ":glibc.malloc.check=0 1");
    fresh();
    policy("baseline=x86-64-v2");
    stop_at_checkpoint();
    CHECK_STR(needs_of(1), level_flags(2));
    be("x86-64-v2");
    CHECK_INT(counted(front(counter)), W_EXITCODE(5, 0));
    fresh();
    policy("host");
    CHECK_INT(run("echo \"$GLIBC_TUNABLES $LD_BIND_NOW\" > env"), 0);
    CHECK_STR(get("env"), "glibc.malloc.check=0 \n");
    unsetenv("GLIBC_TUNABLES");
}

/* It would slow the job down for nothing. */
static void a_job_that_is_never_saved_keeps_to_no_baseline(void)
{
    fresh();
    be("x86-64-v4");
    policy("baseline=x86-64-v2");
    config.no_checkpoints = "no engine";
    CHECK_INT(run("echo \"$GLIBC_TUNABLES\" > env"), 0);
    CHECK_STR(get("env"), "\n");
}

static void a_policy_that_cannot_be_had_is_reported(void)
{
    static char tunables[8192];

    memset(tunables, 'x', sizeof(tunables) - 1);
    memcpy(tunables, "glibc.a=", 8);
    fresh();
    be("x86-64-v4");
    policy("baseline=x86-64-v2");
    setenv("GLIBC_TUNABLES", tunables, 1);
    stop_at_checkpoint();
    unsetenv("GLIBC_TUNABLES");
    CHECK_HAS(events(), "GLIBC_TUNABLES is too long to be merged; shorten it; the "
                        "policy host is taken");
    CHECK_STR(needs_of(1), level_flags(4));
}

static void a_generation_without_a_contract_is_continued_with_a_warning(void)
{
    fresh();
    be("x86-64-v1");
    publish("1\n", "");
    policy("baseline=x86-64-v1");
    CHECK_INT(run("true"), W_EXITCODE(6, 0));
    CHECK_HAS(events(), "generation 1 has no CPU contract");
    CHECK_STR(get("state"), "1\n");
}

static void a_damaged_contract_is_a_damaged_generation(void)
{
    fresh();
    be("x86-64-v1");
    publish("1\n", "");
    publish("2\n", "qckpt-contract 1\npolicy nonsense\n");
    CHECK_INT(run("true"), W_EXITCODE(6, 0));
    CHECK_HAS(events(), "\"generation-rejected\",\"generation\":2");
    CHECK_HAS(events(), "generation 2 is not usable: CPU contract: CPU description, "
                        "line 2: \\\"nonsense\\\" is none of host");
    CHECK_STR(get("state"), "1\n");
}

/* An older generation would be work lost that a host with a newer qckpt continues. */
static void what_a_newer_version_saved_waits_for_one(void)
{
    fresh();
    be("x86-64-v1");
    publish("1\n", "");
    publish("2\n", "qckpt-contract 2\nwhatever comes then\n");
    config.host = "geb";
    put("state", "untouched");
    for (int i = 0; i < 2; i++) {
        CHECK_INT(run("true"), W_EXITCODE(NOT_STARTED, 0));
        CHECK_HAS(get("why"),
                  "host geb cannot continue generation 2: qckpt-contract: format 2 is "
                  "newer than this qckpt reads (1): install a newer one here");
        CHECK_STR(get("state"), "untouched");
        config.ignore_cpu = true;
    }
    CHECK_HAS(events(), "\"wrong-host\",\"generation\":2");
    CHECK(!strstr(events(), "\"generation\":1"));
    config.generation = 1;
    CHECK_INT(run("true"), W_EXITCODE(6, 0));
}

static void outside_tests_nobody_pretends(void)
{
    fresh();
    be("x86-64-v1");
    unsetenv("QCKPT_TESTING");
    CHECK_INT(run("touch it-ran"), W_EXITCODE(NOT_STARTED, 0));
    CHECK_HAS(get("why"), "QCKPT_FAKE_CPU is for tests");
    unsetenv("QCKPT_FAKE_CPU");
    CHECK_INT(run("true"), 0);
}

int main(void)
{
    if (fixture_begin() < 0)
        return 1;
    RUN(a_generation_says_what_it_needs);
    RUN(a_host_with_less_starts_nothing);
    RUN(a_host_with_enough_continues);
    RUN(a_contract_grows_with_the_hosts);
    RUN(an_older_generation_is_for_a_person_to_choose);
    RUN(an_engine_may_find_the_host_wrong);
    RUN(a_person_may_know_better);
    RUN(the_policy_of_the_launch_stays);
    RUN(a_baseline_is_kept_by_the_environment);
    RUN(a_job_that_is_never_saved_keeps_to_no_baseline);
    RUN(a_policy_that_cannot_be_had_is_reported);
    RUN(a_generation_without_a_contract_is_continued_with_a_warning);
    RUN(a_damaged_contract_is_a_damaged_generation);
    RUN(what_a_newer_version_saved_waits_for_one);
    RUN(outside_tests_nobody_pretends);
    return fixture_end();
}
