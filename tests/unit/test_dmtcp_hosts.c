/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hosts of a job, and the connections to them: by a program called ssh that stays
 * on this host. */
#include "dmtcp/hosts.h"

#include "base/err.h"
#include "base/scope.h"
#include "cpu/cpu.h"
#include "dmtcp/links.h"
#include "dmtcp/part.h"
#include "scratch.h"
#include "tap.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- PE_HOSTFILE ---- */

static void each_host_counts_once(void)
{
    auto_hosts struct hosts h = {0};
    struct err e = {0};

    CHECK_INT(hosts_parse("n1 2 all.q@n1 UNDEFINED\n"
                          "n2.example.org  4  all.q@n2.example.org <NULL>\n"
                          "\n"
                          "n1 1 long.q@n1 UNDEFINED\n",
                          &h, &e),
              0);
    CHECK_STR(e.text, "");
    CHECK_INT(h.n, 2);
    CHECK_STR(h.n == 2 ? h.other[0] : "", "n1");
    CHECK_STR(h.n == 2 ? h.other[1] : "", "n2.example.org");
    CHECK(h.n == 2 && !h.other[2]);
}

static void what_is_no_list_of_hosts_is_refused(void)
{
    static const struct {
        const char *text, *why;
    } wrong[] = {{"", "names no host"},
                 {"n1\n", "line 1"},
                 {"n1 1 all.q@n1\nn2 none all.q@n2\n", "line 2"},
                 {"n1 0 all.q@n1 UNDEFINED\n", "line 1"},
                 {"n1 2x all.q@n1 UNDEFINED\n", "line 1"},
                 {"-oProxyCommand=x 1 all.q UNDEFINED\n", "line 1"},
                 {"n1;id 1 all.q UNDEFINED\n", "line 1"},
                 {" n1 1 all.q UNDEFINED\n", "line 1"}};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct hosts h = {0};
        struct err e = {0};

        CHECK_INT(hosts_parse(wrong[i].text, &h, &e), -1);
        CHECK_HAS(e.text, wrong[i].why);
        CHECK(!h.other);
    }
}

static void this_host_must_be_one_and_be_reachable(void)
{
    static const struct {
        const char *text, *why;
    } wrong[] = {{"192.0.2.1 1 all.q@x UNDEFINED\n", "none of its hosts is this one"},
                 {"127.0.0.1 1 all.q@x UNDEFINED\n", "loopback"},
                 {"host.invalid 1 all.q@x UNDEFINED\n", "host.invalid"}};
    struct scratch s = scratch_make();
    char path[100];

    snprintf(path, sizeof(path), "%s/pe_hostfile", s.path);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct hosts h = {0};
        struct err e = {0};

        scratch_put(s.fd, "pe_hostfile", wrong[i].text, strlen(wrong[i].text));
        CHECK_INT(hosts_read(path, &h, &e), -1);
        CHECK_HAS(e.text, wrong[i].why);
        CHECK_HAS(e.text, path);
    }
    scratch_drop(&s);
}

/* ---- connections ---- */

static const char *const one_host[] = {"other", NULL};

struct site {
    struct scratch s;
    char self[PATH_MAX], workdir[200], tmpdir[200];
};

/* A name that a shell would take apart. */
static void site_make(struct site *site)
{
    static const char ssh[] = "#!/bin/sh\n"
                              "while [ \"${1#-}\" != \"$1\" ]; do shift; done\n"
                              "shift\n"
                              "exec sh -c \"$*\"\n";
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", site->self, sizeof(site->self) - 1);

    site->self[n > 0 ? n : 0] = '\0';
    site->s = scratch_make();
    snprintf(site->workdir, sizeof(site->workdir), "%s/it's $(id) \"!\"", site->s.path);
    snprintf(site->tmpdir, sizeof(site->tmpdir), "%s/tmp", site->s.path);
    mkdir(site->workdir, 0700);
    snprintf(path, sizeof(path), "%s/images", site->workdir);
    mkdir(path, 0700);
    scratch_put(site->s.fd, "ssh", ssh, sizeof(ssh) - 1);
    fchmodat(site->s.fd, "ssh", 0700, 0);
    snprintf(path, sizeof(path), "%s:/usr/bin:/bin", site->s.path);
    setenv("PATH", path, 1);
}

