/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An epoch is claimed by making the file epoch.N with link(2), which only one of
 * several hosts can: the highest claim is the current run. `epoch` is a copy of that
 * claim for readers. It is always replaced by a rename and has no other name, so that
 * an NFS client that opens it finds its old handle stale and asks the server, where a
 * listing of the directory might come from the client's cache.
 */
#include "store/store_priv.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

/* Every further round means that another run has taken an epoch meanwhile. */
enum { TAKE_TRIES = 1000 };

static uint64_t claim_number(const char *name)
{
    struct err ignored;
    uint64_t n;

    if (strncmp(name, "epoch.", 6) != 0 || name[6] == '0' ||
        str_to_u64(name + 6, &n, &ignored) < 0)
        return 0;
    return n;
}

static uint64_t spare_number(const char *name)
{
    struct err ignored;
    uint64_t n;

    if (strncmp(name, "spare.", 6) != 0 || str_to_u64(name + 6, &n, &ignored) < 0)
        return 0;
    return n;
}

static void claim_name(uint64_t epoch, char out[STORE_NAME_SIZE])
{
    snprintf(out, STORE_NAME_SIZE, "epoch.%" PRIu64, epoch);
}

/* The highest claim, 0 when there is none. */
static int highest_claim(struct store *s, uint64_t *highest, struct err *e)
{
    auto_names struct store_names names = {0};

    if (store_names_read(s->dir, &names, e) < 0)
        return err_wrap(e, "%s", s->path);
    *highest = 0;
    for (size_t i = 0; i < names.n; i++)
        if (claim_number(names.v[i]) > *highest)
            *highest = claim_number(names.v[i]);
    return 0;
}

/* Whether a file could not be made because a later run swept it away half done. When
 * the whole directory has been removed, `e` says so. */
static bool was_swept(struct store *s, struct err *e)
{
    struct stat st;

    if (e->kind != ERR_SYS || e->sys != ENOENT)
        return false;
    if (fstat(s->dir, &st) == 0 && st.st_nlink > 0)
        return true;
    err_set(e, ERR_GONE, "%s has been removed", s->path);
    return false;
}

static int parse(const json_t *root, struct store_epoch *out, struct err *e)
{
    uint64_t pid;

    if (store_json_u64(root, "epoch", 1, INT64_MAX, &out->epoch, e) < 0 ||
        store_json_u64(root, "pid", 1, INT32_MAX, &pid, e) < 0 ||
        store_json_string(root, "host", false, out->host, sizeof(out->host), e) < 0 ||
        store_json_string(root, "boot_id", false, out->boot_id, sizeof(out->boot_id),
                          e) < 0 ||
        store_json_string(root, "socket", false, out->socket, sizeof(out->socket), e) <
            0 ||
        store_json_string(root, "started", false, out->started, sizeof(out->started),
                          e) < 0)
        return -1;
    out->pid = pid;
    return 0;
}

int store_epoch_current(struct store *s, struct store_epoch *current, struct err *e)
{
    auto_json json_t *root = NULL;
    struct store_epoch found;

    if (store_json_read(s->dir, "epoch", &root, e) < 0)
        return err_wrap(e, "%s", s->path);
    if (parse(root, &found, e) < 0)
        return err_wrap(e, "%s: epoch", s->path);
    *current = found;
    return 0;
}

