/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "cpu/cpu.h"

#include <stdio.h>
#include <string.h>

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_';
}

static bool is_flag_name(const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || length >= CPU_FLAG_SIZE || !is_letter(name[0]))
        return false;
    for (const char *c = name; *c; c++)
        if (!is_letter(*c) && *c != '.' && *c != '-')
            return false;
    return true;
}

/* Where the name is, or would have to be. */
static unsigned place(const struct cpu_flags *set, const char *name, bool *found)
{
    unsigned low = 0, high = set->count;

    *found = false;
    while (low < high && !*found) {
        unsigned middle = low + (high - low) / 2;
        int order = strcmp(name, set->name[middle]);

        if (order > 0)
            low = middle + 1;
        else
            high = middle;
        *found = order == 0;
    }
    return high;
}

bool cpu_flags_has(const struct cpu_flags *set, const char *name)
{
    bool found;

    place(set, name, &found);
    return found;
}

int cpu_flags_add(struct cpu_flags *set, const char *name, struct err *e)
{
    bool found;
    unsigned at = place(set, name, &found);

    if (found)
        return 0;
    if (!is_flag_name(name))
        return err_set(e, ERR_CORRUPT, "\"%.40s\" is no name of a CPU flag", name);
    if (set->count == CPU_FLAGS_MAX)
        return err_set(e, ERR_CORRUPT, "more than %d CPU flags", CPU_FLAGS_MAX);
    memmove(set->name[at + 1], set->name[at], (set->count - at) * CPU_FLAG_SIZE);
    memset(set->name[at], 0, CPU_FLAG_SIZE);
    memcpy(set->name[at], name, strlen(name));
    set->count++;
    return 0;
}

void cpu_flags_remove(struct cpu_flags *set, const char *name)
{
    bool found;
    unsigned at = place(set, name, &found);

    if (!found)
        return;
    set->count--;
    memmove(set->name[at], set->name[at + 1], (set->count - at) * CPU_FLAG_SIZE);
}

int cpu_flags_union(struct cpu_flags *set, const struct cpu_flags *more, struct err *e)
{
    for (unsigned i = 0; i < more->count; i++)
        if (cpu_flags_add(set, more->name[i], e) < 0)
            return -1;
    return 0;
}

/* What of `a` is in `b`, or is not. In place: an entry is never written after the one
 * that is read. */
static void choose(const struct cpu_flags *a, const struct cpu_flags *b, bool in_b,
                   struct cpu_flags *out)
{
    unsigned count = 0;
    struct cpu_flags other = *b;
    unsigned all = a->count;

    for (unsigned i = 0; i < all; i++)
        if (cpu_flags_has(&other, a->name[i]) == in_b)
            memmove(out->name[count++], a->name[i], CPU_FLAG_SIZE);
    out->count = count;
}

void cpu_flags_common(const struct cpu_flags *a, const struct cpu_flags *b,
                      struct cpu_flags *out)
{
    choose(a, b, true, out);
}

void cpu_flags_missing(const struct cpu_flags *needed, const struct cpu_flags *offered,
                       struct cpu_flags *out)
{
    choose(needed, offered, false, out);
}

/* How many bytes the names from the `i`th on take, each with a blank or the NUL. */
static size_t length_from(const struct cpu_flags *set, unsigned i)
{
    size_t length = 0;

    for (; i < set->count; i++)
        length += strlen(set->name[i]) + 1;
    return length;
}

const char *cpu_flags_list(const struct cpu_flags *set, char *out, size_t size)
{
    const size_t for_rest = sizeof("and 256 more");
    size_t used = 0;

    if (size > 0)
        out[0] = '\0';
    for (unsigned i = 0; i < set->count && used < size; i++) {
        const char *blank = i > 0 ? " " : "";

        if (used + strlen(blank) + length_from(set, i) > size &&
            used + strlen(blank) + strlen(set->name[i]) + 1 + for_rest > size) {
            snprintf(out + used, size - used, "%sand %u more", blank, set->count - i);
            break;
        }
        used += snprintf(out + used, size - used, "%s%s", blank, set->name[i]);
    }
    return out;
}
