/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cpu/cpu.h"

#include "base/err.h"
#include "tap.h"

#include <stdlib.h>
#include <unistd.h>

static struct err e;

static void set_of(const char *names, struct cpu_flags *set)
{
    char copy[2048], *rest;

    set->count = 0;
    snprintf(copy, sizeof(copy), "%s", names);
    for (char *name = strtok_r(copy, " ", &rest); name;
         name = strtok_r(NULL, " ", &rest))
        CHECK_INT(cpu_flags_add(set, name, &e), 0);
}

static const char *all_of(const struct cpu_flags *set)
{
    static char text[CPU_TEXT_SIZE];

    return cpu_flags_list(set, text, sizeof(text));
}

static void a_set_is_sorted_and_has_no_name_twice(void)
{
    struct cpu_flags set = {0};

    set_of("sse2 avx sse avx avx512f", &set);
    CHECK_STR(all_of(&set), "avx avx512f sse sse2");
    CHECK(cpu_flags_has(&set, "avx512f") && !cpu_flags_has(&set, "avx51"));
    cpu_flags_remove(&set, "avx");
    cpu_flags_remove(&set, "avx");
    CHECK_STR(all_of(&set), "avx512f sse sse2");
}

static void sets_are_compared_and_joined(void)
{
    struct cpu_flags a, b, out;

    set_of("avx avx2 fma sse", &a);
    set_of("avx sse sse2", &b);
    cpu_flags_missing(&a, &b, &out);
    CHECK_STR(all_of(&out), "avx2 fma");
    cpu_flags_common(&a, &b, &out);
    CHECK_STR(all_of(&out), "avx sse");
    CHECK_INT(cpu_flags_union(&b, &a, &e), 0);
    CHECK_STR(all_of(&b), "avx avx2 fma sse sse2");
    cpu_flags_missing(&a, &b, &a);
    CHECK_INT(a.count, 0);
    cpu_flags_common(&b, &b, &b);
    CHECK_INT(b.count, 5);
}

static void what_is_no_name_is_refused(void)
{
    static const char *const bad[] = {
        "", "a b", "-avx", "avx\n", "avx\xc3\xa4", "abcdefghijklmnopqrstuvwx"};
    struct cpu_flags set = {0};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        e.kind = ERR_NONE;
        CHECK_INT(cpu_flags_add(&set, bad[i], &e), -1);
        CHECK_INT(e.kind, ERR_CORRUPT);
    }
    CHECK_INT(cpu_flags_add(&set, "abcdefghijklmnopqrstuvw", &e), 0);
    CHECK_INT(set.count, 1);
}

static void a_full_set_takes_no_more(void)
{
    struct cpu_flags set = {0};
    char name[CPU_FLAG_SIZE];

    for (int i = 0; i < CPU_FLAGS_MAX; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        CHECK_INT(cpu_flags_add(&set, name, &e), 0);
    }
    CHECK_INT(cpu_flags_add(&set, "f7", &e), 0);
    CHECK_INT(cpu_flags_add(&set, "one_more", &e), -1);
    CHECK_HAS(e.text, "more than 256");
}

static void a_list_that_does_not_fit_says_how_many_more(void)
{
    struct cpu_flags set;
    char out[24];

    set_of("avx512bw avx512cd avx512f fma", &set);
    CHECK_STR(cpu_flags_list(&set, out, sizeof(out)), "avx512bw and 3 more");
    set_of("avx512bw avx512cd fma", &set);
    CHECK_STR(cpu_flags_list(&set, out, sizeof("avx512bw avx512cd fma")),
              "avx512bw avx512cd fma");
    set.count = 0;
    CHECK_STR(cpu_flags_list(&set, out, sizeof(out)), "");
}

static void levels_are_those_of_the_psabi(void)
{
    struct cpu_flags set;

    for (unsigned level = 1; level <= CPU_LEVELS; level++) {
        struct cpu_flags less;

        cpu_level_flags(level, &set);
        CHECK_INT(cpu_level("x86_64", &set), level);
        CHECK_INT(cpu_level("aarch64", &set), 0);
        for (unsigned i = 0; i < set.count; i++) {
            less = set;
            cpu_flags_remove(&less, set.name[i]);
            CHECK(cpu_level("x86_64", &less) < level);
        }
    }
    cpu_level_flags(1, &set);
    CHECK_STR(all_of(&set), "cmov cx8 fpu fxsr mmx sse sse2");
    cpu_level_flags(2, &set);
    CHECK_STR(all_of(&set), "cmov cx16 cx8 fpu fxsr lahf_lm mmx pni popcnt sse sse2 "
                            "sse4_1 sse4_2 ssse3");
    cpu_level_flags(3, &set);
    CHECK_STR(all_of(&set), "abm avx avx2 bmi1 bmi2 cmov cx16 cx8 f16c fma fpu fxsr "
                            "lahf_lm mmx movbe pni popcnt sse sse2 sse4_1 sse4_2 ssse3 "
                            "xsave");
}

/* ---- this machine ---- */

static void set_fake(const char *text)
{
    setenv("QCKPT_TESTING", "1", 1);
    setenv("QCKPT_FAKE_CPU", text, 1);
}

static void no_fake(void)
{
    unsetenv("QCKPT_FAKE_CPU");
    unsetenv("QCKPT_TESTING");
}

/* Whether the first CPU of /proc/cpuinfo has a flag. */
static bool kernel_has(const char *flags, const char *name)
{
    size_t length = strlen(name);

    for (const char *p = flags; (p = strstr(p, name)); p += length)
        if ((p == flags || p[-1] == ' ') &&
            (p[length] == ' ' || p[length] == '\n' || !p[length]))
            return true;
    return false;
}

