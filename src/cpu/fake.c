/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cpu/fake.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "cpu/cpu.h"
#include "cpu/x86.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* State that is there only for some flag. */
enum { STATE_OF_FLAGS = 0xe6 | 0x60000 | 0x80000, STATE_X87_SSE = 3 };

static bool is_known(const char *arch, const char *flag)
{
    const char *known;

    for (size_t i = 0; (known = cpu_known_flag(arch, i)); i++)
        if (strcmp(known, flag) == 0)
            return true;
    return false;
}

static bool builds_on(const char *flag, const char *base)
{
    for (; flag; flag = x86_parent(flag))
        if (strcmp(flag, base) == 0)
            return true;
    return false;
}

static void take_away(struct cpu *c, const char *flag)
{
    unsigned i = 0;

    while (i < c->flags.count)
        if (builds_on(c->flags.name[i], flag))
            cpu_flags_remove(&c->flags, c->flags.name[i]);
        else
            i++;
}

static int give(struct cpu *c, const char *flag, struct err *e)
{
    for (; flag; flag = x86_parent(flag))
        if (cpu_flags_add(&c->flags, flag, e) < 0)
            return -1;
    return 0;
}

static int apply_word(struct cpu *c, const char *word, struct err *e)
{
    const char *level = "x86-64-v";
    size_t length = strlen(level);

    if (strncmp(word, level, length) == 0 && word[length] >= '1' &&
        word[length] <= '0' + CPU_LEVELS && !word[length + 1]) {
        cpu_level_flags(word[length] - '0', &c->flags);
        memcpy(c->arch, "x86_64", sizeof("x86_64"));
        return 0;
    }
    if (word[0] == '+' && is_known(c->arch, word + 1))
        return give(c, word + 1, e);
    if (word[0] == '-' && is_known(c->arch, word + 1)) {
        take_away(c, word + 1);
        return 0;
    }
    return err_set(e, ERR_USAGE,
                   "\"%.40s\" is no x86-64-v1 to x86-64-v%d, +FLAG or -FLAG", word,
                   CPU_LEVELS);
}

/* The state that goes with the flags. Where components would lie that this machine does
 * not have is not made up. */
static void fit_state(struct cpu *c)
{
    uint64_t state = STATE_X87_SSE;

    for (unsigned i = 0; i < c->flags.count; i++)
        state |= x86_state(c->flags.name[i]);
    if (cpu_flags_has(&c->flags, "xsave"))
        c->xcr0 = (c->xcr0 & ~(uint64_t)STATE_OF_FLAGS) | state;
    else
        c->xcr0 = 0;
    for (int i = 0; i < CPU_COMPONENTS; i++)
        if (!(c->xcr0 >> i & 1))
            c->component[i] = (struct cpu_component){0};
}

static int apply_words(struct cpu *c, char *words, struct err *e)
{
    char *rest, *word = strtok_r(words, " \t\n", &rest);

    for (; word; word = strtok_r(NULL, " \t\n", &rest))
        if (apply_word(c, word, e) < 0)
            return -1;
    if (strcmp(c->arch, "x86_64") == 0)
        fit_state(c);
    return 0;
}

static int apply_text(struct cpu *c, char *text, struct err *e)
{
    if (strncmp(text, "qckpt-cpu ", 10) == 0)
        return cpu_parse(text, c, e);
    return apply_words(c, text, e);
}

static char *read_text(const char *value, struct err *e)
{
    char *text = NULL;

    if (value[0] != '/') {
        text = strdup(value);
        if (!text)
            err_sys(e, "memory");
    } else
        io_read_file(AT_FDCWD, value, CPU_TEXT_SIZE, &text, NULL, e);
    return text;
}

int fake_apply(struct cpu *c, struct err *e)
{
    const char *value = getenv("QCKPT_FAKE_CPU"), *testing = getenv("QCKPT_TESTING");
    auto_free char *text = NULL;
    struct cpu fake = *c;

    if (!value || !*value)
        return 0;
    if (!testing || strcmp(testing, "1") != 0)
        return err_set(e, ERR_USAGE,
                       "QCKPT_FAKE_CPU is for tests, and honoured only with "
                       "QCKPT_TESTING=1; unset it");
    text = read_text(value, e);
    if (!text || apply_text(&fake, text, e) < 0)
        return err_wrap(e, "QCKPT_FAKE_CPU");
    *c = fake;
    return 0;
}
