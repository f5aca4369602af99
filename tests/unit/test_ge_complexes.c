/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ge/complexes.h"

#include "base/err.h"
#include "tap.h"

static struct err e;

/* From `qconf -sc` of 8.1.9. */
static const char output[] =
    "#name               shortcut   type      relop requestable consumable default  "
    "urgency \n"
    "#-----------------------------------------------------------------------------\n"
    "arch                a          RESTRING  ==    YES         NO         NONE     0\n"
    "\n"
    "calendar            c          STRING    ==    NO          NO         NONE     0\n"
    "cpuflag_avx\tcfsa\tBOOL\t==\tFORCED\tNO\t0\t0\r\n"
    "# >#< starts a comment but comments are not saved across edits --------\n"
    "slots               s          INT       <=    YES         YES        1        "
    "1000";

static void complexes_are_found_by_name_and_shortcut(void)
{
    auto_ge_complexes struct ge_complexes *list = ge_complexes_parse(output, &e);
    const struct ge_complex *c;

    CHECK(list != NULL);
    if (!list)
        return;
    c = ge_complexes_find(list, "cfsa");
    CHECK(c && c == ge_complexes_find(list, "cpuflag_avx"));
    CHECK(c && c->requestable);
    CHECK_STR(c->type, "BOOL");
    CHECK_STR(c->relation, "==");
    c = ge_complexes_find(list, "s");
    CHECK(c && strcmp(c->name, "slots") == 0 && strcmp(c->relation, "<=") == 0);
    c = ge_complexes_find(list, "c");
    CHECK(c && !c->requestable);
    CHECK(!ge_complexes_find(list, "cpuflag_avx2") && !ge_complexes_find(list, "ar"));
    CHECK(!ge_complexes_find(list, "") && !ge_complexes_find(list, "#name"));
}

static void every_cut_is_read_or_refused(void)
{
    char text[sizeof(output)];

    for (size_t length = 0; length < sizeof(output); length++) {
        auto_ge_complexes struct ge_complexes *list = NULL;

        memcpy(text, output, length);
        text[length] = '\0';
        e.kind = ERR_NONE;
        list = ge_complexes_parse(text, &e);
        CHECK((list != NULL) == (e.kind == ERR_NONE));
    }
}

static void what_is_no_list_is_refused(void)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"", "is it the output of qconf -sc"},
        {"# only a comment\n", "is it the output of qconf -sc"},
        {"error: commlib error: got select error\n", "line 1 of the complexes"},
        {"arch a RESTRING == YES NO NONE\n", "has 7 words instead of 8"},
        {"arch a RESTRING == YES NO NONE 0\narch a b == YES NO NONE 0 0\n",
         "line 2 of the complexes, \"arch\", has 9 words"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        e.kind = ERR_NONE;
        CHECK(!ge_complexes_parse(bad[i].text, &e));
        CHECK_INT(e.kind, ERR_CORRUPT);
        CHECK_HAS(e.text, bad[i].message);
    }
}

int main(void)
{
    RUN(complexes_are_found_by_name_and_shortcut);
    RUN(every_cut_is_read_or_refused);
    RUN(what_is_no_list_is_refused);
    return tap_done();
}