/* Names of ours that the kernel does not print (Linux 6.12), and what it prints
 * although programs may not use it (fsgsbase before 5.9). */
static bool is_hidden(const char *name)
{
    static const char *const hidden[] = {
        "cmpccxadd",      "amx_fp16",      "amx_complex",
        "avx_ifma",       "avx_vnni_int8", "avx_ne_convert",
        "avx_vnni_int16", "avx10",         "apx_f",
        "sha512",         "sm3",           "sm4",
        "fsgsbase"};

    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (strcmp(hidden[i], name) == 0)
            return true;
    return false;
}

static void this_machine_is_what_the_kernel_says(void)
{
    static char line[16384];
    struct cpu c;
    FILE *f = fopen("/proc/cpuinfo", "re");
    const char *name;
    bool found = false;

    no_fake();
    CHECK_INT(cpu_read(&c, &e), 0);
    if (strcmp(c.arch, "x86_64") != 0) {
        fclose(f);
        SKIP("not an x86-64 host");
    }
    while (!found && fgets(line, sizeof(line), f))
        found = strncmp(line, "flags\t", 6) == 0;
    fclose(f);
    CHECK(found);
    for (size_t i = 0; (name = cpu_known_flag("x86_64", i)); i++)
        if (!is_hidden(name) &&
            kernel_has(line, name) != cpu_flags_has(&c.flags, name)) {
            printf("# %s: the kernel has %d\n", name, kernel_has(line, name));
            CHECK(!"the same flags");
        }
    CHECK(cpu_level(c.arch, &c.flags) >= 1);
    CHECK(c.vendor[0] != '\0');
}

static void a_fake_needs_the_word_that_it_is_a_test(void)
{
    struct cpu c, before;

    no_fake();
    memset(&before, 0x5a, sizeof(before));
    c = before;
    setenv("QCKPT_FAKE_CPU", "x86-64-v2", 1);
    CHECK_INT(cpu_read(&c, &e), -1);
    CHECK_INT(e.kind, ERR_USAGE);
    CHECK_HAS(e.text, "QCKPT_TESTING=1");
    CHECK(memcmp(&c, &before, sizeof(c)) == 0);
    setenv("QCKPT_TESTING", "yes", 1);
    CHECK_INT(cpu_read(&c, &e), -1);
    no_fake();
    setenv("QCKPT_FAKE_CPU", "", 1);
    CHECK_INT(cpu_read(&c, &e), 0);
}

static void a_fake_is_a_level_with_more_or_less(void)
{
    struct cpu c;

    set_fake("x86-64-v4 -avx512dq +aes");
    CHECK_INT(cpu_read(&c, &e), 0);
    CHECK_INT(cpu_level(c.arch, &c.flags), 3);
    CHECK(cpu_flags_has(&c.flags, "avx512f") && cpu_flags_has(&c.flags, "aes"));
    CHECK(!cpu_flags_has(&c.flags, "avx512dq") &&
          !cpu_flags_has(&c.flags, "pclmulqdq"));
    CHECK((c.xcr0 & 0xe6) == 0xe6);
    set_fake("x86-64-v4 -avx");
    CHECK_INT(cpu_read(&c, &e), 0);
    CHECK(!cpu_flags_has(&c.flags, "avx2") && !cpu_flags_has(&c.flags, "avx512vl"));
    CHECK_INT(c.xcr0 & 0xe6, 2);
    CHECK_INT(c.component[2].size, 0);
    set_fake("x86-64-v1 +avx512vl");
    CHECK_INT(cpu_read(&c, &e), 0);
    CHECK(cpu_flags_has(&c.flags, "avx2") && cpu_flags_has(&c.flags, "xsave"));
    set_fake("x86-64-v1");
    CHECK_INT(cpu_read(&c, &e), 0);
    CHECK_INT(c.xcr0, 0);
    no_fake();
}

static void a_wrong_fake_is_an_error(void)
{
    static const char *const bad[] = {
        "x86-64-v5", "x86-64-v",         "avx2",          "+",
        "-avx3",     "/nonexistent/cpu", "qckpt-cpu 1\n", "host"};
    struct cpu c;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        set_fake(bad[i]);
        CHECK_INT(cpu_read(&c, &e), -1);
        CHECK_HAS(e.text, "QCKPT_FAKE_CPU: ");
    }
    no_fake();
}

static void a_fake_may_be_a_whole_description(void)
{
    static char text[CPU_TEXT_SIZE];
    char path[] = "/tmp/qckpt-unit-cpu-XXXXXX";
    int fd = mkstemp(path);
    struct cpu c, wanted;

    CHECK(fd >= 0);
    no_fake();
    CHECK_INT(cpu_read(&wanted, &e), 0);
    snprintf(wanted.vendor, sizeof(wanted.vendor), "Somebody");
    CHECK_INT(cpu_format(&wanted, text, sizeof(text), &e), 0);
    CHECK_INT(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    set_fake(path);
    CHECK_INT(cpu_read(&c, &e), 0);
    CHECK_STR(c.vendor, "Somebody");
    CHECK_INT(c.flags.count, wanted.flags.count);
    unlink(path);
    no_fake();
}

int main(void)
{
    RUN(a_set_is_sorted_and_has_no_name_twice);
    RUN(sets_are_compared_and_joined);
    RUN(what_is_no_name_is_refused);
    RUN(a_full_set_takes_no_more);
    RUN(a_list_that_does_not_fit_says_how_many_more);
    RUN(levels_are_those_of_the_psabi);
    RUN(this_machine_is_what_the_kernel_says);
    RUN(a_fake_needs_the_word_that_it_is_a_test);
    RUN(a_fake_is_a_level_with_more_or_less);
    RUN(a_wrong_fake_is_an_error);
    RUN(a_fake_may_be_a_whole_description);
    return tap_done();
}
