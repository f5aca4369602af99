/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine/engine.h"

#include "base/err.h"
#include "engine/engine_native.h"

#include <string.h>

const struct engine *engine_find(const char *name, struct err *e)
{
    static const struct engine *const engines[] = {&engine_native};

    for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
        if (strcmp(engines[i]->name, name) == 0)
            return engines[i];
    err_set(e, ERR_USAGE, "there is no engine '%s'; this qckpt has: native", name);
    return NULL;
}
