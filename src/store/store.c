/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/store_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* How often a directory may vanish between making and opening it, because another job
 * of the same user has just ended. */
enum { OPEN_TRIES = 10 };

static struct store *new_store(struct err *e)
{
    struct store *s = calloc(1, sizeof(*s));

    if (!s) {
        err_sys(e, "open store");
        return NULL;
    }
    s->dir = s->gen = s->parent = s->top = -1;
    s->keep = STORE_KEEP_DEFAULT;
    return s;
}

void store_close(struct store *s)
{
    if (!s)
        return;

    const int fds[] = {s->gen, s->dir, s->parent, s->top};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(s);
}

const char *store_path(const struct store *s)
{
    return s->path;
}

int store_dirfd(const struct store *s)
{
    return s->dir;
}

void store_set_keep(struct store *s, unsigned keep)
{
    s->keep = keep > 0 ? keep : 1;
}

/* A directory that others arranged: it may be passable without being readable. */
static int open_outer(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == EACCES)
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "open %s", path);
    return fd;
}

static int check_ours(const struct stat *st, const char *path, struct err *e)
{
    if (S_ISLNK(st->st_mode))
        return err_set(e, ERR_UNSAFE,
                       "%s is a symbolic link, which a stranger could have made: name "
                       "the directory itself, or remove the link",
                       path);
    if (!S_ISDIR(st->st_mode))
        return err_set(e, ERR_UNSAFE,
                       "%s is not a directory: name another, or remove it", path);
    if (st->st_uid != geteuid())
        return err_set(e, ERR_UNSAFE,
                       "%s belongs to uid %ju, not to uid %ju who uses it (mode %04o): "
                       "run as its owner, or name another directory; one that a "
                       "stranger has put there has to be removed",
                       path, (uintmax_t)st->st_uid, (uintmax_t)geteuid(),
                       st->st_mode & 07777);
    if (st->st_mode & 077)
        return err_set(e, ERR_UNSAFE,
                       "%s is open to others (mode %04o, uid %ju): make sure that "
                       "nobody has put anything there, then chmod 700",
                       path, st->st_mode & 07777, (uintmax_t)st->st_uid);
    return 0;
}

/* Why the directory could not be opened: what stands in its place says it best. */
static int explain(int at, const char *name, const char *path, struct err *e)
{
    int code = errno;
    struct stat st;

    if (code == ENOENT)
        return err_set(e, ERR_NOTHING, "%s does not exist", path);
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && check_ours(&st, path, e))
        return -1;
    return err_code(e, code, "open %s", path);
}

int store_open_safe(int at, const char *name, const char *path, bool create,
                    struct err *e)
{
    auto_fd int fd = -1;
    struct stat st;

    if (create && mkdirat(at, name, 0700) == 0) {
        /* EBADF: a directory that may be passed but not read cannot be synced. */
        if (fsync(at) < 0 && errno != EBADF && errno != EINVAL)
            return err_sys(e, "sync the directory of %s", path);
    } else if (create && errno != EEXIST) {
        return err_sys(e, "create %s", path);
    }
    fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return explain(at, name, path, e);
    if (fstat(fd, &st) < 0)
        return err_sys(e, "%s", path);
    if (check_ours(&st, path, e) < 0)
        return -1;
    return take_fd(&fd);
}

int store_gen(struct store *s, bool create, struct err *e)
{
    char path[PATH_MAX + 8];

    snprintf(path, sizeof(path), "%s/gen", s->path);
    if (s->gen < 0)
        s->gen = store_open_safe(s->dir, "gen", path, create, e);
    return s->gen;
}

/* Opens s->name in s->parent as the job's directory. */
static int open_job_dir(struct store *s, bool create, struct err *e)
{
    struct err none;

    if (s->dir >= 0)
        close(take_fd(&s->dir));
    s->dir = store_open_safe(s->parent, s->name, s->path, create, e);
    if (s->dir < 0)
        return -1;
    if (store_gen(s, create, &none) < 0 && none.kind != ERR_NOTHING) {
        *e = none;
        return -1;
    }
    return 0;
}

static int check_plain(const char *what, const char *text, const char *refused,
                       struct err *e)
{
    if (str_is_name(text) && text[0] != '.' && strlen(text) < STORE_NAME_SIZE / 2 &&
        store_text_ok(text, false) && !strpbrk(text, refused))
        return 0;
    return err_set(e, ERR_USAGE, "'%.64s' is not the name of a %s", text, what);
}

static int check_ckpt_dir(int fd, const char *path, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_sys(e, "%s", path);
    if ((st.st_mode & 022) && !(st.st_mode & S_ISVTX))
        return err_set(
            e, ERR_UNSAFE,
            "others can write to %s (mode %04o, uid %ju) and replace what is "
            "in it: chmod +t",
            path, st.st_mode & 07777, (uintmax_t)st.st_uid);
    return 0;
}

