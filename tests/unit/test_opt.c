/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/opt.h"
#include "base/scope.h"
#include "tap.h"

#include <stdint.h>
#include <stdlib.h>

static bool json;
static const char *dir;
static uint64_t keep;
static unsigned interval;
static struct opt_list names;

static const struct opt table[] = {
    {'j', "json", NULL, OPT_FLAG, &json, "machine-readable"},
    {'d', "directory", "DIR", OPT_STRING, &dir, "where checkpoints are kept"},
    {0, "keep", "N", OPT_NUMBER, &keep, "how many"},
    {0, "interval", "TIME", OPT_SECONDS, &interval, "how often"},
    {0, "name", "K=V", OPT_LIST, &names, "what it is called"},
    {0},
};

static struct err e;

/* Parses the words and returns the index of the first that is no option, or -1. */
static int parse(char **words)
{
    int count = 0, rest = -2;

    json = false;
    dir = NULL;
    keep = 0;
    interval = 0;
    free(names.values);
    names = (struct opt_list){0};
    err_clear(&e);
    while (words[count])
        count++;
    return opt_parse(table, count, words, &rest, &e) < 0 ? -1 : rest;
}
#define PARSE(...) parse((char *[]){"prog", __VA_ARGS__, NULL})

static void every_spelling_of_a_value_is_taken(void)
{
    CHECK_INT(PARSE("-d", "a"), 3);
    CHECK_STR(dir, "a");
    CHECK_INT(PARSE("-da"), 2);
    CHECK_STR(dir, "a");
    CHECK_INT(PARSE("-jda"), 2);
    CHECK_STR(dir, "a");
    CHECK(json);
    CHECK_INT(PARSE("--directory", "b"), 3);
    CHECK_STR(dir, "b");
    CHECK_INT(PARSE("--directory=b=c"), 2);
    CHECK_STR(dir, "b=c");
    CHECK_INT(PARSE("--directory="), 2);
    CHECK_STR(dir, "");
}

static void options_end_at_the_first_other_word(void)
{
    CHECK_INT(PARSE("-j", "prog", "-d", "x"), 2);
    CHECK(!dir);
    CHECK_INT(PARSE("-j", "--", "-d", "x"), 3);
    CHECK(!dir);
    CHECK_INT(PARSE("-", "-j"), 1);
    CHECK(!json);
}

static void numbers_and_times_are_checked(void)
{
    CHECK_INT(PARSE("--keep", "3", "--interval", "2h"), 5);
    CHECK_INT(keep, 3);
    CHECK_INT(interval, 7200);
    CHECK_INT(PARSE("--keep", "0"), -1);
    CHECK_INT(e.kind, ERR_USAGE);
    CHECK_HAS(e.text, "--keep 0");
    CHECK_INT(PARSE("--interval", "soon"), -1);
    CHECK_INT(e.kind, ERR_USAGE);
    CHECK_HAS(e.text, "--interval soon");
}

static void lists_keep_their_order(void)
{
    CHECK_INT(PARSE("--name", "a=1", "--name=b=2"), 4);
    CHECK_INT(names.count, 2);
    CHECK_STR(names.values[0], "a=1");
    CHECK_STR(names.values[1], "b=2");
}

static void mistakes_name_the_option(void)
{
    CHECK_INT(PARSE("--jsn"), -1);
    CHECK_HAS(e.text, "unknown option --jsn (--help lists them)");
    CHECK_INT(PARSE("-jx"), -1);
    CHECK_HAS(e.text, "unknown option -x");
    CHECK_INT(PARSE("-d"), -1);
    CHECK_HAS(e.text, "-d needs a value: DIR");
    CHECK_INT(PARSE("--json=yes"), -1);
    CHECK_HAS(e.text, "--json takes no value");
    CHECK_INT(e.kind, ERR_USAGE);
}

static void help_has_a_line_for_each_option(void)
{
    auto_free char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    opt_print(table, out);
    fclose(out);
    CHECK_HAS(text, "  -j, --json                 machine-readable\n");
    CHECK_HAS(text, "  -d, --directory DIR        where checkpoints are kept\n");
    CHECK_HAS(text, "      --interval TIME        how often\n");
}

int main(void)
{
    RUN(every_spelling_of_a_value_is_taken);
    RUN(options_end_at_the_first_other_word);
    RUN(numbers_and_times_are_checked);
    RUN(lists_keep_their_order);
    RUN(mistakes_name_the_option);
    RUN(help_has_a_line_for_each_option);
    free(names.values);
    return tap_done();
}
