/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/restart.h"

#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/proc.h"
#include "base/scope.h"
#include "base/start.h"
#include "base/stdfile.h"
#include "base/str.h"
#include "base/sum.h"
#include "dmtcp/command.h"
#include "dmtcp/places.h"
#include "dmtcp/processes.h"
#include "dmtcp/record.h"
#include "dmtcp/session.h"
#include "place/binding.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Without any progress; reading the images may take as long as it does. */
enum { PATIENCE_S = 60, LOOK_MS = 200, RUNNING_LOOK_MS = 50 };
enum { MISSING_LOOKS = 10 };

/* The coordinator ends with the last process of the job, which may be seen first. */
enum { END_TRIES = 100, END_MS = 20 };

struct restart {
    struct session *session;
    const struct restart_how *how;
    struct record record;
    char images[PATH_MAX]; /* with the names that dmtcp_restart wants */
    bool made_workdir;     /* that of the run that saved, for put_saved */
    size_t *place;         /* of each image, see places_choose; owned */
};

/* ---- before anything is started ---- */

static int verify(const struct restart *r, struct err *e)
{
    const struct images *set = &r->record.images;

    for (size_t i = 0; i < set->n; i++) {
        if (sum_verify(r->how->dirfd, set->image[i].file, NULL, e) < 0)
            return -1;
        for (size_t k = 0; k < set->image[i].n_saved; k++)
            if (sum_verify(r->how->dirfd, set->image[i].saved[k].file, NULL, e) < 0)
                return -1;
    }
    if (r->record.job_script.path[0] &&
        sum_verify(r->how->dirfd, r->record.job_script.file, NULL, e) < 0)
        return -1;
    if (r->record.tmpdir_file[0] &&
        sum_verify(r->how->dirfd, r->record.tmpdir_file, NULL, e) < 0)
        return -1;
    return 0;
}

static int check_version(const struct restart *r, struct err *e)
{
    const struct install *in = &r->session->in;

    if (r->record.major == in->major)
        return 0;
    return err_set(e, ERR_REFUSED,
                   "the images were written by DMTCP %u.%u, and %s is of %u.%u: a host "
                   "needs the same major version",
                   r->record.major, r->record.minor, in->restart, in->major, in->minor);
}

/* A name by which another program finds the generation. */
static int generation_path(const struct restart *r, char *out, size_t size,
                           struct err *e)
{
    char link[64];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", r->how->dirfd);
    n = readlink(link, out, size);
    if (n < 0 || (size_t)n >= size)
        return err_sys(e, "find the path of the generation");
    out[n] = '\0';
    return 0;
}

static int lay_out(struct restart *r, struct err *e)
{
    char from[PATH_MAX];
    auto_fd int dirfd = -1;

    if (str_format(r->images, sizeof(r->images), e, "%s/restart", r->session->workdir) <
            0 ||
        generation_path(r, from, sizeof(from), e) < 0)
        return -1;
    if (mkdir(r->images, 0700) < 0)
        return err_sys(e, "make %s", r->images);
    dirfd = open(r->images, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dirfd < 0)
        return err_sys(e, "open %s", r->images);
    return images_lay_out(&r->record.images, from, dirfd, e);
}

/* ---- saved files, which DMTCP looks for where it wrote them ---- */

static bool has_saved(const struct images *set)
{
    for (size_t i = 0; i < set->n; i++)
        if (set->image[i].n_saved > 0)
            return true;
    return false;
}

/* WORKDIR of then, beside WORKDIR of now as a rule: its last part but one. */
static int old_workdir(const struct restart *r, char *out, size_t size, struct err *e)
{
    const char *last = strrchr(r->record.directory, '/');

    return str_format(out, size, e, "%.*s", (int)(last - r->record.directory),
                      r->record.directory);
}

static int put_saved(struct restart *r, struct err *e)
{
    char workdir[PATH_MAX];
    auto_fd int dirfd = -1;

    if (!has_saved(&r->record.images))
        return 0;
    if (old_workdir(r, workdir, sizeof(workdir), e) < 0)
        return -1;
    r->made_workdir = mkdir(workdir, 0700) == 0;
    if (!r->made_workdir || mkdir(r->record.directory, 0700) < 0)
        return err_set(e, ERR_REFUSED,
                       "DMTCP will look for files of the job in %s, which cannot be "
                       "made here (%s): has the job's directory been moved?",
                       r->record.directory, strerror(errno));
    dirfd = open(r->record.directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dirfd < 0)
        return err_sys(e, "open %s", r->record.directory);
    return images_copy_saved(&r->record.images, r->how->dirfd, dirfd, e);
}

