/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The text forms, the contract, and what Grid Engine is asked for. */
#include "cpu/cpu.h"

#include "base/err.h"
#include "tap.h"

#include <stdlib.h>

static struct err e;

static const char example[] =
    "qckpt-contract 1\n"
    "policy host\n"
    "needs aes avx avx2 cmov cx8 fpu fxsr mmx sse sse2 xsave\n"
    "qckpt-cpu 1\n"
    "arch x86_64\n"
    "vendor GenuineIntel\n"
    "name Intel(R) Xeon(R) Gold 6130\n"
    "family 6\n"
    "model 85\n"
    "stepping 4\n"
    "level 1\n"
    "flags aes avx avx2 cmov cx8 fpu fxsr mmx sse sse2 xsave\n"
    "xsave 0x2e7 2:576+256 5:1088+64 6:1152+512 7:1664+1024 9:2688+8\n";

static const char *const example_cpu =
    example +
    sizeof("qckpt-contract 1\npolicy host\nneeds aes avx avx2 cmov cx8 fpu fxsr mmx "
           "sse sse2 xsave\n") -
    1;

/* A CPU of a level, with more or less. */
static void cpu_of(const char *fake, struct cpu *c)
{
    setenv("QCKPT_TESTING", "1", 1);
    setenv("QCKPT_FAKE_CPU", fake, 1);
    CHECK_INT(cpu_read(c, &e), 0);
    unsetenv("QCKPT_FAKE_CPU");
}

static struct cpu_policy policy_of(const char *text)
{
    struct cpu_policy p = {0};

    CHECK_INT(cpu_policy_parse(text, &p, &e), 0);
    return p;
}

static void contract_of(const char *policy, const char *fake,
                        const struct cpu_contract *before, struct cpu_contract *out)
{
    struct cpu_policy p = policy_of(policy);
    struct cpu c;

    cpu_of(fake, &c);
    CHECK_INT(cpu_contract_make(&p, &c, before, out, &e), 0);
}

static const char *all_of(const struct cpu_flags *set)
{
    static char text[CPU_TEXT_SIZE];

    return cpu_flags_list(set, text, sizeof(text));
}

static bool are_same(const struct cpu_flags *a, const struct cpu_flags *b)
{
    struct cpu_flags missing;

    cpu_flags_missing(a, b, &missing);
    return missing.count == 0 && a->count == b->count;
}

/* ---- text ---- */

static void text_is_read_and_written_the_same(void)
{
    static struct cpu_contract c;
    char text[CPU_TEXT_SIZE];

    CHECK_INT(cpu_contract_parse(example, &c, &e), 0);
    CHECK_INT(c.policy.kind, CPU_POLICY_HOST);
    CHECK_STR(c.made_on.name, "Intel(R) Xeon(R) Gold 6130");
    CHECK_INT(c.made_on.xcr0, 0x2e7);
    CHECK_INT(c.made_on.component[7].offset, 1664);
    CHECK_INT(cpu_contract_format(&c, text, sizeof(text), &e), 0);
    CHECK_STR(text, example);
    CHECK_INT(cpu_format(&c.made_on, text, sizeof(text), &e), 0);
    CHECK_STR(text, example_cpu);
}

static void text_that_does_not_fit_is_an_error(void)
{
    static struct cpu_contract c;
    char text[sizeof(example)];

    CHECK_INT(cpu_contract_parse(example, &c, &e), 0);
    CHECK_INT(cpu_contract_format(&c, text, sizeof(text), &e), 0);
    CHECK_INT(cpu_contract_format(&c, text, sizeof(text) - 1, &e), -1);
    CHECK_HAS(e.text, "longer");
}

static void every_cut_is_noticed(void)
{
    static struct cpu_contract c, before;
    char text[sizeof(example)];

    memset(&before, 0x5a, sizeof(before));
    for (size_t length = 1; length + 1 < sizeof(example); length++) {
        memcpy(text, example, length);
        text[length] = '\0';
        c = before;
        e.kind = ERR_NONE;
        if (cpu_contract_parse(text, &c, &e) == 0 || e.kind != ERR_CORRUPT) {
            printf("# cut to %zu bytes: %s\n", length, text);
            CHECK(!"noticed");
        }
        CHECK(memcmp(&c, &before, sizeof(c)) == 0);
    }
}

