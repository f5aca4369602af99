/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine/engine.h"

#include "base/err.h"
#include "dmtcp/launch.h"
#include "dmtcp/part.h"
#include "engine/engine_dmtcp.h"
#include "engine/engine_native.h"

#include <stdio.h>
#include <string.h>

const struct engine *const engine_table[] = {&engine_native, &engine_dmtcp, NULL};

static int no_such_engine(const char *name, const struct engine *const *table,
                          struct err *e)
{
    char names[200];
    size_t used = 0;

    names[0] = '\0';
    for (; *table && used < sizeof(names); table++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
                                 used ? ", " : "", (*table)->name);
    return err_set(e, ERR_USAGE, "there is no engine '%.40s'; this qckpt has: %s", name,
                   names);
}

static const struct engine *find_in(const struct engine *const *table, const char *name)
{
    for (; *table; table++)
        if (strcmp((*table)->name, name) == 0)
            return *table;
    return NULL;
}

const struct engine *engine_find(const char *name, struct err *e)
{
    const struct engine *engine = find_in(engine_table, name);

    if (!engine)
        no_such_engine(name, engine_table, e);
    return engine;
}

void engine_become_job(int argc, char **argv)
{
    launch_as_told(argc, argv);
    part_as_told(argc, argv);
}

/* ---- the choice ---- */

static void append(struct engine_choice *choice, const char *separator,
                   const char *name, const struct err *why)
{
    size_t used = strlen(choice->why);

    snprintf(choice->why + used, sizeof(choice->why) - used, "%s%s: %s",
             used ? separator : "", name, why->text);
}

static void choose_first(const struct engine *const *table,
                         const struct engine_options *options,
                         struct engine_choice *choice)
{
    for (; *table; table++) {
        struct err why = {0};

        if ((*table)->probe(options, &why) == 0) {
            choice->engine = *table;
            return;
        }
        append(choice, "; ", (*table)->name, &why);
    }
}

int engine_choose(const char *name, const struct engine *const *table,
                  const struct engine_options *options, struct engine_choice *choice,
                  struct err *e)
{
    const struct engine *engine;
    struct err why = {0};

    *choice = (struct engine_choice){0};
    if (strcmp(name, ENGINE_AUTO) == 0) {
        choose_first(table, options, choice);
        return 0;
    }
    engine = find_in(table, name);
    if (!engine)
        return no_such_engine(name, table, e);
    if (engine->probe(options, &why) == 0)
        choice->engine = engine;
    else
        append(choice, "", name, &why);
    return 0;
}
