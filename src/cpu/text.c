/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cpu/text.h"

#include "base/err.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CPU_FORMAT = 1, XSAVE_AREA_MAX = 1 << 20 };

/* ---- writing ---- */

void text_put(struct text_out *out, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(out->data + out->used, out->size - out->used, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= out->size - out->used)
        out->cut = true;
    else
        out->used += n;
}

void text_put_flags(struct text_out *out, const char *key, const struct cpu_flags *set)
{
    text_put(out, "%s", key);
    for (unsigned i = 0; i < set->count; i++)
        text_put(out, " %s", set->name[i]);
    text_put(out, "\n");
}

static void put_line(struct text_out *out, const char *key, const char *value)
{
    text_put(out, "%s%s%s\n", key, *value ? " " : "", value);
}

void text_put_cpu(struct text_out *out, const struct cpu *c)
{
    text_put(out, "qckpt-cpu %d\n", CPU_FORMAT);
    put_line(out, "arch", c->arch);
    put_line(out, "vendor", c->vendor);
    put_line(out, "name", c->name);
    text_put(out, "family %" PRIu32 "\nmodel %" PRIu32 "\nstepping %" PRIu32 "\n",
             c->family, c->model, c->stepping);
    text_put(out, "level %u\n", cpu_level(c->arch, &c->flags));
    text_put_flags(out, "flags", &c->flags);
    text_put(out, "xsave 0x%" PRIx64, c->xcr0);
    for (int i = 2; i < CPU_COMPONENTS; i++)
        if (c->component[i].size > 0)
            text_put(out, " %d:%" PRIu32 "+%" PRIu32, i, c->component[i].offset,
                     c->component[i].size);
    text_put(out, "\n");
}

int text_finish(const struct text_out *out, const char *what, struct err *e)
{
    if (out->cut)
        return err_set(e, ERR_FAILED, "the %s is longer than %zu bytes", what,
                       out->size);
    return 0;
}

int cpu_format(const struct cpu *c, char *out, size_t size, struct err *e)
{
    struct text_out text = {.data = out, .size = size};

    text_put_cpu(&text, c);
    return text_finish(&text, "text form of the CPU", e);
}

/* ---- reading ---- */

static int bad(const struct text_in *in, struct err *e, const char *what)
{
    return err_set(e, ERR_CORRUPT, "CPU description, line %u: %s", in->number, what);
}

/* Takes the next line into in->line. */
static int next_line(struct text_in *in, struct err *e)
{
    size_t length = strcspn(in->rest, "\n");

    in->number++;
    if (!*in->rest)
        return bad(in, e, "missing");
    if (!in->rest[length])
        return bad(in, e, "cut off");
    if (length >= sizeof(in->line))
        return bad(in, e, "too long");
    memcpy(in->line, in->rest, length);
    in->line[length] = '\0';
    for (const char *c = in->line; *c; c++)
        if (*c < ' ' || *c > '~')
            return bad(in, e, "has a character that is not plain ASCII");
    in->rest += length + 1;
    return 0;
}

const char *text_value(struct text_in *in, const char *key, struct err *e)
{
    size_t length = strlen(key);

    if (next_line(in, e) < 0)
        return NULL;
    if (strncmp(in->line, key, length) != 0 ||
        (in->line[length] != ' ' && in->line[length] != '\0')) {
        err_set(e, ERR_CORRUPT, "CPU description, line %u: \"%.40s\" instead of %s",
                in->number, in->line, key);
        return NULL;
    }
    return in->line + length + (in->line[length] == ' ');
}

/* Digits in `base` up to one of `ends` or the end of the line; *at moves behind them.
 */
static bool take_number(const char **at, unsigned base, const char *ends,
                        uint64_t *value)
{
    static const char digits[] = "0123456789abcdef";
    const char *c = *at, *d;
    uint64_t n = 0;

    for (; *c && (d = memchr(digits, *c, base)); c++)
        if (__builtin_mul_overflow(n, base, &n) ||
            __builtin_add_overflow(n, (uint64_t)(d - digits), &n))
            return false;
    if (c == *at || (*c && !strchr(ends, *c)))
        return false;
    *at = c;
    *value = n;
    return true;
}

int text_number(struct text_in *in, const char *key, uint32_t *value, struct err *e)
{
    const char *at = text_value(in, key, e);
    uint64_t n;

    if (!at)
        return -1;
    if (!take_number(&at, 10, "", &n) || n > UINT32_MAX)
        return bad(in, e, "not a number");
    *value = n;
    return 0;
}