/* Whatever is read in spite of the damage is written as it was read. */
static void damage_is_refused_or_harmless(void)
{
    static struct cpu_contract c;
    char text[sizeof(example)], again[CPU_TEXT_SIZE];
    unsigned refused = 0;

    for (size_t at = 0; at + 1 < sizeof(example); at++)
        for (int byte = 1; byte < 256; byte += 1 + at % 3) {
            memcpy(text, example, sizeof(text));
            text[at] = byte;
            if (cpu_contract_parse(text, &c, &e) < 0) {
                bool is_newer = strstr(e.text, "is newer than this qckpt reads");

                CHECK_INT(e.kind, is_newer ? ERR_WRONG_HOST : ERR_CORRUPT);
                refused++;
            } else {
                struct cpu_contract twice;

                CHECK_INT(cpu_contract_format(&c, again, sizeof(again), &e), 0);
                CHECK_INT(cpu_contract_parse(again, &twice, &e), 0);
                CHECK(memcmp(&c, &twice, sizeof(c)) == 0);
            }
        }
    CHECK(refused > 10000);
}

static void check_kind(enum err_kind kind, const char *old, const char *new,
                       const char *message)
{
    static struct cpu_contract c;
    char text[CPU_TEXT_SIZE];
    const char *at = strstr(example, old);

    CHECK(at != NULL);
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - example), example, new,
             at + strlen(old));
    CHECK_INT(cpu_contract_parse(text, &c, &e), -1);
    CHECK_INT(e.kind, kind);
    CHECK_HAS(e.text, message);
}

static void check_bad(const char *old, const char *new, const char *message)
{
    check_kind(ERR_CORRUPT, old, new, message);
}

/* Damage would have the generation passed over, and lost. */
static void what_a_newer_version_wrote_is_no_damage(void)
{
    check_kind(ERR_WRONG_HOST, "qckpt-contract 1", "qckpt-contract 2",
               "qckpt-contract: format 2 is newer than this qckpt reads (1): install a "
               "newer one here");
    check_kind(ERR_WRONG_HOST, "qckpt-cpu 1", "qckpt-cpu 7", "qckpt-cpu: format 7");
}

