/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/cmd.h"

#include "base/err.h"

int cmd_no_words(int count, char **words, struct err *e)
{
    if (count == 0)
        return 0;
    return err_set(e, ERR_USAGE,
                   "\"%s\" is one word too many; a directory is given by -d", words[0]);
}
