/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Against what dmtcp_command really printed: golden/dmtcp. */
#include "dmtcp/command.h"

#include "base/err.h"
#include "base/io.h"
#include "dmtcp/install.h"
#include "tap.h"

#include <fcntl.h>
#include <stdlib.h>

static char *recorded(const char *name)
{
    char path[512];
    char *text = NULL;
    struct err e = {0};

    snprintf(path, sizeof(path), "%s/dmtcp/%s.txt", GOLDEN, name);
    if (io_read_file(AT_FDCWD, path, 1 << 20, &text, NULL, &e) < 0)
        printf("# %s\n", e.text);
    return text ? text : strdup("");
}

static void check_status(const char *name, unsigned peers, bool running)
{
    struct command_status s = {0};
    struct err e = {0};
    char *text = recorded(name);

    CHECK_INT(command_parse_status(text, &s, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(s.peers, peers);
    CHECK_INT(s.running, running);
    free(text);
}

static void the_status_of_a_job_is_read(void)
{
    check_status("status-3.2", 3, true);
    check_status("status-4.2", 3, true);
    check_status("status-busy-3.2", 3, false);
    check_status("status-busy-4.2", 3, false);
}

static void an_unknown_status_is_quoted(void)
{
    static const char *const texts[] = {
        "",
        "Status...\n  NUM_PEERS=3\n",
        "  NUM_PEERS=\n  RUNNING=yes\n",
        "  NUM_PEERS=-1\n  RUNNING=yes\n",
        "  NUM_PEERS=3x\n  RUNNING=yes\n",
        "  NUM_PEERS=99999999999\n  RUNNING=yes\n",
        "  NUM_PEERS=3\n  RUNNING=perhaps\n",
        "  NUM_PEERS=3\n  RUNNING=yesterday\n",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct command_status s = {.peers = 77};
        struct err e = {0};

        CHECK_INT(command_parse_status(texts[i], &s, &e), -1);
        CHECK(e.kind == ERR_FAILED);
        CHECK_HAS(e.text, "dmtcp_command answers -s with \"");
        CHECK_INT(s.peers, 77);
    }
}

static void check_list(const char *name, const char *const unique[3])
{
    auto_command_list struct command_list l = {0};
    struct err e = {0};
    char *text = recorded(name);

    CHECK_INT(command_parse_list(text, &l, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(l.n, 3);
    for (size_t i = 0; i < l.n && i < 3; i++) {
        CHECK_INT(l.worker[i].virtual_pid, 40000 + 1000 * i);
        CHECK_STR(l.worker[i].unique, unique[i]);
        CHECK(l.worker[i].pid > 8000 && l.worker[i].pid < 10000);
        CHECK_STR(l.worker[i].host, "vm");
    }
    free(text);
}

static void the_processes_of_a_job_are_read(void)
{
    static const char *const old[] = {
        "98ff-40000-e8e8b2efc8e", "98ff-41000-e8e8daf244e", "98ff-42000-e8e8e1d9fe6"};
    static const char *const new[] = {
        "98ff-40000-e8d874bc27a", "98ff-41000-e8d89e2bfcf", "98ff-42000-e8d89f054db"};

    check_list("list-3.2", old);
    check_list("list-4.2", new);
}

static void a_program_may_be_named_like_the_list(void)
{
    auto_command_list struct command_list l = {0};
    struct err e = {0};
    char *text = recorded("list-odd-4.2");

    CHECK_INT(command_parse_list(text, &l, &e), 0);
    CHECK_INT(l.n, 1);
    CHECK_INT(l.n == 1 ? l.worker[0].virtual_pid : 0, 40000);
    CHECK_INT(l.n == 1 ? l.worker[0].pid : 0, 10022);
    CHECK_STR(l.n == 1 ? l.worker[0].unique : "", "98ff-40000-e8f8f9c1aa6");
    free(text);
}

static void an_unknown_list_is_quoted(void)
{
#define TITLE "#, PROG[virtPID:realPID]@HOST, DMTCP-UNIQUEPID, STATE, BARRIER\n"
    static const char *const texts[] = {
        "Coordinator:\n",
        TITLE "1, bash[40000:9]@vm, 98ff-40000-e8, RUNNING, \n",
        TITLE "1, bash[40000]@vm, 98ff-40000-e8, WorkerState::RUNNING, \n",
        TITLE "1, bash[40000:0]@vm, 98ff-40000-e8, WorkerState::RUNNING, \n",
        TITLE "1, bash[-4:9]@vm, 98ff-40000-e8, WorkerState::RUNNING, \n",
        TITLE "1, bash[40000:9]@vm, ../98ff, WorkerState::RUNNING, \n",
        TITLE "1, bash[40000:9]@vm, , WorkerState::RUNNING, \n",
        TITLE "something else\n",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct command_list l = {0};
        struct err e = {0};

        CHECK_INT(command_parse_list(texts[i], &l, &e), -1);
        CHECK(e.kind == ERR_FAILED);
        CHECK_HAS(e.text, "dmtcp_command answers -l with \"");
        CHECK(l.worker == NULL);
    }
}

static void versions_three_and_four_are_known(void)
{
    char *old = recorded("version-3.2"), *new = recorded("version-4.2");
    unsigned major = 0, minor = 0;
    struct err e = {0};

    CHECK_INT(install_parse_version("p", old, &major, &minor, &e), 0);
    CHECK_INT(major * 100 + minor, 302);
    CHECK_INT(install_parse_version("p", new, &major, &minor, &e), 0);
    CHECK_INT(major * 100 + minor, 402);
    free(old);
    free(new);
}

static void other_versions_are_named(void)
{
    unsigned major, minor;
    struct err e = {0};

    CHECK_INT(install_parse_version("p", "dmtcp_launch (DMTCP) 2.6.1~rc1\n", &major,
                                    &minor, &e),
              -1);
    CHECK(e.kind == ERR_REFUSED);
    CHECK_HAS(e.text, "p is of DMTCP 2.6");
    CHECK_HAS(e.text, "QCKPT_DMTCP_PREFIX");
    CHECK_INT(
        install_parse_version("p", "dmtcp_launch (DMTCP) 5.0.0\n", &major, &minor, &e),
        -1);
    CHECK_HAS(e.text, "p is of DMTCP 5.0");
    CHECK_INT(install_parse_version("p", "GNU bash, version 5.2\nCopyright\n", &major,
                                    &minor, &e),
              -1);
    CHECK_HAS(e.text, "says \"GNU bash, version 5.2\"; set QCKPT_DMTCP_PREFIX");
}

int main(void)
{
    RUN(the_status_of_a_job_is_read);
    RUN(an_unknown_status_is_quoted);
    RUN(the_processes_of_a_job_are_read);
    RUN(a_program_may_be_named_like_the_list);
    RUN(an_unknown_list_is_quoted);
    RUN(versions_three_and_four_are_known);
    RUN(other_versions_are_named);
    return tap_done();
}
