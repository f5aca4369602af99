/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "ge/ge.h"
#include "tap.h"

static struct err e;

/* From `qconf -sp` of 8.1.9. */
static const char output[] = "pe_name            tight\n"
                             "slots              100\n"
                             "user_lists         NONE\n"
                             "xuser_lists        NONE\n"
                             "start_proc_args    NONE\n"
                             "stop_proc_args     NONE\n"
                             "allocation_rule    1\n"
                             "control_slaves     %s\n"
                             "job_is_first_task  TRUE\n"
                             "urgency_slots      min\n"
                             "accounting_summary FALSE\n"
                             "qsort_args         NONE\n";

static int parse(const char *value, bool *controls)
{
    char text[1024];

    snprintf(text, sizeof(text), output, value);
    err_clear(&e);
    return ge_pe_parse(text, controls, &e);
}

static void control_slaves_is_read(void)
{
    bool controls = false;

    CHECK_INT(parse("TRUE", &controls), 0);
    CHECK(controls);
    CHECK_INT(parse("FALSE", &controls), 0);
    CHECK(!controls);
}

static void what_is_neither_is_refused(void)
{
    bool controls;

    CHECK_INT(parse("TRUEISH", &controls), -1);
    CHECK_HAS(e.text, "TRUEISH");
    CHECK_INT(parse("", &controls), -1);
    err_clear(&e);
    CHECK_INT(ge_pe_parse("pe_name tight\n", &controls, &e), -1);
    CHECK_HAS(e.text, "control_slaves");
    err_clear(&e);
    CHECK_INT(ge_pe_parse("", &controls, &e), -1);
}

int main(void)
{
    RUN(control_slaves_is_read);
    RUN(what_is_neither_is_refused);
    return tap_done();
}
