/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The complexes that tell Grid Engine what its hosts' CPUs offer. */
#include "ge/complexes.h"
#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "cmd/cmd.h"
#include "cpu/cpu.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { QCONF_MAX = 16 << 20 };

static const char *merge;
static const char *arch = "x86_64";

static const struct opt options[] = {
    {'m', "merge", "FILE", OPT_STRING, &merge,
     "only what is not in FILE, the output of qconf -sc (-: stdin)"},
    {0, "arch", "NAME", OPT_STRING, &arch, "x86_64 (the default) or aarch64"},
    {0}};

static const char *type_of(const struct cpu_complex *c)
{
    return c->flag ? "BOOL" : "INT";
}

/* Grid Engine compares `request RELATION value`: a job asks for the least level. */
static const char *relation_of(const struct cpu_complex *c)
{
    return c->flag ? "==" : "<=";
}

static void print_line(const struct cpu_complex *c, const char *shortcut)
{
    printf("%-27s %-22s %-4s %s    YES         NO         0       0\n", c->name,
           shortcut, type_of(c), relation_of(c));
}

static bool is_ours(const char *word)
{
    struct cpu_complex c;

    for (size_t i = 0; cpu_complex(arch, i, &c); i++)
        if (strcmp(c.name, word) == 0 || strcmp(c.shortcut, word) == 0)
            return true;
    return false;
}

/* The complex's own shortcut, or one made of it that nobody has. */
static int find_shortcut(const struct ge_complexes *there, const struct cpu_complex *c,
                         char out[CPU_COMPLEX_SIZE + 8], struct err *e)
{
    static const char prefixes[] = "qqqqqqqq";

    for (size_t n = 0; n < sizeof(prefixes); n++) {
        snprintf(out, CPU_COMPLEX_SIZE + 8, "%.*s%s", (int)n, prefixes, c->shortcut);
        if (!ge_complexes_find(there, out) && (n == 0 || !is_ours(out)))
            return 0;
    }
    return err_set(e, ERR_FAILED, "%s: no shortcut is free for %s", merge, c->name);
}

/* What is there under our name must be what the sensor reports and jobs ask for. */
static int check_same(const struct ge_complex *there, const struct cpu_complex *c,
                      struct err *e)
{
    if (strcmp(there->name, c->name) != 0)
        return err_set(e, ERR_FAILED,
                       "%s: %s is the shortcut of %s; give that another one first",
                       merge, c->name, there->name);
    if (strcmp(there->type, type_of(c)) != 0 ||
        strcmp(there->relation, relation_of(c)) != 0 || !there->requestable)
        return err_set(e, ERR_FAILED,
                       "%s: %s is %s %s%s, and must be %s %s, requestable; change or "
                       "remove it first",
                       merge, c->name, there->type, there->relation,
                       there->requestable ? "" : ", not requestable", type_of(c),
                       relation_of(c));
    return 0;
}

/* Checks all of them, then with `print` prints what is missing: no line comes out of a
 * list that cannot be completed. */
static int merge_all(const struct ge_complexes *there, bool print, struct err *e)
{
    char shortcut[CPU_COMPLEX_SIZE + 8];
    struct cpu_complex c;

    for (size_t i = 0; cpu_complex(arch, i, &c); i++) {
        const struct ge_complex *same = ge_complexes_find(there, c.name);

        if (same) {
            if (check_same(same, &c, e) < 0)
                return -1;
            continue;
        }
        if (find_shortcut(there, &c, shortcut, e) < 0)
            return -1;
        if (print)
            print_line(&c, shortcut);
    }
    return 0;
}

static int read_merge(char **text, struct err *e)
{
    auto_fd int fd = -1;

    if (strcmp(merge, "-") == 0)
        return io_read_fd(STDIN_FILENO, QCONF_MAX, text, NULL, e);
    fd = open(merge, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "%s", merge);
    if (io_read_fd(fd, QCONF_MAX, text, NULL, e) < 0)
        return err_wrap(e, "%s", merge);
    return 0;
}

static int print_missing(struct err *e)
{
    auto_ge_complexes struct ge_complexes *there = NULL;
    auto_free char *text = NULL;

    if (read_merge(&text, e) < 0)
        return -1;
    there = ge_complexes_parse(text, e);
    if (!there)
        return err_wrap(e, "%s", merge);
    if (merge_all(there, false, e) < 0)
        return -1;
    return merge_all(there, true, e);
}

static int run(int count, char **words, struct err *e)
{
    struct cpu_complex c;

    if (count > 0)
        return err_set(e, ERR_USAGE, "\"%s\" is one word too many; see --merge",
                       words[0]);
    if (!cpu_complex(arch, 0, &c))
        return err_set(e, ERR_USAGE, "--arch %s: x86_64 or aarch64", arch);
    if (merge)
        return print_missing(e);
    puts("#name                      shortcut               type relop requestable "
         "consumable default urgency");
    for (size_t i = 0; cpu_complex(arch, i, &c); i++)
        print_line(&c, c.shortcut);
    return 0;
}

const struct command cmd_complexes = {
    .name = "complexes",
    .arguments = "[OPTION]...",
    .summary = "Print the complexes that describe CPUs to Grid Engine",
    .more = "Add what is missing:\n"
            "  qconf -sc >list; qckpt complexes --merge list >>list; qconf -Mc list\n",
    .options = options,
    .run = run};
