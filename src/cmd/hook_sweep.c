/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Jobs that were killed by a signal or by a limit, or whose host was lost for good,
 * leave their checkpoints: clean_command could not know that nobody will ask for them.
 * A later job of the same user removes them when Grid Engine no longer knows the job.
 */
#include "base/err.h"
#include "base/scope.h"
#include "base/str.h"
#include "cmd/hook_common.h"
#include "job/job.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    AGE_DEFAULT_S = 7 * 86400,
    EVERY_S = 3600,
    QSTAT_TIMEOUT_MS = 60 * 1000,
    STATUS_TIMEOUT_S = 5,
};

static const char stamp[] = ".swept";

struct sweep {
    const struct ge_job *self;
    const char *name;
    int user_dir;
    time_t now, age_s;
    struct ge_jobs *jobs; /* asked for when the first candidate is found */
};

static void sweep_close(struct sweep *s)
{
    scope_close(&s->user_dir);
    ge_jobs_free(s->jobs);
}

/* "4711.1": job and task. */
static bool split_name(const char *name, char job[GE_ID_SIZE], char task[GE_ID_SIZE])
{
    size_t n = strspn(name, "0123456789");
    const char *rest = name + n + 1;
    size_t m;

    if (n == 0 || n >= GE_ID_SIZE || name[n] != '.')
        return false;
    m = strspn(rest, "0123456789");
    if (m == 0 || m >= GE_ID_SIZE || rest[m])
        return false;
    memcpy(job, name, n);
    job[n] = '\0';
    memcpy(task, rest, m + 1);
    return true;
}

/* The last time anything happened in a job's directory. */
static time_t last_change(int user_dir, const char *name)
{
    static const char *const inside[] = {"", "/log.jsonl", "/epoch", "/gen",
                                         "/done.json"};
    time_t last = 0;

    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        char path[PATH_MAX];
        struct stat st;

        snprintf(path, sizeof(path), "%s%s", name, inside[i]);
        if (fstatat(user_dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_mtime > last)
            last = st.st_mtime;
    }
    return last;
}

/* An answer in which this very job is missing is not about this cell, or is filtered.
 */
static bool is_unknown(struct sweep *s, const char *job)
{
    struct err ignored = {0};
    bool known;

    if (!s->jobs)
        s->jobs = ge_jobs_ask(s->self->user, QSTAT_TIMEOUT_MS, &ignored);
    return s->jobs && ge_jobs_find_any(s->jobs, s->self->job) == GE_PRESENT &&
           ge_jobs_find_any(s->jobs, job) == GE_ABSENT &&
           ge_job_is_known(job, QSTAT_TIMEOUT_MS, &known, &ignored) == 0 && !known;
}

static void remove_job(struct sweep *s, const char *job, const char *task)
{
    struct store_epoch run = {0};
    struct job_status status;
    struct err e = {0};
    auto_store struct store *store =
        store_open_job(s->self->ckpt_dir, s->self->user, job, task, false, &e);

    if (!store)
        return;
    if (store_epoch_current(store, &run, &e) < 0 && e.kind != ERR_NOTHING)
        return;
    err_clear(&e);
    if (job_request_status(store, STATUS_TIMEOUT_S, &status, &e) == 0 ||
        e.kind == ERR_TIMEOUT)
        return;
    err_clear(&e);
    store_log(
        store, LOG_INFO, s->name, run.epoch, "removed", NULL,
        "checkpoints are removed by job %s: Grid Engine does not know the job any "
        "more",
        s->self->job);
    store_remove(store, run.epoch, &e);
}

static void sweep(struct sweep *s)
{
    int fd = openat(s->user_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        char job[GE_ID_SIZE], task[GE_ID_SIZE];

        if (!split_name(entry->d_name, job, task) || strcmp(job, s->self->job) == 0)
            continue;
        if (s->now - last_change(s->user_dir, entry->d_name) < s->age_s)
            continue;
        if (is_unknown(s, job))
            remove_job(s, job, task);
        else if (!s->jobs)
            return;
    }
}

/* Whether it is time; then nobody else has to for a while. */
static bool take_turn(const struct sweep *s)
{
    struct stat st;
    int fd;

    if (fstatat(s->user_dir, stamp, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        s->now - st.st_mtime < EVERY_S)
        return false;
    fd = openat(s->user_dir, stamp, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    futimens(fd, NULL);
    close(fd);
    return true;
}

/* Whether the user's directory holds the stamp and nothing else. */
static bool only_stamp_left(int user_dir)
{
    auto_dir DIR *dir = fdopendir(fcntl(user_dir, F_DUPFD_CLOEXEC, 3));
    struct dirent *entry;
    bool found = false;

    while (dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (strcmp(entry->d_name, stamp) != 0)
            return false;
        found = true;
    }
    return found;
}

/* 0: never. */
static int take_age(void *arg, const char *value, struct err *e)
{
    unsigned *age_s = arg;

    if (strcmp(value, "never") != 0)
        return str_to_seconds(value, age_s, e);
    *age_s = 0;
    return 0;
}

static int read_age(struct settings *settings, time_t *age_s)
{
    unsigned seconds = AGE_DEFAULT_S;
    struct err e = {0};

    if (settings_apply(settings, "QCKPT_SWEEP_AGE", take_age, &seconds, &e) < 0) {
        log_warning("%s; nothing is swept", e.text);
        return -1;
    }
    *age_s = seconds;
    return seconds > 0 ? 0 : -1;
}

static int open_user_dir(const struct ge_job *job)
{
    auto_fd int dir = open(job->ckpt_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_fd int user = -1;
    struct stat st;

    if (dir < 0)
        return -1;
    user = openat(dir, job->user, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (user < 0 || fstat(user, &st) < 0 || st.st_uid != geteuid() ||
        (st.st_mode & 022) != 0)
        return -1;
    return take_fd(&user);
}

/* Grid Engine ends what the job leaves behind, this too; it goes on the next time. */
static _Noreturn void run_detached(struct sweep *s)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    setsid();
    for (int fd = 0; fd <= 2; fd++)
        dup2(null, fd);
    if (chdir("/") == 0 && setpriority(PRIO_PROCESS, 0, 10) == 0)
        sweep(s);
    _exit(0);
}

void hook_sweep_start(const struct ge_job *job, struct settings *settings,
                      const char *name)
{
    __attribute__((cleanup(sweep_close))) struct sweep s = {
        .self = job, .name = name, .user_dir = -1, .now = time(NULL)};
    pid_t child;

    if (read_age(settings, &s.age_s) < 0)
        return;
    s.user_dir = open_user_dir(job);
    if (s.user_dir < 0 || !take_turn(&s))
        return;
    child = fork();
    if (child == 0) {
        if (fork() == 0)
            run_detached(&s);
        _exit(0);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
}

void hook_sweep_forget(const struct ge_job *job)
{
    auto_fd int dir = open(job->ckpt_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_fd int user = open_user_dir(job);

    if (dir < 0 || user < 0 || !only_stamp_left(user))
        return;
    unlinkat(user, stamp, 0);
    unlinkat(dir, job->user, AT_REMOVEDIR);
}
