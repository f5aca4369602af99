/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The environment of a job that keeps to a level: what it says, and which instructions
 * a program executes under it, one after the other.
 */
#include "cpu/cpu.h"

#include "base/err.h"
#include "tap.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BEYOND = CPU_LEVELS + 1 };

static struct err e;
static struct cpu_variable variables[CPU_BASELINE_VARIABLES];
static size_t count;

/* ---- what it says ---- */

static struct {
    const char *name, *value;
} user[8];

static char *get_user(const char *name)
{
    for (size_t i = 0; i < 8 && user[i].name; i++)
        if (strcmp(user[i].name, name) == 0)
            return (char *)user[i].value;
    return NULL;
}

static void user_has(const char *name, const char *value)
{
    size_t i = 0;

    while (user[i].name)
        i++;
    user[i].name = name;
    user[i].value = value;
}

static void user_has_nothing(void)
{
    memset(user, 0, sizeof(user));
}

static void make(const char *policy, const char *fake)
{
    struct cpu_policy p;
    struct cpu c;

    setenv("QCKPT_TESTING", "1", 1);
    setenv("QCKPT_FAKE_CPU", fake, 1);
    CHECK_INT(cpu_policy_parse(policy, &p, &e), 0);
    CHECK_INT(cpu_read(&c, &e), 0);
    CHECK_INT(cpu_baseline(&p, &c, get_user, variables, &count, &e), 0);
    unsetenv("QCKPT_FAKE_CPU");
}

static const char *variable(const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(variables[i].name, name) == 0)
            return variables[i].value;
    return NULL;
}

/* Whether a list has the item. */
static bool lists(const char *list, const char *item)
{
    size_t length = strlen(item);

    for (const char *p = list; p && (p = strstr(p, item)); p += length)
        if ((p == list || strchr(",=: ", p[-1])) && strchr(",: ", p[length]))
            return true;
    return false;
}

static void only_a_baseline_has_an_environment(void)
{
    make("host", "x86-64-v4");
    CHECK_INT(count, 0);
    make("level", "x86-64-v4");
    CHECK_INT(count, 0);
    make("baseline=x86-64-v2", "x86-64-v4");
    CHECK(count > 0);
}

static void each_level_takes_away_what_is_above_it(void)
{
    const char *t;

    make("baseline=x86-64-v2", "x86-64-v4");
    t = variable("GLIBC_TUNABLES");
    CHECK(t && strncmp(t, "glibc.cpu.hwcaps=-", 18) == 0);
    CHECK(strstr(t, ":glibc.tune.hwcaps=-"));
    CHECK(lists(t, "-AVX2") && lists(t, "-AVX2_Usable") && lists(t, "-AVX512F"));
    CHECK(lists(t, "-AVX_Fast_Unaligned_Load") && lists(t, "-XSAVE"));
    CHECK(!lists(t, "-SSE4_2") && !lists(t, "-SSSE3"));
    CHECK_STR(variable("OPENBLAS_CORETYPE"), "Nehalem");
    CHECK_STR(variable("MKL_ENABLE_INSTRUCTIONS"), "SSE4_2");
    CHECK_STR(variable("LD_BIND_NOW"), "1");
    make("baseline=x86-64-v3", "x86-64-v4");
    t = variable("GLIBC_TUNABLES");
    CHECK(!lists(t, "-AVX2") && !lists(t, "-XSAVE") && lists(t, "-XSAVEC"));
    CHECK(lists(t, "-AVX512VL") && lists(t, "-RTM") && lists(t, "-FMA4"));
    CHECK_STR(variable("OPENBLAS_CORETYPE"), "Haswell");
    CHECK_STR(variable("MKL_ENABLE_INSTRUCTIONS"), "AVX2");
    make("baseline=x86-64-v4", "x86-64-v4");
    CHECK(!lists(variable("GLIBC_TUNABLES"), "-AVX512F"));
    CHECK(lists(variable("GLIBC_TUNABLES"), "-AVX512ER"));
    CHECK_STR(variable("OPENBLAS_CORETYPE"), "SkylakeX");
    CHECK_STR(variable("MKL_ENABLE_INSTRUCTIONS"), "AVX512");
    make("baseline=x86-64-v1", "x86-64-v4");
    CHECK(lists(variable("GLIBC_TUNABLES"), "-SSSE3"));
    CHECK_STR(variable("OPENBLAS_CORETYPE"), "Prescott");
}