static json_t *describe(uint64_t epoch, const char *host, pid_t pid, const char *socket,
                        struct err *e)
{
    auto_fd int proc =
        open("/proc/sys/kernel/random", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_free char *boot_id = NULL;
    char now[STR_TIME_SIZE];
    json_t *root;

    if (proc < 0 || io_read_file(proc, "boot_id", 64, &boot_id, NULL, e) < 0) {
        err_set(e, ERR_FAILED, "cannot read the host's boot id: is /proc mounted?");
        return NULL;
    }
    boot_id[strcspn(boot_id, "\n")] = '\0';
    str_time_now(now);
    root = json_pack("{s:i, s:I, s:s, s:I, s:s, s:s, s:s}", "format", STORE_FORMAT,
                     "epoch", (json_int_t)epoch, "host", host, "pid", (json_int_t)pid,
                     "boot_id", boot_id, "socket", socket, "started", now);
    if (!root)
        err_set(e, ERR_FAILED, "cannot describe the run on host '%s'", host);
    return root;
}

/* Copies the highest claim to `epoch`, again while a higher one appears: whoever
 * renames last has seen the highest. 0 claims is ERR_NOTHING. */
static int publish_highest(struct store *s, struct err *e)
{
    uint64_t highest, after;

    for (int tries = 0; tries < TAKE_TRIES; tries++) {
        auto_json json_t *root = NULL;
        char name[STORE_NAME_SIZE];

        if (highest_claim(s, &highest, e) < 0)
            return -1;
        if (highest == 0)
            return err_set(e, ERR_NOTHING, "%s: no run ever began", s->path);
        claim_name(highest, name);
        if (store_json_read(s->dir, name, &root, e) < 0) {
            /* Given up by its owner, or overtaken: look again. */
            if (e->kind == ERR_NOTHING)
                continue;
            return err_wrap(e, "%s", s->path);
        }
        if (store_json_write(s, highest, "epoch", root, STORE_UNFENCED, e) < 0) {
            if (was_swept(s, e))
                continue;
            return -1;
        }
        if (highest_claim(s, &after, e) < 0)
            return -1;
        if (after == highest)
            return 0;
    }
    return err_set(e, ERR_FAILED, "%s: other runs keep beginning", s->path);
}

/* The highest epoch that is known of, whether from a claim or, should somebody have
 * removed that, from the copy. */
static int highest_known(struct store *s, uint64_t *highest, struct err *e)
{
    struct store_epoch current;

    if (highest_claim(s, highest, e) < 0)
        return -1;
    if (store_epoch_current(s, &current, e) == 0) {
        if (current.epoch > *highest)
            *highest = current.epoch;
        return 0;
    }
    /* A damaged copy does not matter as long as there is a claim. */
    if (e->kind == ERR_NOTHING || (e->kind == ERR_CORRUPT && *highest > 0))
        return 0;
    return -1;
}

/* Remembers whose claim is the highest. Its copy is missing as long as its owner has
 * not come that far. */
static void note_holder(struct store *s, uint64_t highest)
{
    auto_json json_t *root = NULL;
    char name[STORE_NAME_SIZE];
    struct store_epoch found;
    struct err ignored;

    s->before = (struct store_epoch){0};
    claim_name(highest, name);
    if ((store_json_read(s->dir, name, &root, &ignored) == 0 &&
         parse(root, &found, &ignored) == 0) ||
        store_epoch_current(s, &found, &ignored) == 0)
        s->before = found;
}

bool store_epoch_before(const struct store *s, struct store_epoch *before)
{
    if (s->before.epoch == 0)
        return false;
    *before = s->before;
    return true;
}

/* One attempt: 1 claimed, 0 somebody else was faster. */
static int try_claim(struct store *s, const char *host, pid_t pid, const char *socket,
                     uint64_t *epoch, struct err *e)
{
    auto_json json_t *root = NULL;
    char name[STORE_NAME_SIZE];
    uint64_t highest;

    if (highest_known(s, &highest, e) < 0)
        return -1;
    note_holder(s, highest);
    *epoch = highest + 1;
    claim_name(*epoch, name);
    root = describe(*epoch, host, pid, socket, e);
    if (!root)
        return -1;
    if (store_json_write(s, *epoch, name, root, STORE_ONCE | STORE_UNFENCED, e) < 0)
        return (e->kind == ERR_SYS && e->sys == EEXIST) || was_swept(s, e) ? 0 : -1;
    /* The number may have been used before, when its claim was removed between our look
     * and our link; but then a higher claim is there now. */
    if (highest_claim(s, &highest, e) < 0)
        return -1;
    if (highest == *epoch)
        return 1;
    unlinkat(s->dir, name, 0);
    return 0;
}

static int claim(struct store *s, const char *host, pid_t pid, const char *socket,
                 uint64_t *epoch, struct err *e)
{
    for (int tries = 0; tries < TAKE_TRIES; tries++) {
        int rc = try_claim(s, host, pid, socket, epoch, e);

        if (rc != 0)
            return rc < 0 ? -1 : 0;
    }
    return err_set(e, ERR_FAILED, "%s: other runs keep beginning", s->path);
}

static void remove_older_runs(struct store *s, uint64_t epoch)
{
    auto_names struct store_names names = {0};
    struct err ignored;

    if (store_names_read(s->dir, &names, &ignored) < 0)
        return;
    for (size_t i = 0; i < names.n; i++) {
        uint64_t owner = claim_number(names.v[i]);

        if (owner == 0)
            owner = spare_number(names.v[i]);
        if (owner > 0 && owner < epoch)
            unlinkat(s->dir, names.v[i], 0);
    }
}

int store_epoch_take(struct store *s, const char *host, pid_t pid, const char *socket,
                     uint64_t *epoch, struct err *e)
{
    struct store_epoch probe;
    uint64_t mine;

    if (!store_text_ok(host, false) || strlen(host) >= sizeof(probe.host) ||
        !store_text_ok(socket, false) || strlen(socket) >= sizeof(probe.socket) ||
        pid < 1)
        return err_set(e, ERR_FAILED, "cannot record host '%.64s', socket '%.64s'",
                       host, socket);
    if (claim(s, host, pid, socket, &mine, e) < 0 || publish_highest(s, e) < 0)
        return -1;
    remove_older_runs(s, mine);
    if (store_sweep(s, mine, mine, e) < 0 || store_epoch_check(s, mine, e) < 0 ||
        store_epoch_current(s, &probe, e) < 0)
        return -1;
    s->taken = probe;
    *epoch = mine;
    return 0;
}

static int superseded(const struct store_epoch *by, uint64_t epoch, struct err *e)
{
    return err_set(e, ERR_FENCED,
                   "run %ju of this job has been superseded by run %ju (host %s, pid "
                   "%d, since %s)",
                   (uintmax_t)epoch, (uintmax_t)by->epoch, by->host, (int)by->pid,
                   by->started);
}

/* Numbers begin again when a store is removed. Should that have been cut short, and the
 * job begun again in the same directory, the number alone would let both runs pass. */
static bool is_same_run(const struct store *s, const struct store_epoch *current)
{
    const struct store_epoch *taken = &s->taken;

    return taken->epoch != current->epoch ||
           (taken->pid == current->pid && strcmp(taken->host, current->host) == 0 &&
            strcmp(taken->boot_id, current->boot_id) == 0 &&
            strcmp(taken->socket, current->socket) == 0 &&
            strcmp(taken->started, current->started) == 0);
}

/* `epoch` is missing, damaged or behind: a run that was cut short left it so. */
static int check_repaired(struct store *s, uint64_t epoch, struct err *e)
{
    struct store_epoch current;

    if (publish_highest(s, e) < 0) {
        if (e->kind == ERR_NOTHING)
            return err_set(e, ERR_GONE,
                           "%s has been removed: run %ju of the job can save nothing "
                           "any more",
                           s->path, (uintmax_t)epoch);
        return -1;
    }
    if (store_epoch_current(s, &current, e) < 0)
        return -1;
    if (current.epoch == epoch && is_same_run(s, &current))
        return 0;
    return superseded(&current, epoch, e);
}

int store_epoch_check(struct store *s, uint64_t epoch, struct err *e)
{
    struct store_epoch current = {0};
    int rc = store_epoch_current(s, &current, e);

    if (rc < 0 && e->kind == ERR_NOTHING && epoch == 0)
        return 0;
    if (rc < 0 && e->kind != ERR_NOTHING && e->kind != ERR_CORRUPT)
        return -1;
    if (rc == 0 && current.epoch == epoch && is_same_run(s, &current))
        return 0;
    if (rc == 0 && current.epoch >= epoch)
        return superseded(&current, epoch, e);
    return check_repaired(s, epoch, e);
}
