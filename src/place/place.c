/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "place/place.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "place/cover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what was made for real, for the case of a failure ---- */

static char **made;
static size_t n_made;

static int remember(const char *path, struct err *e)
{
    char **more = realloc(made, (n_made + 1) * sizeof(*more));

    if (!more)
        return err_sys(e, "%s", path);
    made = more;
    made[n_made] = strdup(path);
    if (!made[n_made])
        return err_sys(e, "%s", path);
    n_made++;
    return 0;
}

void place_undo(void)
{
    while (n_made > 0) {
        char *path = made[--n_made];

        umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
        if (unlink(path) < 0)
            rmdir(path);
        free(path);
    }
}

/* ---- making a place ---- */

/* The length of the longest part of `path` that is an existing directory. */
static size_t existing_part(const char *path)
{
    char part[PATH_MAX];
    struct stat st;

    for (size_t n = strlen(path); n > 0; n--) {
        if (path[n] != '/' && path[n] != '\0')
            continue;
        snprintf(part, sizeof(part), "%.*s", (int)n, path);
        if (stat(part, &st) == 0 && S_ISDIR(st.st_mode))
            return n;
    }
    return 0;
}

static int make_directory(const char *path, bool real, struct err *e)
{
    if (mkdir(path, 0755) < 0)
        return errno == EEXIST ? 0 : err_sys(e, "make %s", path);
    return real ? remember(path, e) : 0;
}