/* OpenBLAS would execute what the host does not have. */
static void a_host_below_the_baseline_is_given_its_own_level(void)
{
    make("baseline=x86-64-v4", "x86-64-v2 +avx");
    CHECK_STR(variable("OPENBLAS_CORETYPE"), "Nehalem");
    CHECK_STR(variable("MKL_ENABLE_INSTRUCTIONS"), "SSE4_2");
    CHECK(lists(variable("GLIBC_TUNABLES"), "-AVX"));
}

static void the_users_tunables_are_merged(void)
{
    const char *t;

    user_has("GLIBC_TUNABLES",
             "glibc.malloc.check=1:glibc.cpu.hwcaps=-ERMS,AVX2:nonsense:"
             "a=b=c:glibc.cpu.hwcaps=-RTM,-ERMS:glibc.malloc.perturb=7");
    make("baseline=x86-64-v2", "x86-64-v4");
    t = variable("GLIBC_TUNABLES");
    CHECK(strncmp(t, "glibc.cpu.hwcaps=-RTM,-ERMS,-AVX,", 33) == 0);
    CHECK(strstr(t, ":glibc.malloc.check=1:glibc.malloc.perturb=7"));
    CHECK(!strstr(t, "nonsense") && !strstr(t, "a=b") && !lists(t, "AVX2"));
    user_has_nothing();
}

/* Done twice, as when a job starts a job, it takes nothing back. */
static void merging_again_keeps_the_lower_level(void)
{
    static char first[CPU_VARIABLE_SIZE], blas[64];

    make("baseline=x86-64-v2", "x86-64-v4");
    snprintf(first, sizeof(first), "%s", variable("GLIBC_TUNABLES"));
    snprintf(blas, sizeof(blas), "%s", variable("OPENBLAS_CORETYPE"));
    user_has("GLIBC_TUNABLES", first);
    user_has("OPENBLAS_CORETYPE", blas);
    user_has("MKL_ENABLE_INSTRUCTIONS", "SSE4_2");
    make("baseline=x86-64-v3", "x86-64-v4");
    CHECK(lists(variable("GLIBC_TUNABLES"), "-AVX2"));
    CHECK_STR(variable("OPENBLAS_CORETYPE"), "Nehalem");
    CHECK_STR(variable("MKL_ENABLE_INSTRUCTIONS"), "SSE4_2");
    user_has_nothing();
}

static void the_user_may_ask_for_less_but_not_for_more(void)
{
    user_has("OPENBLAS_CORETYPE", "penryn");
    user_has("MKL_ENABLE_INSTRUCTIONS", "AVX512");
    user_has("OPENSSL_ia32cap", "~0x200000200000000");
    make("baseline=x86-64-v2", "x86-64-v4");
    CHECK_STR(variable("OPENBLAS_CORETYPE"), "penryn");
    CHECK_STR(variable("MKL_ENABLE_INSTRUCTIONS"), "SSE4_2");
    CHECK(!variable("OPENSSL_ia32cap"));
    user_has_nothing();
    user_has("OPENBLAS_CORETYPE", "SkylakeX");
    make("baseline=x86-64-v2", "x86-64-v4");
    CHECK_STR(variable("OPENBLAS_CORETYPE"), "Nehalem");
    user_has_nothing();
}

static void what_is_too_long_is_refused(void)
{
    static char long_value[CPU_VARIABLE_SIZE];
    struct cpu_policy p = {CPU_POLICY_BASELINE, 2};
    struct cpu c;

    memset(long_value, 'x', sizeof(long_value) - 1);
    memcpy(long_value, "glibc.x=", 8);
    user_has("GLIBC_TUNABLES", long_value);
    CHECK_INT(cpu_read(&c, &e), 0);
    CHECK_INT(cpu_baseline(&p, &c, get_user, variables, &count, &e), -1);
    CHECK_INT(e.kind, ERR_USAGE);
    CHECK_HAS(e.text, "GLIBC_TUNABLES is too long");
    CHECK_INT(count, 0);
    user_has_nothing();
}

/* ---- what it does ---- */

/* The level that an instruction needs: of those after the 0F byte. `prefix` is the last
 * of 66, F2, F3. Intel SDM volume 2, appendix A. */
