/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Command lines as typed tables: one table parses the options and prints the help.
 *
 *     struct opt opts[] = {
 *         {'d', "directory", "DIR", OPT_STRING, &dir, "where checkpoints are kept"},
 *         {0, "interval", "TIME", OPT_SECONDS, &interval, "checkpoint every TIME"},
 *         {0}};
 *
 * Accepted are "-d DIR", "-dDIR", "--directory DIR" and "--directory=DIR". The first
 * word that is no option, or "--", ends the options: what follows is the command's.
 */
#ifndef BASE_OPT_H
#define BASE_OPT_H

#include <stddef.h>
#include <stdio.h>

struct err;

enum opt_type {
    OPT_FLAG,    /* bool: present */
    OPT_STRING,  /* const char *: points into argv */
    OPT_NUMBER,  /* uint64_t, at least 1 */
    OPT_SECONDS, /* unsigned: 90, 90s, 10m, 2h */
    OPT_LIST,    /* struct opt_list: may be given several times */
};

/* The values of an OPT_LIST, in their order; the caller frees `values` only. */
struct opt_list {
    const char **values;
    size_t count;
};

/* One option. A table ends with one whose `type` has no `value`. */
struct opt {
    char letter;           /* 0: none */
    const char *name;      /* NULL: none */
    const char *parameter; /* its name in the help; NULL for flags */
    enum opt_type type;
    void *value; /* left as it was when the option is absent */
    const char *help;
};

/* Parses argv[1..]. *rest is the index of the first word that is no option. Fails with
 * ERR_USAGE and names the option. */
int opt_parse(const struct opt *table, int argc, char **argv, int *rest, struct err *e);

/* One line an option, as --help shows it. */
void opt_print(const struct opt *table, FILE *out);

#endif