static int site_open(const struct site *site, struct links *links, struct err *e)
{
    const struct links_how how = {.hosts = one_host,
                                  .self = site->self,
                                  .workdir = site->workdir,
                                  .tmpdir = site->tmpdir,
                                  .timeout_s = 20};

    return links_open(&how, links, e);
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static pid_t start_process_of_the_job(const struct site *site)
{
    char path[PATH_MAX];
    int ready[2];
    pid_t pid;
    char byte;

    snprintf(path, sizeof(path), "%s/shared", site->tmpdir);
    if (pipe2(ready, O_CLOEXEC) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        CHECK(fd >= 0 && write(ready[1], "", 1) == 1);
        for (;;)
            pause();
    }
    close(ready[1]);
    CHECK(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    return pid;
}

/* The part looks for who has the directory open; a process that is killed closes its
 * files a moment before it can be waited for. */
static bool was_killed(pid_t pid)
{
    int status = 0;

    for (int i = 0; i < 1000; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        usleep(10000);
    }
    kill(pid, SIGKILL);
    return false;
}

static void what_runs_on_another_host_is_counted_and_killed(void)
{
    struct site site;
    struct links links = {0};
    struct links_count count;
    struct err e = {0};
    char name[256];
    pid_t pid;

    site_make(&site);
    CHECK_INT(site_open(&site, &links, &e), 0);
    CHECK_STR(e.text, "");
    if (links.n != 1)
        return;
    gethostname(name, sizeof(name));
    CHECK_STR(links.link[0].name, name);
    CHECK(is_there(site.tmpdir));
    CHECK_INT(links_count(&links.link[0], 20, &count, &e), 0);
    CHECK_INT(count.under_dmtcp + count.foreign, 0);
    pid = start_process_of_the_job(&site);
    CHECK_INT(links_count(&links.link[0], 20, &count, &e), 0);
    CHECK_INT(count.under_dmtcp, 0);
    CHECK_INT(count.foreign, 1);
    CHECK_STR(count.foreign_name, "test_dmtcp_host");
    CHECK(!links_broken(&links));
    links_kill(&links);
    CHECK(was_killed(pid));
    links_close(&links);
    CHECK(!is_there(site.tmpdir));
    scratch_drop(&site.s);
}

static void nothing_outlives_the_connection(void)
{
    struct site site;
    struct links links = {0};
    struct err e = {0};
    pid_t pid;

    site_make(&site);
    CHECK_INT(site_open(&site, &links, &e), 0);
    if (links.n != 1)
        return;
    pid = start_process_of_the_job(&site);
    links_close(&links);
    CHECK(was_killed(pid));
    CHECK(!is_there(site.tmpdir));
    scratch_drop(&site.s);
}

static bool comes_true(bool (*what)(struct links *), struct links *links)
{
    for (int i = 0; i < 200; i++) {
        if (what(links))
            return true;
        usleep(50000);
    }
    return false;
}

static bool is_broken(struct links *links)
{
    return links_broken(links) != NULL;
}

static bool is_known_as_empty(struct links *links)
{
    return !is_broken(links) && links->link[0].is_empty;
}

static bool is_known_as_used(struct links *links)
{
    return !is_broken(links) && !links->link[0].is_empty;
}

/* ssh here becomes the part. */
static void what_a_killed_part_leaves_is_ended(void)
{
    struct site site;
    struct links links = {0};
    struct err e = {0};
    int status = 0;
    pid_t pid;

    site_make(&site);
    CHECK_INT(site_open(&site, &links, &e), 0);
    if (links.n != 1)
        return;
    CHECK(comes_true(is_known_as_empty, &links));
    pid = start_process_of_the_job(&site);
    CHECK(comes_true(is_known_as_used, &links));
    kill(links.link[0].ssh, SIGKILL);
    CHECK(comes_true(is_broken, &links));
    CHECK_STR(links_broken(&links), "other");
    CHECK(is_there(site.tmpdir));
    CHECK_INT(waitpid(pid, &status, WNOHANG), 0);
    links_close(&links);
    CHECK(was_killed(pid));
    CHECK(!is_there(site.tmpdir));
    scratch_drop(&site.s);
}

static void a_host_on_which_nothing_runs_may_go(void)
{
    struct site site;
    struct links links = {0};
    struct links_count count;
    struct err e = {0};

    site_make(&site);
    CHECK_INT(site_open(&site, &links, &e), 0);
    if (links.n != 1)
        return;
    CHECK(comes_true(is_known_as_empty, &links));
    kill(links.link[0].ssh, SIGKILL);
    for (int i = 0; i < 200 && links.link[0].fd >= 0; i++) {
        CHECK(!links_broken(&links));
        usleep(50000);
    }
    CHECK_INT(links.link[0].fd, -1);
    CHECK_INT(links_count(&links.link[0], 20, &count, &e), 0);
    CHECK_INT(count.under_dmtcp + count.foreign, 0);
    links_close(&links);
    CHECK(!is_there(site.tmpdir));
    scratch_drop(&site.s);
}

static void a_command_is_executed_and_its_end_told(void)
{
    char *command[] = {
        (char *)"/bin/sh",     (char *)"-c", (char *)"echo \"$0\" >\"$1\"; exit 3",
        (char *)"it's; $HOME", NULL,         NULL};
    struct site site;
    struct links links = {0};
    struct err e = {0};
    char path[PATH_MAX], text[64] = "";
    int said;

    site_make(&site);
    snprintf(path, sizeof(path), "%s/said", site.s.path);
    command[4] = path;
    CHECK_INT(site_open(&site, &links, &e), 0);
    if (links.n != 1)
        return;
    usleep(100000);
    CHECK(!links_broken(&links) && !links_ended_command(&links) && !is_there(path));
    CHECK_INT(links_start(&links.link[0], command, &e), 0);
    for (int i = 0; i < 200 && !links_ended_command(&links); i++) {
        CHECK(!links_broken(&links));
        usleep(50000);
    }
    CHECK(links_ended_command(&links) == &links.link[0]);
    links_close(&links);
    said = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(read(said, text, sizeof(text) - 1) > 0);
    close(said);
    CHECK_STR(text, "it's; $HOME\n");
    scratch_drop(&site.s);
}

/* As many images as a host of hundreds of processes has: too long for a command line of
 * ssh, and for one read. The heart beats in between. */
static void a_long_command_arrives_whole(void)
{
    enum { WORDS = 3000, WORD_BYTES = 200 };
    auto_free char **command = calloc(WORDS + 5, sizeof(*command));
    char word[WORD_BYTES + 1], path[PATH_MAX], text[64] = "", want[64];
    struct site site;
    struct links links = {0};
    struct err e = {0};
    int said;

    memset(word, 'w', WORD_BYTES);
    word[WORD_BYTES] = '\0';
    site_make(&site);
    snprintf(path, sizeof(path), "%s/said", site.s.path);
    command[0] = (char *)"/bin/sh";
    command[1] = (char *)"-c";
    command[2] = (char *)"to=$1; shift; set -- $# \"$*\"; echo $1 ${#2} >\"$to\"";
    command[3] = (char *)"sh";
    command[4] = path;
    for (int i = 5; i < WORDS + 4; i++)
        command[i] = word;
    CHECK_INT(site_open(&site, &links, &e), 0);
    if (links.n != 1)
        return;
    CHECK_INT(links_start(&links.link[0], command, &e), 0);
    for (int i = 0; i < 200 && !links_ended_command(&links); i++) {
        CHECK(!links_broken(&links));
        usleep(50000);
    }
    links_close(&links);
    said = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(read(said, text, sizeof(text) - 1) > 0);
    close(said);
    snprintf(want, sizeof(want), "%d %d\n", WORDS - 1,
             (WORDS - 1) * (WORD_BYTES + 1) - 1);
    CHECK_STR(text, want);
    scratch_drop(&site.s);
}

static void a_host_says_what_its_cpu_offers(void)
{
    struct site site;
    struct links links = {0};
    struct cpu cpu = {0};
    struct err e = {0};

    site_make(&site);
    setenv("QCKPT_TESTING", "1", 1);
    setenv("QCKPT_FAKE_CPU", "x86-64-v2 +aes", 1);
    CHECK_INT(site_open(&site, &links, &e), 0);
    unsetenv("QCKPT_TESTING");
    if (links.n == 1)
        CHECK_INT(cpu_parse(links.link[0].cpu, &cpu, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(cpu_level("x86_64", &cpu.flags), 2);
    CHECK(cpu_flags_has(&cpu.flags, "aes") && !cpu_flags_has(&cpu.flags, "avx"));
    links_close(&links);

    CHECK_INT(site_open(&site, &links, &e), -1);
    CHECK_HAS(e.text, "host other of the job: what its CPU offers: ");
    unsetenv("QCKPT_FAKE_CPU");
    scratch_drop(&site.s);
}

static void a_host_that_cannot_serve_is_refused_by_name(void)
{
    struct site site;
    struct links links = {0};
    struct err e = {0};
    int used;

    site_make(&site);
    mkdir(site.tmpdir, 0700);
    used = open(site.tmpdir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_INT(flock(used, LOCK_SH), 0);
    CHECK_INT(site_open(&site, &links, &e), -1);
    CHECK_HAS(e.text, "host other of the job: ");
    CHECK_HAS(e.text, "is there already, and in use");
    CHECK(e.kind == ERR_REFUSED);
    CHECK(is_there(site.tmpdir));
    close(used);
    rmdir(site.tmpdir);

    err_clear(&e);
    strcat(site.workdir, "x");
    CHECK_INT(site_open(&site, &links, &e), -1);
    CHECK_HAS(e.text, "must be on a file system that all hosts of the job share");

    err_clear(&e);
    site.workdir[strlen(site.workdir) - 1] = '\0';
    snprintf(site.self, sizeof(site.self), "/nowhere/qckpt");
    CHECK_INT(site_open(&site, &links, &e), -1);
    CHECK_HAS(e.text, "'ssh other' must work without a password");
    CHECK(!links.link);
    scratch_drop(&site.s);
}

int main(int argc, char **argv)
{
    part_as_told(argc, argv);
    RUN(each_host_counts_once);
    RUN(what_is_no_list_of_hosts_is_refused);
    RUN(this_host_must_be_one_and_be_reachable);
    RUN(what_runs_on_another_host_is_counted_and_killed);
    RUN(nothing_outlives_the_connection);
    RUN(what_a_killed_part_leaves_is_ended);
    RUN(a_host_on_which_nothing_runs_may_go);
    RUN(a_command_is_executed_and_its_end_told);
    RUN(a_long_command_arrives_whole);
    RUN(a_host_says_what_its_cpu_offers);
    RUN(a_host_that_cannot_serve_is_refused_by_name);
    return tap_done();
}