static void remove_saved(struct restart *r)
{
    char workdir[PATH_MAX];
    struct err ignored = {0};

    /* One that was there is somebody's: of a run that still lives, say. */
    if (r->made_workdir && old_workdir(r, workdir, sizeof(workdir), &ignored) == 0)
        io_remove_tree(AT_FDCWD, workdir, &ignored);
}

/* ---- the hosts ---- */

static bool is_used(const struct restart *r, size_t place)
{
    for (size_t i = 0; i < r->record.images.n; i++)
        if (r->place[i] == place)
            return true;
    return false;
}

/* Whether one of the parts on the other hosts cannot come any more. */
static int check_parts(struct restart *r, struct err *e)
{
    const char *broken = links_broken(&r->session->links);
    const struct link *ended = links_ended_command(&r->session->links);

    if (broken)
        return err_set(e, ERR_FAILED, "the connection to host %s of the job is broken",
                       broken);
    if (ended)
        return err_set(e, ERR_FAILED,
                       "dmtcp_restart has failed on host %s; it may say why in the "
                       "job's standard error",
                       ended->host);
    return 0;
}

/* ---- the processes ---- */

static int fail_with_words(struct restart *r, const char *what, struct err *e)
{
    char said[700];

    session_last_words(r->session, said, sizeof(said));
    return err_set(e, ERR_FAILED, "%s: %s", what, said);
}

/* In the process that becomes dmtcp_restart. */
static int place(void *arg, struct err *e)
{
    const struct restart *r = arg;

    return local_place(&r->session->local, r->how->tmpdir, e);
}

/* The arguments of the dmtcp_restart of one place. */
static int restart_arguments(const struct restart *r, size_t place, struct words *argv,
                             struct err *e)
{
    const struct images *set = &r->record.images;

    if (words_add(argv, e, "%s", r->session->in.restart) < 0 ||
        session_arguments(r->session, argv, e) < 0)
        return -1;
    for (size_t i = 0; i < set->n; i++)
        if (r->place[i] == place &&
            words_add(argv, e, "%s/%s", r->images, set->image[i].name) < 0)
            return -1;
    return 0;
}

static int start_here(struct restart *r, struct err *e)
{
    auto_words struct words argv = {0}, envp = {0};
    struct session *s = r->session;
    struct start_how how = {.path = s->in.restart,
                            .stdio = {s->stdio[0], s->stdio[1], s->stdio[2]}};

    if (restart_arguments(r, 0, &argv, e) < 0 ||
        session_environment(s, environ, &envp, e) < 0)
        return -1;
    if (local_needs_place(&s->local, r->how->tmpdir)) {
        how.prepare = place;
        how.arg = r;
    }
    how.argv = argv.word;
    how.envp = envp.word;
    sigemptyset(&how.mask);
    sigemptyset(&how.ignored);
    return start_program(&how, &s->root, NULL, e);
}

static int start_elsewhere(struct restart *r, struct err *e)
{
    struct links *l = &r->session->links;

    for (size_t i = 0; i < l->n; i++) {
        auto_words struct words argv = {0};

        if (is_used(r, i + 1) && (restart_arguments(r, i + 1, &argv, e) < 0 ||
                                  links_start(&l->link[i], argv.word, e) < 0))
            return -1;
    }
    return 0;
}

/* Before anything of the job is looked at that takes its time, or changes anything. */
static int use_hosts(struct restart *r, struct err *e)
{
    const struct gate *gate = r->how->hosts;

    if (session_link(r->session, e) < 0 ||
        places_choose(r->session, &r->record, gate, &r->place, e) < 0)
        return -1;
    return places_use(r->session, &r->record, r->place, gate, e);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * UINT64_C(1000) + t.tv_nsec / 1000000;
}

/* Grows while memory is restored, and changes when a process is made. */
static uint64_t progress_of(struct session *s)
{
    auto_processes struct processes all = {0};
    struct err ignored = {0};
    uint64_t sum = 0;

    if (session_processes(s, &all, &ignored) < 0)
        return 0;
    for (size_t i = 0; i < all.n; i++) {
        auto_free char *text = NULL;
        unsigned long long size = 0, resident = 0;

        if (proc_file(all.process[i].pid, "statm", &text, NULL, &ignored) == 0 &&
            sscanf(text, "%llu %llu", &size, &resident) == 2)
            sum += 1 + size + resident;
    }
    for (size_t i = 0; i < s->links.n; i++) {
        struct links_count count;

        if (links_count(&s->links.link[i], 1, &count, &ignored) == 0)
            sum += count.under_dmtcp + count.image_bytes;
    }
    return sum;
}