static void what_is_wrong_is_named(void)
{
    check_bad("qckpt-contract 1", "qckpt-contract 0", "format 0 does not exist");
    check_bad("policy host", "policy none", "line 2: \"none\"");
    check_bad("arch x86_64", "arch", "architecture is empty");
    check_bad("vendor", "seller", "line 6: \"seller GenuineIntel\" instead of vendor");
    check_bad("family 6", "family -6", "line 8: not a number");
    check_bad("family 6", "family 4294967296", "line 8: not a number");
    check_bad("model 85\n", "", "instead of model");
    check_bad("level 1", "level 3", "line 12: these flags are not those");
    check_bad("flags aes", "flags  aes", "line 12: \"\" is no name");
    check_bad("flags aes", "flags aes aes", "line 12: a flag is there twice");
    check_bad("flags aes", "flags aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "too long");
    check_bad("0x2e7", "2e7", "line 13: not a set");
    check_bad("0x2e7", "0x12e7e7e7e7e7e7e7e7", "line 13: not a set");
    check_bad("5:1088", "4:1088", "line 13: an XSAVE component");
    check_bad("5:1088", "2:1088", "line 13: an XSAVE component");
    check_bad("5:1088", "63:1088", "line 13: an XSAVE component");
    check_bad("+64 ", "+0 ", "line 13: an XSAVE component");
    check_bad("+8\n", "+8\nmore\n", "more than 13 lines");
    check_bad("Gold", "G\xc3\xb6ld", "line 7: has a character");
}

static void no_contract_is_not_a_damaged_one(void)
{
    static struct cpu_contract c;

    CHECK_INT(cpu_contract_parse("", &c, &e), -1);
    CHECK_INT(e.kind, ERR_NOTHING);
}

static void unknown_flags_are_kept_and_count(void)
{
    static struct cpu_contract c;
    char text[CPU_TEXT_SIZE], again[CPU_TEXT_SIZE];
    const char *at = strstr(example, "needs ") + 6;
    struct cpu_flags missing;

    snprintf(text, sizeof(text), "%.*s1st.avx-2048 %s", (int)(at - example), example,
             at);
    CHECK_INT(cpu_contract_parse(text, &c, &e), 0);
    CHECK_INT(cpu_contract_format(&c, again, sizeof(again), &e), 0);
    CHECK_STR(again, text);
    CHECK(!cpu_contract_holds(&c, &c.made_on, &missing));
    CHECK_STR(all_of(&missing), "1st.avx-2048");
}

static void the_longest_contract_fits_a_manifest(void)
{
    static struct cpu_contract c;
    char text[CPU_TEXT_SIZE];
    const char *name;

    for (size_t i = 0; (name = cpu_known_flag("x86_64", i)); i++) {
        cpu_flags_add(&c.needs, name, &e);
        cpu_flags_add(&c.made_on.flags, name, &e);
    }
    memset(c.made_on.name, 'x', sizeof(c.made_on.name) - 1);
    memset(c.made_on.vendor, 'x', sizeof(c.made_on.vendor) - 1);
    memcpy(c.made_on.arch, "x86_64", 7);
    c.made_on.xcr0 = ~0ull;
    for (int i = 2; i < CPU_COMPONENTS; i++)
        c.made_on.component[i] = (struct cpu_component){1 << 20, 1 << 20};
    CHECK_INT(cpu_contract_format(&c, text, sizeof(text), &e), 0);
    CHECK(strlen(text) < sizeof(text) / 2);
}

/* ---- policies ---- */

static void policies_are_read_strictly(void)
{
    static const char *const good[] = {"host", "level", "baseline=x86-64-v1",
                                       "baseline=x86-64-v4"};
    static const char *const bad[] = {"",
                                      "Host",
                                      "baseline",
                                      "baseline=",
                                      "baseline=v2",
                                      "baseline=x86-64-v0",
                                      "baseline=x86-64-v5",
                                      "baseline=x86-64-v22",
                                      "level "};
    char text[CPU_POLICY_SIZE];
    struct cpu_policy p;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        CHECK_INT(cpu_policy_parse(good[i], &p, &e), 0);
        CHECK_STR(cpu_policy_format(&p, text), good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_INT(cpu_policy_parse(bad[i], &p, &e), -1);
        CHECK_INT(e.kind, ERR_USAGE);
    }
}

static void each_policy_asks_for_its_own(void)
{
    static struct cpu_contract c;
    struct cpu_flags level;

    contract_of("host", "x86-64-v3 +aes", NULL, &c);
    CHECK(cpu_flags_has(&c.needs, "aes") && cpu_flags_has(&c.needs, "avx2"));
    contract_of("level", "x86-64-v3 +aes", NULL, &c);
    cpu_level_flags(3, &level);
    CHECK(are_same(&c.needs, &level));
    CHECK(cpu_flags_has(&c.made_on.flags, "aes"));
    contract_of("baseline=x86-64-v2", "x86-64-v3 +aes", NULL, &c);
    cpu_level_flags(2, &level);
    CHECK(are_same(&c.needs, &level));
    contract_of("baseline=x86-64-v4", "x86-64-v3 +aes", NULL, &c);
    cpu_level_flags(3, &level);
    CHECK(are_same(&c.needs, &level));
}

/* A Xeon Phi, a virtual machine without one flag: glibc uses AVX2 there all the same.
 */
static void a_level_that_is_only_in_part_there_counts(void)
{
    static struct cpu_contract c;
    struct cpu here;

    contract_of("level", "x86-64-v3 -bmi2 +aes", NULL, &c);
    CHECK(cpu_flags_has(&c.needs, "avx2") && !cpu_flags_has(&c.needs, "aes"));
    cpu_of("x86-64-v2 +aes", &here);
    CHECK(!cpu_contract_holds(&c, &here, NULL));
    contract_of("level", "x86-64-v3 +avx512cd", NULL, &c);
    CHECK(cpu_flags_has(&c.needs, "avx512f"));
    contract_of("baseline=x86-64-v3", "x86-64-v3 -bmi2", NULL, &c);
    CHECK(!cpu_flags_has(&c.needs, "avx2"));
}

static void what_was_needed_once_is_needed_further_on(void)
{
    static struct cpu_contract first, second;

    contract_of("host", "x86-64-v2 +sse4a +aes", NULL, &first);
    contract_of("host", "x86-64-v4", &first, &second);
    CHECK(cpu_flags_has(&second.needs, "sse4a") &&
          cpu_flags_has(&second.needs, "avx512f"));
    contract_of("level", "x86-64-v2", &second, &first);
    CHECK(cpu_flags_has(&first.needs, "avx512f"));
    CHECK_INT(first.policy.kind, CPU_POLICY_LEVEL);
    contract_of("baseline=x86-64-v2", "x86-64-v2", NULL, &first);
    contract_of("baseline=x86-64-v2", "x86-64-v4", &first, &second);
    CHECK_INT(cpu_level("x86_64", &second.needs), 2);
    CHECK(!cpu_flags_has(&second.needs, "avx"));
}

static void levels_are_for_x86_only(void)
{
    static struct cpu arm;
    static struct cpu_contract c;
    struct cpu_policy p = policy_of("level");

    memcpy(arm.arch, "aarch64", 8);
    CHECK_INT(cpu_flags_add(&arm.flags, "sve", &e), 0);
    CHECK_INT(cpu_contract_make(&p, &arm, NULL, &c, &e), -1);
    CHECK_INT(e.kind, ERR_USAGE);
    p = policy_of("host");
    CHECK_INT(cpu_contract_make(&p, &arm, NULL, &c, &e), 0);
    CHECK(cpu_flags_has(&c.needs, "sve"));
}

/* ---- comparing ---- */

static void a_host_that_lacks_something_is_refused_with_the_list(void)
{
    static struct cpu_contract c;
    struct cpu here;

    contract_of("host", "x86-64-v4", NULL, &c);
    cpu_of("x86-64-v4 -avx512vl -avx512dq", &here);
    CHECK_INT(cpu_contract_check(&c, &here, "geb", 3, &e), -1);
    CHECK_INT(e.kind, ERR_WRONG_HOST);
    CHECK_STR(e.text, "host geb lacks avx512dq avx512vl; generation 3 was made where "
                      "they exist");
    cpu_of("x86-64-v4 -avx512vl", &here);
    CHECK_INT(cpu_contract_check(&c, &here, "geb", 3, &e), -1);
    CHECK_STR(e.text, "host geb lacks avx512vl; generation 3 was made where it exists");
}

static void more_than_was_needed_is_no_reason(void)
{
    static struct cpu_contract c;
    struct cpu here;

    contract_of("host", "x86-64-v2", NULL, &c);
    cpu_of("x86-64-v4 +aes +amx_tile", &here);
    CHECK_INT(cpu_contract_check(&c, &here, "geb", 3, &e), 0);
    memcpy(here.vendor, "Somebody", 9);
    here.family = 99;
    here.component[5].offset = 4711;
    CHECK(cpu_contract_holds(&c, &here, NULL));
}

static void another_architecture_never_does(void)
{
    static struct cpu_contract c;
    struct cpu here;

    contract_of("host", "x86-64-v2", NULL, &c);
    here = c.made_on;
    memcpy(here.arch, "aarch64", 8);
    CHECK_INT(cpu_contract_check(&c, &here, "geb", 3, &e), -1);
    CHECK_STR(e.text, "host geb is aarch64; generation 3 was made on x86_64");
}

static void a_long_list_fits_the_message(void)
{
    static struct cpu_contract c;
    static char host[300];
    struct cpu here;
    char name[CPU_FLAG_SIZE];

    contract_of("host", "x86-64-v1", NULL, &c);
    here = c.made_on;
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "a_rather_long_name_%d", i);
        CHECK_INT(cpu_flags_add(&c.needs, name, &e), 0);
    }
    memset(host, 'h', sizeof(host) - 1);
    CHECK_INT(cpu_contract_check(&c, &here, host, UINT64_MAX, &e), -1);
    CHECK_HAS(e.text,
              " more; generation 18446744073709551615 was made where they exist");
}

