/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "engine/engine.h"
#include "tap.h"

#include <string.h>

static const char *native_problem, *other_problem;
static const struct engine_options *asked_with;

static int answer(const char *problem, struct err *e)
{
    return problem ? err_set(e, ERR_FAILED, "%s", problem) : 0;
}

static int probe_native(const struct engine_options *options, struct err *e)
{
    asked_with = options;
    return answer(native_problem, e);
}

static int probe_other(const struct engine_options *options, struct err *e)
{
    asked_with = options;
    return answer(other_problem, e);
}

static const struct engine native = {.name = "native", .probe = probe_native};
static const struct engine other = {.name = "other", .probe = probe_other};
static const struct engine *const table[] = {&native, &other, NULL};
static const struct engine_options options;
static struct engine_choice choice;
static struct err e;

static int choose(const char *name, const char *native_says, const char *other_says)
{
    native_problem = native_says;
    other_problem = other_says;
    asked_with = NULL;
    err_clear(&e);
    return engine_choose(name, table, &options, &choice, &e);
}

static void auto_takes_the_first_that_can(void)
{
    CHECK(choose("auto", NULL, NULL) == 0);
    CHECK(choice.engine == &native);
    CHECK_STR(choice.why, "");
    CHECK(asked_with == &options);
    CHECK(choose("auto", "no user namespaces", NULL) == 0);
    CHECK(choice.engine == &other);
    CHECK_STR(choice.why, "native: no user namespaces");
}

static void auto_says_of_each_why_it_cannot(void)
{
    CHECK(choose("auto", "no user namespaces", "not installed") == 0);
    CHECK(choice.engine == NULL);
    CHECK_STR(choice.why, "native: no user namespaces; other: not installed");
}

static void a_name_is_that_engine_or_none(void)
{
    CHECK(choose("other", NULL, NULL) == 0);
    CHECK(choice.engine == &other);
    CHECK_STR(choice.why, "");
    CHECK(choose("other", NULL, "not installed") == 0);
    CHECK(choice.engine == NULL);
    CHECK_STR(choice.why, "other: not installed");
    CHECK(choose("native", "no user namespaces", NULL) == 0);
    CHECK(choice.engine == NULL);
    CHECK_STR(choice.why, "native: no user namespaces");
}

static void an_unknown_name_is_a_mistake(void)
{
    CHECK(choose("steam", NULL, NULL) < 0);
    CHECK_INT(e.kind, ERR_USAGE);
    CHECK_STR(e.text, "there is no engine 'steam'; this qckpt has: native, other");
    CHECK(choice.engine == NULL);
}

static void long_reasons_are_cut(void)
{
    char reason[1000];

    memset(reason, 'x', sizeof(reason) - 1);
    reason[sizeof(reason) - 1] = '\0';
    CHECK(choose("auto", reason, reason) == 0);
    CHECK(choice.engine == NULL);
    CHECK(strlen(choice.why) < sizeof(choice.why));
    CHECK_HAS(choice.why, "; other: x");
}

int main(void)
{
    RUN(auto_takes_the_first_that_can);
    RUN(auto_says_of_each_why_it_cannot);
    RUN(a_name_is_that_engine_or_none);
    RUN(an_unknown_name_is_a_mistake);
    RUN(long_reasons_are_cut);
    return tap_done();
}
