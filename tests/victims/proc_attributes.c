/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a process is besides memory and files: cwd, umask, limits, names, nice, prctl.
 */
#include <limits.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "victim.h"

static size_t read_file(const char *path, char *buf, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    NEED(fd >= 0);
    n = read(fd, buf, size - 1);
    NEED(n >= 0);
    close(fd);
    buf[n] = '\0';
    return (size_t)n;
}

struct view {
    char cwd[PATH_MAX], exe[PATH_MAX], cmdline[4096], environ[16384], auxv[1024];
    size_t cmdline_size, environ_size, auxv_size;
    char comm[32];
    struct rlimit limits[RLIM_NLIMITS];
    int nice, keepcaps, dumpable, subreaper, pdeathsig, no_new_privs, thp;
    unsigned long slack;
};

static void link_of(const char *path, char *buf)
{
    ssize_t n = readlink(path, buf, PATH_MAX - 1);

    NEED(n > 0);
    buf[n] = '\0';
}

static void look(struct view *v)
{
    memset(v, 0, sizeof(*v));
    NEED(getcwd(v->cwd, sizeof(v->cwd)));
    link_of("/proc/self/exe", v->exe);
    v->cmdline_size = read_file("/proc/self/cmdline", v->cmdline, sizeof(v->cmdline));
    v->environ_size = read_file("/proc/self/environ", v->environ, sizeof(v->environ));
    v->auxv_size = read_file("/proc/self/auxv", v->auxv, sizeof(v->auxv));
    prctl(PR_GET_NAME, v->comm);
    for (int i = 0; i < RLIM_NLIMITS; i++)
        getrlimit((__rlimit_resource_t)i, &v->limits[i]);
    v->nice = getpriority(PRIO_PROCESS, 0);
    v->keepcaps = prctl(PR_GET_KEEPCAPS);
    v->dumpable = prctl(PR_GET_DUMPABLE);
    prctl(PR_GET_CHILD_SUBREAPER, &v->subreaper);
    prctl(PR_GET_PDEATHSIG, &v->pdeathsig);
    v->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    v->thp = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);
    v->slack = (unsigned long)prctl(PR_GET_TIMERSLACK);
}

static void compare(const struct view *a, const struct view *b)
{
    mode_t mask = umask(022);

    CHECK_STR("working directory", b->cwd, a->cwd);
    CHECK_STR("exe link", b->exe, a->exe);
    CHECK_INT("length of the command line", (long long)b->cmdline_size,
              (long long)a->cmdline_size);
    CHECK("command line", memcmp(a->cmdline, b->cmdline, a->cmdline_size) == 0);
    CHECK("environment", a->environ_size == b->environ_size &&
                             memcmp(a->environ, b->environ, a->environ_size) == 0);
    CHECK("auxiliary vector",
          a->auxv_size == b->auxv_size && memcmp(a->auxv, b->auxv, a->auxv_size) == 0);
    CHECK_STR("name", b->comm, a->comm);
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        char what[32];

        snprintf(what, sizeof(what), "limit %d", i);
        victim_check(memcmp(&a->limits[i], &b->limits[i], sizeof(a->limits[i])) == 0,
                     what, "%llx/%llx, expected %llx/%llx",
                     (unsigned long long)b->limits[i].rlim_cur,
                     (unsigned long long)b->limits[i].rlim_max,
                     (unsigned long long)a->limits[i].rlim_cur,
                     (unsigned long long)a->limits[i].rlim_max);
    }
    CHECK_INT("umask", mask, 027);
    CHECK_INT("nice value", b->nice, a->nice);
    CHECK_INT("keepcaps", b->keepcaps, a->keepcaps);
    CHECK_INT("dumpable", b->dumpable, a->dumpable);
    CHECK_INT("child subreaper", b->subreaper, a->subreaper);
    CHECK_INT("parent death signal", b->pdeathsig, a->pdeathsig);
    CHECK_INT("no_new_privs", b->no_new_privs, a->no_new_privs);
    CHECK_INT("THP disabled", b->thp, a->thp);
    CHECK_INT("timer slack", (long long)b->slack, (long long)a->slack);
}

int main(int argc, char **argv)
{
    static struct view before, after;
    struct rlimit files = {500, 800}, core = {0, 4096}, stack;

    /* Re-executed with arguments to look for in the command line. */
    if (argc == 1) {
        execl("/proc/self/exe", argv[0], "one", "two words", "", NULL);
        NEED(false);
    }
    NEED(mkdir("inner", 0700) == 0 || errno == EEXIST);
    NEED(chdir("inner") == 0);
    umask(027);
    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_CORE, &core);
    getrlimit(RLIMIT_STACK, &stack);
    stack.rlim_cur = 4 << 20;
    setrlimit(RLIMIT_STACK, &stack);
    NEED(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 3) == 0);
    NEED(prctl(PR_SET_NAME, "victim (x) y") == 0);
    NEED(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    NEED(prctl(PR_SET_TIMERSLACK, 77777) == 0);
    NEED(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
    look(&before);
    victim_wait();
    look(&after);
    compare(&before, &after);
    CHECK_STR("an argument", argv[2], "two words");
    return victim_end();
}