/* Makes all directories above the last part of `path`. *real: they are on a disk. */
static int make_parents(const char *path, bool *real, struct err *e)
{
    char part[PATH_MAX];
    size_t n = existing_part(path), last = strrchr(path, '/') - path;

    snprintf(part, sizeof(part), "%.*s", (int)(n ? n : 1), path);
    *real = access(part, W_OK) == 0;
    if (!*real && cover_directory(part, e) < 0)
        return -1;
    while (n < last) {
        const char *next = strchr(path + n + 1, '/');

        n = next - path;
        snprintf(part, sizeof(part), "%.*s", (int)n, path);
        if (make_directory(part, *real, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- what a stranger may have put there ---- */

/* Whether a part of `path` is not ours and lies where everybody can make files: another
 * user of this host could know the name. Ids other than ours are not told apart here,
 * in a user namespace. */
static bool may_be_planted(const char *path)
{
    char part[PATH_MAX];
    struct stat st, above;
    size_t n = strlen(path);

    while (n > 1) {
        snprintf(part, sizeof(part), "%.*s", (int)n, path);
        if (lstat(part, &st) < 0)
            return false;
        while (n > 1 && path[n - 1] != '/')
            n--;
        snprintf(part, sizeof(part), "%.*s", (int)n, path);
        if (st.st_uid != geteuid() && stat(part, &above) == 0 &&
            (above.st_mode & S_ISVTX) && (above.st_mode & S_IWOTH))
            return true;
        while (n > 1 && path[n - 1] == '/')
            n--;
    }
    return false;
}

/* ---- the old TMPDIR ---- */

/* The job's files must not get into a directory that somebody else has made. The
 * descriptor keeps it from being exchanged meanwhile. */
static int bind_over(const char *old, const char *now, struct err *e)
{
    auto_fd int fd = open(old, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
    char target[32];

    if (fd < 0)
        return err_set(e, ERR_REFUSED,
                       "%s is in the way, and may have been put there by another user "
                       "of this host: have it removed",
                       old);
    snprintf(target, sizeof(target), "/proc/self/fd/%d", fd);
    if (mount(now, target, NULL, MS_BIND | MS_REC, NULL) < 0)
        return err_sys(e, "bind %s to %s", now, old);
    return 0;
}

int place_directory(const char *old, const char *now, struct err *e)
{
    struct stat st;
    bool real;

    if (!old || !now || old[0] != '/' || strlen(old) >= PATH_MAX ||
        strcmp(old, now) == 0)
        return 0;
    if (lstat(old, &st) == 0)
        return may_be_planted(old) ? bind_over(old, now, e) : 0;
    if (make_parents(old, &real, e) < 0 || make_directory(old, real, e) < 0)
        return -1;
    return bind_over(old, now, e);
}

static bool is_below(const char *path, const char *directory)
{
    size_t n = directory ? strlen(directory) : 0;

    return n > 1 && strncmp(path, directory, n) == 0 && path[n] == '/';
}

/* ---- files ---- */

static bool same_content(const struct place_file *c, const struct stat *st)
{
    struct err ignored = {0};
    auto_free char *now = NULL;
    size_t size;
    auto_fd int fd = -1;

    if (!S_ISREG(st->st_mode) || (uint64_t)st->st_size != c->size)
        return false;
    fd = open(c->path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && io_read_fd(fd, c->size, &now, &size, &ignored) == 0 &&
           size == c->size && memcmp(now, c->data, size) == 0;
}

static int set_times(int fd, const struct place_file *c, struct err *e)
{
    const struct timespec t[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = c->mtime_ns / 1000000000, .tv_nsec = c->mtime_ns % 1000000000}};

    if (fchmod(fd, c->mode & 07777) < 0 || futimens(fd, t) < 0)
        return err_sys(e, "set mode and time of %s", c->path);
    return 0;
}

static int write_file(const struct place_file *c, int flags, struct err *e)
{
    auto_fd int fd = open(c->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0600);

    if (fd < 0)
        return err_sys(e, "create %s", c->path);
    if (io_write_all(fd, c->data, c->size, e) < 0 || set_times(fd, c, e) < 0)
        return err_wrap(e, "%s", c->path);
    return io_close(&fd, e);
}

static int make_missing(const struct place_file *c, struct err *e)
{
    bool real;

    if (make_parents(c->path, &real, e) < 0)
        return -1;
    if (real && remember(c->path, e) < 0)
        return -1;
    return write_file(c, O_CREAT | O_EXCL, e);
}

/* ---- the contents of TMPDIR: made for real, they are the job's to change ---- */

static int make_in_tmpdir(const struct place_file *c, struct err *e)
{
    char target[PATH_MAX];
    struct stat st;
    bool real;

    /* The same TMPDIR as before: what is there is at least as new. */
    if (lstat(c->path, &st) == 0)
        return 0;
    if (make_parents(c->path, &real, e) < 0)
        return -1;
    if (S_ISDIR(c->mode)) {
        if (mkdir(c->path, c->mode & 07777) < 0)
            return err_sys(e, "make %s", c->path);
        return 0;
    }
    if (S_ISREG(c->mode))
        return write_file(c, O_CREAT | O_EXCL, e);
    if (!S_ISLNK(c->mode) || c->size >= sizeof(target))
        return 0;
    snprintf(target, sizeof(target), "%.*s", (int)c->size, (const char *)c->data);
    if (symlink(target, c->path) < 0)
        return err_sys(e, "link %s", c->path);
    return 0;
}

/* Files that the kernel makes up are there already. */
static bool is_kernels(const char *path)
{
    return is_below(path, "/proc") || is_below(path, "/sys") || is_below(path, "/dev");
}

static bool is_planted(const struct place_file *c, bool exists, const struct stat *st)
{
    /* A file of our own was not put there by anybody else, wherever it lies. */
    return may_be_planted(c->path) && !(exists && st->st_uid == geteuid());
}

bool place_is_there(const struct place_file *c)
{
    struct stat st;

    return lstat(c->path, &st) == 0 && !is_planted(c, true, &st) &&
           same_content(c, &st);
}

int place_put(const struct place_file *c, const struct place_role *role, struct err *e)
{
    bool exists, planted;
    struct stat st;

    if (c->path[0] != '/' || strlen(c->path) >= PATH_MAX)
        return err_set(e, ERR_CORRUPT, "a file that travels has the path %.100s",
                       c->path);
    if (is_kernels(c->path))
        return 0;
    exists = lstat(c->path, &st) == 0;
    planted = is_planted(c, exists, &st);
    if (!planted && exists && S_ISREG(c->mode) && same_content(c, &st))
        return 0;
    if (is_below(c->path, role->tmpdir))
        return make_in_tmpdir(c, e);
    if (!S_ISREG(c->mode))
        return 0;
    if (!exists)
        return make_missing(c, e);
    /* What the job may have changed itself since is newer than our copy. */
    if (!S_ISREG(st.st_mode) || role->is_written ||
        (access(c->path, W_OK) == 0 && !role->is_script && !planted))
        return 0;
    return cover_file(c, e);
}