static int set_paths(struct store *s, const char *ckpt_dir, const char *user,
                     const char *job, const char *task, struct err *e)
{
    if (ckpt_dir[0] != '/')
        return err_set(e, ERR_USAGE, "the checkpoint directory '%s' is not absolute",
                       ckpt_dir);
    if (check_plain("user", user, "/", e) < 0 || check_plain("job", job, "/.", e) < 0 ||
        check_plain("task", task, "/.", e) < 0)
        return -1;
    if (str_format(s->user, sizeof(s->user), e, "%s", user) < 0 ||
        str_format(s->name, sizeof(s->name), e, "%s.%s", job, task) < 0)
        return -1;
    return str_format(s->path, sizeof(s->path), e, "%s/%s/%s", ckpt_dir, s->user,
                      s->name);
}

struct store *store_open_job(const char *ckpt_dir, const char *user, const char *job,
                             const char *task, bool create, struct err *e)
{
    auto_store struct store *s = new_store(e);
    char user_path[PATH_MAX];
    int rc = -1;

    if (!s || set_paths(s, ckpt_dir, user, job, task, e) < 0 ||
        str_format(user_path, sizeof(user_path), e, "%s/%s", ckpt_dir, user) < 0)
        return NULL;
    s->top = open_outer(ckpt_dir, e);
    if (s->top < 0 && e->sys == ENOENT)
        err_wrap(e, "ckpt_dir, a directory of mode 1777 that all hosts share");
    if (s->top < 0 || check_ckpt_dir(s->top, ckpt_dir, e) < 0)
        return NULL;
    for (int tries = 0; rc < 0 && tries < OPEN_TRIES; tries++) {
        if (s->parent >= 0)
            close(take_fd(&s->parent));
        s->parent = store_open_safe(s->top, user, user_path, create, e);
        rc = s->parent < 0 ? -1 : open_job_dir(s, create, e);
        if (rc < 0 && !(create && (e->kind == ERR_NOTHING || e->sys == ENOENT)))
            break;
    }
    return rc < 0 ? NULL : take_ptr(s);
}

/* Splits `path` into the parent, opened, and s->name. */
static int open_parent(struct store *s, const char *path, struct err *e)
{
    auto_free char *copy = strdup(path);
    char *slash;
    size_t n;

    if (!copy)
        return err_sys(e, "%s", path);
    if (!*path)
        return err_set(e, ERR_USAGE, "the name of the job's directory is empty");
    for (n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
        copy[n - 1] = '\0';
    if (str_format(s->path, sizeof(s->path), e, "%s", copy) < 0)
        return -1;
    slash = strrchr(copy, '/');
    if (str_format(s->name, sizeof(s->name), e, "%s", slash ? slash + 1 : copy) < 0)
        return -1;
    if (slash)
        slash[slash == copy ? 1 : 0] = '\0';
    s->parent = open_outer(slash ? copy : ".", e);
    return s->parent < 0 ? -1 : 0;
}

/*
 * The job's directory is checked itself and then only reached by its descriptor, so the
 * parent matters little: a group may share it. Where everybody can rename our directory
 * away the owner of the machine should know.
 */
static int check_parent(const struct store *s, struct err *e)
{
    struct stat st;

    if (fstat(s->parent, &st) < 0)
        return err_sys(e, "%s", s->path);
    if ((st.st_mode & 02) && !(st.st_mode & S_ISVTX))
        return err_set(e, ERR_UNSAFE,
                       "everybody can write to the directory of %s (mode %04o, uid "
                       "%ju) and replace it: chmod o-w or +t",
                       s->path, st.st_mode & 07777, (uintmax_t)st.st_uid);
    return 0;
}

/* Whether a store has an entry of this name, be it one that was cut short. */
static bool is_mark(const char *name)
{
    static const char *const marks[] = {"gen", "epoch", "job.json", "done.json",
                                        "log.jsonl"};

    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
        if (strcmp(name, marks[i]) == 0)
            return true;
    return strncmp(name, "epoch.", 6) == 0 || strncmp(name, "spare.", 6) == 0 ||
           store_temp_epoch(name) > 0;
}

/* Before anything is made in a directory that was there already. */
static int check_is_store(const struct store *s, struct err *e)
{
    auto_names struct store_names names = {0};

    if (store_names_read(s->dir, &names, e) < 0)
        return err_wrap(e, "%s", s->path);
    for (size_t i = 0; i < names.n; i++)
        if (is_mark(names.v[i]))
            return 0;
    if (names.n == 0)
        return 0;
    return err_set(e, ERR_USAGE,
                   "%s holds '%s' and no checkpoints: name an empty or a new directory",
                   s->path, names.v[0]);
}

struct store *store_open_dir(const char *path, bool create, struct err *e)
{
    auto_store struct store *s = new_store(e);

    if (!s || open_parent(s, path, e) < 0)
        return NULL;
    /* "." and "/" are opened, but nobody removes them. */
    if (!str_is_name(s->name)) {
        create = false;
        close(take_fd(&s->parent));
        s->dir = store_open_safe(AT_FDCWD, s->path, s->path, false, e);
    } else if (check_parent(s, e) == 0) {
        s->dir = store_open_safe(s->parent, s->name, s->path, create, e);
    }
    if (s->dir < 0)
        return NULL;
    if (create && check_is_store(s, e) < 0)
        return NULL;
    return take_ptr(s);
}