static unsigned level_of_two_byte(const unsigned char *op, unsigned char prefix,
                                  bool wide)
{
    unsigned char reg = op[1] >> 3 & 7;
    bool memory = op[1] >> 6 != 3;

    switch (op[0]) {
    case 0x01: /* xgetbv; xtest and xend of RTM */
        return op[1] == 0xd0 ? 3 : op[1] == 0xd5 || op[1] == 0xd6 ? BEYOND : 1;
    case 0x12:
    case 0x16: /* movddup, movsldup, movshdup: SSE3 */
        return prefix == 0xf2 || prefix == 0xf3 ? 2 : 1;
    case 0x7c:
    case 0x7d:
    case 0xd0: /* haddpd and others: SSE3 */
        return 2;
    case 0xf0: /* lddqu: SSE3 */
        return prefix == 0xf2 ? 2 : 1;
    case 0x38: /* SSSE3, SSE4; movbe; AES, SHA, ADX */
        if (op[1] == 0xf0 || op[1] == 0xf1)
            return prefix == 0xf2 ? 2 : 3;
        return op[1] >= 0xc8 ? BEYOND : 2;
    case 0x3a: /* SSSE3, SSE4; pclmulqdq, AES, SHA */
        return op[1] == 0x44 || op[1] >= 0xcc ? BEYOND : 2;
    case 0xae: /* xsave, xrstor; xsaveopt */
        if (memory && (reg == 4 || reg == 5))
            return 3;
        return memory && reg == 6 ? BEYOND : 1;
    case 0xb8: /* popcnt */
        return 2;
    case 0xbd: /* lzcnt */
        return prefix == 0xf3 ? 3 : 1;
    case 0xc7: /* cmpxchg16b; xsavec, xsaves, rdrand, rdseed */
        if (reg == 1)
            return wide ? 2 : 1;
        return reg >= 3 ? BEYOND : 1;
    }
    return 1;
}

static unsigned level_of(const unsigned char *op)
{
    unsigned char prefix = 0;
    bool wide = false;

    while (strchr("\x66\xf2\xf3\x2e\x36\x3e\x26\x64\x65\x67\xf0", *op) && *op) {
        if (*op == 0x66 || *op == 0xf2 || *op == 0xf3)
            prefix = *op;
        op++;
    }
    if (*op >= 0x40 && *op <= 0x4f)
        wide = *op++ & 8;
    switch (*op) {
    case 0x62: /* EVEX */
        return 4;
    case 0xc4:
    case 0xc5: /* VEX */
        return 3;
    case 0x8f: /* XOP, or pop */
        return (op[1] & 0x1f) >= 8 ? BEYOND : 1;
    case 0x0f:
        return level_of_two_byte(op + 1, prefix, wide);
    }
    return 1;
}

static void run_program(bool with_variables)
{
    unsetenv("LD_BIND_NOW");
    unsetenv("GLIBC_TUNABLES");
    for (size_t i = 0; with_variables && i < count; i++)
        setenv(variables[i].name, variables[i].value, 1);
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    execl(PROGRAM, PROGRAM, (char *)NULL);
    _exit(126);
}

/* Continues by `how` until the process stops at a signal; false at its end. */
static bool go_on(pid_t pid, int how, int *sig)
{
    int status;

    if (ptrace(how, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) != pid ||
        !WIFSTOPPED(status))
        return false;
    *sig = WSTOPSIG(status);
    return true;
}

static void code_at(pid_t pid, unsigned long address, unsigned char out[16])
{
    for (int i = 0; i < 2; i++) {
        long word = ptrace(PTRACE_PEEKTEXT, pid, address + 8 * i, NULL);

        memcpy(out + 8 * i, &word, 8);
    }
}

/* The highest level of what the program executes between its breakpoints; 0: it did not
 * get through. *steps counts. */