static bool was_killed(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* One of those that are restored below the first: the others wait for it, and nobody
 * there asks how it has ended. */
static bool one_was_killed(const struct session *s)
{
    auto_processes struct processes all = {0};
    struct err ignored = {0};
    struct proc_stat st;

    return session_processes(s, &all, &ignored) == 0 && all.unwaited > 0 &&
           proc_stat_read(all.unwaited, &st, &ignored) == 0 && st.state == 'Z' &&
           was_killed(st.exit_code);
}

/* Who fails takes the coordinator with it, whose end may be seen first, and can say
 * more. 0: the root has ended. -1: it has not, and `e` is as it was, or what a part on
 * another host says. */
static int await_root_end(struct restart *r, struct err *e)
{
    for (int i = 0; i < END_TRIES; i++) {
        if (session_reap(r->session))
            return 0;
        if (check_parts(r, e) < 0)
            return -1;
        poll(NULL, 0, END_MS);
    }
    return -1;
}

static int without_coordinator(struct restart *r, struct err *e)
{
    err_set(e, ERR_FAILED, "DMTCP's coordinator has ended: %s", r->session->why);
    return await_root_end(r, e) == 0 ? fail_with_words(r, "dmtcp_restart failed", e)
                                     : -1;
}

/* Until nothing but the word is missing for the job to run. */
static int wait_restored(struct restart *r, struct err *e)
{
    struct session *s = r->session;
    uint64_t progress = 0, since_ms = now_ms();

    for (;;) {
        struct pollfd p = {.fd = door_fd(s->door), .events = POLLIN};
        enum door_event event = session_hear(s);
        uint64_t now = progress_of(s);

        if (event == DOOR_RESTORED)
            return 0;
        if (event == DOOR_CLOSED)
            return without_coordinator(r, e);
        if (session_reap(s))
            return fail_with_words(r, "dmtcp_restart failed", e);
        if (check_parts(r, e) < 0)
            return -1;
        if (one_was_killed(s))
            return fail_with_words(r, "one of the new processes was killed", e);
        if (now != progress)
            since_ms = now_ms();
        progress = now;
        if (now_ms() - since_ms > PATIENCE_S * 1000)
            return fail_with_words(r, "dmtcp_restart does not get on", e);
        poll(&p, 1, LOOK_MS);
    }
}

/* Nothing of the job ends before all of it runs, unless DMTCP has failed in it. */
static bool one_is_missing(const struct restart *r)
{
    auto_processes struct processes live = {0};
    struct err ignored = {0};
    size_t expected = 0;

    for (size_t i = 0; i < r->record.images.n; i++)
        expected += r->place[i] == 0;
    return session_own_processes(r->session, &live, &ignored) == 0 && live.n < expected;
}

static int wait_running(struct restart *r, struct err *e)
{
    struct session *s = r->session;
    uint64_t since_ms = now_ms();
    struct command_status status;
    unsigned missing = 0;

    for (;;) {
        if (session_reap(s))
            return fail_with_words(r, "the job could not be continued", e);
        if (session_hear(s) == DOOR_CLOSED)
            return err_set(e, ERR_FAILED, "DMTCP's coordinator has ended: %s", s->why);
        if (command_status(&s->in, door_port(s->door), &status, e) < 0)
            return -1;
        if (status.running)
            return 0;
        missing = one_is_missing(r) ? missing + 1 : 0;
        if (missing > MISSING_LOOKS)
            return fail_with_words(r, "the job could not be continued", e);
        if (now_ms() - since_ms > PATIENCE_S * 1000)
            return fail_with_words(r, "the job's files were not opened in time", e);
        poll(NULL, 0, RUNNING_LOOK_MS);
    }
}

/* As a rule the process that was started becomes it; with orphans in the job, DMTCP may
 * have made it another one, which is a child of ours all the same. */
static int find_root(struct restart *r, struct err *e)
{
    auto_command_list struct command_list workers = {0};
    struct session *s = r->session;

    if (command_list(&s->in, door_port(s->door), &workers, e) < 0)
        return -1;
    for (size_t i = 0; i < workers.n; i++)
        if (strcmp(workers.worker[i].unique, r->record.root) == 0) {
            s->root = workers.worker[i].pid;
            return 0;
        }
    return err_set(e, ERR_FAILED, "the job's first process was not restored");
}

/* The job has been let go. One that has come to its end since, and the coordinator with
 * it, was restarted like any other: taken for a failure it would be run again. One that
 * DMTCP has ended takes the coordinator with it too, and its own words say why. */
static int follow(struct restart *r, struct err *e)
{
    if (wait_running(r, e) == 0 && find_root(r, e) == 0)
        return 0;
    if (await_root_end(r, e) < 0)
        return -1;
    err_clear(e);
    if (session_has_failed(r->session) || session_lost_coordinator(r->session))
        return fail_with_words(r, "the job could not be continued", e);
    return 0;
}

/* ---- the standard files ---- */

static int continue_stdio(const struct restart *r, struct err *e)
{
    for (int i = 0; i < 3; i++) {
        const struct record_stdio *was = &r->record.stdio[i];
        const struct stdfile file = {.path = was->path,
                                     .inode = was->inode,
                                     .position = was->position,
                                     .size_bytes = was->size_bytes};

        if (was->is_regular && stdfile_continue(r->session->stdio[i], i, &file, e) < 0)
            return -1;
    }
    return 0;
}

/* On this host: the job's processes have their memory back and stand still. What DMTCP
 * has called for the first time before that has been at its own risk. */
static int make_room(const struct restart *r, struct err *e)
{
    auto_processes struct processes all = {0};

    if (session_processes(r->session, &all, e) < 0)
        return -1;
    for (size_t i = 0; i < all.n; i++)
        if (binding_make_room(all.process[i].pid, e) < 0) {
            if (e->sys != ENOENT && e->sys != ESRCH)
                return -1;
            err_clear(e);
        }
    return 0;
}

static int commit(struct restart *r, struct err *e)
{
    const struct restart_how *how = r->how;

    fault_point("dmtcp-restored");
    if (how->may_commit && how->may_commit(how->arg, e) < 0)
        return -1;
    if (make_room(r, e) < 0 || continue_stdio(r, e) < 0)
        return -1;
    return door_release(r->session->door, e);
}

/* ---- */

static int run(struct restart *r, struct err *e)
{
    if (record_read(r->how->dirfd, &r->record, e) < 0 || check_version(r, e) < 0 ||
        use_hosts(r, e) < 0 || verify(r, e) < 0 ||
        local_load(&r->session->local, &r->record, r->how->dirfd, e) < 0 ||
        local_unpack(&r->record, r->how->dirfd, r->how->tmpdir, e) < 0 ||
        lay_out(r, e) < 0 || put_saved(r, e) < 0 || start_elsewhere(r, e) < 0 ||
        start_here(r, e) < 0)
        return -1;
    if (wait_restored(r, e) < 0 || commit(r, e) < 0)
        return -1;
    return follow(r, e);
}

/* What it started by ssh is started by ssh again, and both ends go on as before, though
 * they may all have come together on one host. */
static bool is_ssh(const struct image *image)
{
    static const char start[] = "ckpt_dmtcp_ssh"; /* and ...sshd */

    return strncmp(image->name, start, sizeof(start) - 1) == 0;
}

int restart_is_across_hosts(int dirfd, bool *is, struct err *e)
{
    auto_record struct record record = {0};
    const struct images *set = &record.images;

    if (record_read(dirfd, &record, e) < 0)
        return -1;
    *is = false;
    for (size_t i = 0; i < set->n; i++)
        *is = *is || is_ssh(&set->image[i]) ||
              strcmp(set->image[i].host, set->image[0].host) != 0;
    return 0;
}

/* A process of the restart that was killed, by a person or for want of memory, is no
 * fault of the generation. But with the end of all processes the coordinator ends too,
 * and that it is gone says nothing. To be called before we kill anything. */
static void judge(const struct session *s, struct err *e)
{
    if (e->kind == ERR_GONE)
        e->kind = ERR_FAILED;
    if ((s->has_ended && was_killed(s->status)) ||
        (s->is_closed && was_killed(s->coordinator_status)) || one_was_killed(s))
        err_momentary(e);
}

int restart_job(struct session *s, const struct restart_how *how, bool *gzip,
                struct err *e)
{
    struct restart r = {.session = s, .how = how};
    struct err ignored = {0};
    int rc = run(&r, e);

    *gzip = r.record.gzip;
    if (rc < 0) {
        judge(s, e);
        session_kill(s);
    }
    remove_saved(&r);
    if (r.images[0])
        io_remove_tree(AT_FDCWD, r.images, &ignored);
    record_free(&r.record);
    free(r.place);
    session_tell(s);
    return rc;
}