int text_flags(struct text_in *in, const char *key, struct cpu_flags *set,
               struct err *e)
{
    const char *at = text_value(in, key, e);
    char name[CPU_FLAG_SIZE];

    if (!at)
        return -1;
    set->count = 0;
    while (*at) {
        size_t length = strcspn(at, " ");

        if (length >= sizeof(name))
            return bad(in, e, "the name of a flag is too long");
        memcpy(name, at, length);
        name[length] = '\0';
        if (cpu_flags_has(set, name))
            return bad(in, e, "a flag is there twice");
        if (cpu_flags_add(set, name, e) < 0)
            return err_wrap(e, "CPU description, line %u", in->number);
        at += length + (at[length] == ' ');
    }
    return 0;
}

static int text_string(struct text_in *in, const char *key, char *out, size_t size,
                       struct err *e)
{
    const char *value = text_value(in, key, e);

    if (!value)
        return -1;
    if (strlen(value) >= size)
        return bad(in, e, "too long");
    memcpy(out, value, strlen(value) + 1);
    return 0;
}

/* " 2:576+256" */
static bool take_component(const char **at, struct cpu *c)
{
    uint64_t number, offset, size;

    (*at)++;
    if (!take_number(at, 10, ":", &number) || *(*at)++ != ':' ||
        !take_number(at, 10, "+", &offset) || *(*at)++ != '+' ||
        !take_number(at, 10, " ", &size))
        return false;
    if (number < 2 || number >= CPU_COMPONENTS || !(c->xcr0 >> number & 1) ||
        c->component[number].size > 0 || size == 0 || size > XSAVE_AREA_MAX ||
        offset > XSAVE_AREA_MAX)
        return false;
    c->component[number] = (struct cpu_component){.offset = offset, .size = size};
    return true;
}

static int text_xsave(struct text_in *in, struct cpu *c, struct err *e)
{
    const char *at = text_value(in, "xsave", e);

    if (!at)
        return -1;
    memset(c->component, 0, sizeof(c->component));
    if (strncmp(at, "0x", 2) != 0)
        return bad(in, e, "not a set of XSAVE components");
    at += 2;
    if (!take_number(&at, 16, " ", &c->xcr0))
        return bad(in, e, "not a set of XSAVE components");
    while (*at)
        if (!take_component(&at, c))
            return bad(in, e, "an XSAVE component is wrong");
    return 0;
}

int text_format(struct text_in *in, const char *key, uint32_t format, struct err *e)
{
    uint32_t found;

    if (text_number(in, key, &found, e) < 0)
        return -1;
    if (found > format)
        return err_set(e, ERR_WRONG_HOST,
                       "%s: format %" PRIu32 " is newer than this qckpt reads (%" PRIu32
                       "): install a newer one here",
                       key, found, format);
    if (found != format)
        return err_set(e, ERR_CORRUPT, "%s: format %" PRIu32 " does not exist", key,
                       found);
    return 0;
}

int text_cpu(struct text_in *in, struct cpu *c, struct err *e)
{
    uint32_t level;

    if (text_format(in, "qckpt-cpu", CPU_FORMAT, e) < 0 ||
        text_string(in, "arch", c->arch, sizeof(c->arch), e) < 0 ||
        text_string(in, "vendor", c->vendor, sizeof(c->vendor), e) < 0 ||
        text_string(in, "name", c->name, sizeof(c->name), e) < 0 ||
        text_number(in, "family", &c->family, e) < 0 ||
        text_number(in, "model", &c->model, e) < 0 ||
        text_number(in, "stepping", &c->stepping, e) < 0 ||
        text_number(in, "level", &level, e) < 0)
        return -1;
    if (!*c->arch)
        return err_set(e, ERR_CORRUPT, "CPU description: the architecture is empty");
    if (text_flags(in, "flags", &c->flags, e) < 0)
        return -1;
    if (cpu_level(c->arch, &c->flags) != level)
        return bad(in, e, "these flags are not those of the level");
    return text_xsave(in, c, e);
}

int text_end(const struct text_in *in, struct err *e)
{
    if (*in->rest)
        return err_set(e, ERR_CORRUPT, "CPU description: more than %u lines",
                       in->number);
    return 0;
}

int cpu_parse(const char *text, struct cpu *c, struct err *e)
{
    struct text_in in = {.rest = text};
    struct cpu found = {0};

    if (text_cpu(&in, &found, e) < 0 || text_end(&in, e) < 0)
        return -1;
    *c = found;
    return 0;
}
