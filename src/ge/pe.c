/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/spawn.h"
#include "ge/ge.h"
#include "ge/tool.h"

#include <string.h>
#include <strings.h>

static bool is_word(const char *at, const char *word)
{
    size_t n = strcspn(at, " \t\r\n");

    return n == strlen(word) && strncasecmp(at, word, n) == 0;
}

int ge_pe_parse(const char *text, bool *controls, struct err *e)
{
    static const char key[] = "control_slaves";

    for (const char *line = text; line; line = strchr(line, '\n')) {
        const char *value;

        line += *line == '\n';
        if (strncmp(line, key, sizeof(key) - 1) != 0)
            continue;
        value = line + sizeof(key) - 1;
        value += strspn(value, " \t");
        if (!is_word(value, "TRUE") && !is_word(value, "FALSE"))
            return err_set(e, ERR_FAILED, "qconf -sp says '%.40s'", line);
        *controls = is_word(value, "TRUE");
        return 0;
    }
    return err_set(e, ERR_FAILED, "qconf -sp does not tell control_slaves");
}

int ge_pe_controls_slaves(const char *pe, unsigned timeout_ms, bool *controls,
                          struct err *e)
{
    auto_spawn_output struct spawn_output output = {0};
    char *argv[] = {(char *)"qconf", (char *)"-sp", (char *)pe, NULL};

    if (ge_tool_run(argv, timeout_ms, &output, e) < 0)
        return -1;
    return ge_pe_parse(output.out, controls, e);
}