/* ---- Grid Engine ---- */

static void complexes_have_unique_names_and_shortcuts(void)
{
    static const char *const arch[] = {"x86_64", "aarch64"};

    for (int a = 0; a < 2; a++) {
        struct cpu_complex c, d;
        size_t count = 0;

        for (size_t i = 0; cpu_complex(arch[a], i, &c); i++, count++)
            for (size_t k = 0; cpu_complex(arch[a], k, &d); k++) {
                CHECK(strcmp(c.name, d.shortcut) != 0);
                if (i != k)
                    CHECK(strcmp(c.name, d.name) != 0 &&
                          strcmp(c.shortcut, d.shortcut) != 0);
            }
        CHECK(count > 50);
    }
}

static unsigned value_of(const char *name, const struct cpu *here)
{
    struct cpu_complex c;

    for (size_t i = 0; cpu_complex("x86_64", i, &c); i++)
        if (strcmp(c.name, name) == 0)
            return cpu_complex_value(&c, here);
    CHECK_STR("no complex", name);
    return 77;
}

static void the_originals_complexes_are_there(void)
{
    struct cpu here;

    cpu_of("x86-64-v2", &here);
    CHECK_INT(value_of("cpuflag_sse", &here), 1);
    CHECK_INT(value_of("cpuflag_sse2", &here), 1);
    CHECK_INT(value_of("cpuflag_pni", &here), 1);
    CHECK_INT(value_of("cpuflag_sse3", &here), 1);
    CHECK_INT(value_of("cpuflag_sse4_1", &here), 1);
    CHECK_INT(value_of("cpuflag_sse4_2", &here), 1);
    CHECK_INT(value_of("cpuflag_avx", &here), 0);
    CHECK_INT(value_of("cpuflag_avx512f", &here), 0);
    CHECK_INT(value_of("cpu_level", &here), 2);
}

