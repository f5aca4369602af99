/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"

#include "tap.h"

#include <errno.h>

static void wrapping_reads_outside_in(void)
{
    struct err e = {0};

    err_set(&e, ERR_CORRUPT, "record 7: bad checksum");
    err_wrap(&e, "pages.img");
    CHECK_STR(e.text, "pages.img: record 7: bad checksum");
    CHECK(e.kind == ERR_CORRUPT);
}

static void a_system_error_says_why(void)
{
    struct err e = {0};

    errno = EDQUOT;
    CHECK_INT(err_sys(&e, "create %s", "pages"), -1);
    CHECK_STR(e.text, "create pages: Disk quota exceeded");
    CHECK_INT(e.sys, EDQUOT);
    CHECK_INT(err_code(&e, -ENOENT, "open %s", "x"), -1);
    CHECK_STR(e.text, "open x: No such file or directory");
}

static void a_long_text_is_cut_and_still_a_string(void)
{
    struct err e = {0};
    char longer[3000];

    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    err_set(&e, ERR_FAILED, "%s", longer);
    CHECK_INT(strlen(e.text), sizeof(e.text) - 1);
    err_wrap(&e, "%s", longer);
    CHECK_INT(strlen(e.text), sizeof(e.text) - 1);
}

static void what_is_momentary_stays_so_until_another_error(void)
{
    struct err e = {0};

    err_set(&e, ERR_REFUSED, "process 7 is busy");
    CHECK(!e.momentary);
    CHECK_INT(err_momentary(&e), -1);
    err_wrap(&e, "job 4711");
    CHECK(e.momentary);
    CHECK_INT(e.kind, ERR_REFUSED);
    err_set(&e, ERR_REFUSED, "process 7 holds a device");
    CHECK(!e.momentary);
}

static void the_kind_decides_the_exit_status(void)
{
    CHECK_INT(err_exit_status(ERR_SYS), 1);
    CHECK_INT(err_exit_status(ERR_USAGE), 2);
    CHECK_INT(err_exit_status(ERR_REFUSED), 3);
    CHECK_INT(err_exit_status(ERR_NOTHING), 4);
    CHECK(err_kind_from_name(err_kind_name(ERR_REFUSED)) == ERR_REFUSED);
    CHECK(err_kind_from_name("nonsense") == ERR_FAILED);
}

int main(void)
{
    RUN(wrapping_reads_outside_in);
    RUN(a_system_error_says_why);
    RUN(a_long_text_is_cut_and_still_a_string);
    RUN(what_is_momentary_stays_so_until_another_error);
    RUN(the_kind_decides_the_exit_status);
    return tap_done();
}