static unsigned level_of_program(bool with_variables, unsigned long *steps)
{
    unsigned highest = 1;
    unsigned char code[16];
    struct user_regs_struct regs;
    int sig = 0, status;
    pid_t pid = fork();

    if (pid == 0)
        run_program(with_variables);
    *steps = 0;
    waitpid(pid, &status, 0);
    if (!WIFSTOPPED(status) || !go_on(pid, PTRACE_CONT, &sig) || sig != SIGTRAP)
        return 0;
    for (;;) {
        unsigned level;

        if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
            return 0;
        code_at(pid, regs.rip, code);
        if (code[0] == 0xcc)
            break;
        level = level_of(code);
        if (level > highest)
            highest = level;
        ++*steps;
        if (!go_on(pid, PTRACE_SINGLESTEP, &sig) || sig != SIGTRAP)
            return 0;
    }
    ptrace(PTRACE_CONT, pid, NULL, NULL);
    waitpid(pid, &status, 0);
    ptrace(PTRACE_CONT, pid, NULL, NULL);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? highest : 0;
}

static void instructions_are_told_apart(void)
{
    static const struct {
        unsigned char code[8];
        unsigned level;
    } cases[] = {
        {"\x48\x89\xe5", 1},                  /* mov rbp, rsp */
        {"\xf3\xa4", 1},                      /* rep movsb */
        {"\xf3\x0f\x6f\x06", 1},              /* movdqu xmm0, [rsi] */
        {"\x66\x0f\xd7\xc8", 1},              /* pmovmskb ecx, xmm0 */
        {"\x66\x0f\x3a\x0f\xc8\x01", 2},      /* palignr */
        {"\x66\x0f\x3a\x63\xc8\x1a", 2},      /* pcmpistri */
        {"\x66\x0f\x38\x17\xc0", 2},          /* ptest */
        {"\xf3\x48\x0f\xb8\xc1", 2},          /* popcnt */
        {"\xc5\xf8\x77\x00", 3},              /* vzeroupper */
        {"\xc4\xe2\x71\xb9\xc2", 3},          /* vfmadd231sd */
        {"\x48\x0f\xae\x64\x24\x40", 3},      /* xsave64 [rsp+64] */
        {"\x0f\xae\xe8", 1},                  /* lfence */
        {"\x48\x0f\xc7\x64\x24\x40", BEYOND}, /* xsavec64 [rsp+64] */
        {"\x0f\x01\xd6", BEYOND},             /* xtest */
        {"\x62\xe1\xfe\x28\x6f\x06", 4},      /* vmovdqu64 ymm16, [rsi] */
        {"\x8f\x45\x00", 1},                  /* pop [rbp] */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned char code[16] = {0};

        memcpy(code, cases[i].code, sizeof(cases[i].code));
        CHECK_INT(level_of(code), cases[i].level);
    }
}

static unsigned this_level(void)
{
    struct cpu c;

    CHECK_INT(cpu_read(&c, &e), 0);
    return cpu_level(c.arch, &c.flags);
}

/* Else the next test could not fail. */
static void left_alone_the_program_uses_what_is_there(void)
{
    unsigned long steps;
    unsigned level;

    if (this_level() < 3)
        SKIP("this host has no AVX2 to be left out");
    level = level_of_program(false, &steps);
    CHECK(level >= 3);
    CHECK(steps > 1000);
}

static void under_a_baseline_it_keeps_to_the_level(void)
{
    unsigned long steps;
    char policy[CPU_POLICY_SIZE];
    unsigned host = this_level();

    for (unsigned level = 1; level <= host; level++) {
        struct cpu_policy p = {CPU_POLICY_BASELINE, level};
        struct cpu c;
        unsigned seen;

        CHECK_INT(cpu_read(&c, &e), 0);
        CHECK_INT(cpu_baseline(&p, &c, get_user, variables, &count, &e), 0);
        seen = level_of_program(true, &steps);
        printf("# %s: %lu instructions, of level %u\n", cpu_policy_format(&p, policy),
               steps, seen);
        CHECK(seen >= 1 && seen <= level);
        CHECK(steps > 1000);
    }
}

int main(void)
{
    RUN(only_a_baseline_has_an_environment);
    RUN(each_level_takes_away_what_is_above_it);
    RUN(a_host_below_the_baseline_is_given_its_own_level);
    RUN(the_users_tunables_are_merged);
    RUN(merging_again_keeps_the_lower_level);
    RUN(the_user_may_ask_for_less_but_not_for_more);
    RUN(what_is_too_long_is_refused);
    RUN(instructions_are_told_apart);
    RUN(left_alone_the_program_uses_what_is_there);
    RUN(under_a_baseline_it_keeps_to_the_level);
    return tap_done();
}