static const struct cpu_request *find(const struct cpu_request *list, size_t count,
                                      const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    return NULL;
}

static void requests_say_what_the_level_says_too(void)
{
    static struct cpu_contract c;
    static struct cpu_request list[CPU_REQUESTS_MAX];
    const struct cpu_request *r;
    size_t count;

    contract_of("host", "x86-64-v3 +aes", NULL, &c);
    CHECK_INT(cpu_flags_add(&c.needs, "from_the_future", &e), 0);
    count = cpu_contract_requests(&c, list);
    CHECK_STR(list[0].name, "cpu_level");
    CHECK_STR(list[0].value, "3");
    r = find(list, count, "cpuflag_avx2");
    CHECK(r && r->in_level && strcmp(r->value, "1") == 0);
    r = find(list, count, "cpuflag_aes");
    CHECK(r && !r->in_level);
    CHECK(find(list, count, "cpuflag_pni") && !find(list, count, "cpuflag_sse3"));
    CHECK(!find(list, count, "cpuflag_fpu"));
    contract_of("baseline=x86-64-v1", "x86-64-v3 +aes", NULL, &c);
    count = cpu_contract_requests(&c, list);
    CHECK_STR(list[0].value, "1");
    for (size_t i = 1; i < count; i++)
        CHECK(list[i].in_level);
}

/* A flag above the level that the host has all the same. */
static void a_flag_of_a_level_that_is_not_reached_is_asked_for(void)
{
    static struct cpu_contract c;
    static struct cpu_request list[CPU_REQUESTS_MAX];
    const struct cpu_request *r;
    size_t count;

    contract_of("host", "x86-64-v3 -bmi2", NULL, &c);
    count = cpu_contract_requests(&c, list);
    CHECK_STR(list[0].value, "2");
    r = find(list, count, "cpuflag_avx2");
    CHECK(r && !r->in_level);
}

int main(void)
{
    RUN(text_is_read_and_written_the_same);
    RUN(text_that_does_not_fit_is_an_error);
    RUN(every_cut_is_noticed);
    RUN(damage_is_refused_or_harmless);
    RUN(what_a_newer_version_wrote_is_no_damage);
    RUN(what_is_wrong_is_named);
    RUN(no_contract_is_not_a_damaged_one);
    RUN(unknown_flags_are_kept_and_count);
    RUN(the_longest_contract_fits_a_manifest);
    RUN(policies_are_read_strictly);
    RUN(each_policy_asks_for_its_own);
    RUN(a_level_that_is_only_in_part_there_counts);
    RUN(what_was_needed_once_is_needed_further_on);
    RUN(levels_are_for_x86_only);
    RUN(a_host_that_lacks_something_is_refused_with_the_list);
    RUN(more_than_was_needed_is_no_reason);
    RUN(another_architecture_never_does);
    RUN(a_long_list_fits_the_message);
    RUN(complexes_have_unique_names_and_shortcuts);
    RUN(the_originals_complexes_are_there);
    RUN(requests_say_what_the_level_says_too);
    RUN(a_flag_of_a_level_that_is_not_reached_is_asked_for);
    return tap_done();
}
