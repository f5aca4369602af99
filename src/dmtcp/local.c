/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/local.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "base/spawn.h"
#include "base/str.h"
#include "place/mounts.h"
#include "place/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { SCRIPT_MAX = 64 << 20, TAR_TIMEOUT_MS = 3600 * 1000, TAR_OUTPUT_MAX = 1 << 20 };

static const char SCRIPT[] = "job_script", ARCHIVE[] = "tmpdir.tar";

void local_free(struct local *l)
{
    free(l->data);
    *l = (struct local){0};
}

/* ---- the script ---- */

static int read_script(struct local *l, const char *path, struct err *e)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(e, "job script %s", path);
    if (str_format(l->script.path, sizeof(l->script.path), e, "%s", path) < 0 ||
        io_read_fd(fd, SCRIPT_MAX, &l->data, &l->size, e) < 0)
        return err_wrap(e, "job script %s", path);
    snprintf(l->script.file, sizeof(l->script.file), "%s", SCRIPT);
    l->script.mode = st.st_mode & 0777;
    l->script.mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
    return 0;
}

int local_note(struct local *l, const char *tmpdir, const char *job_script,
               struct err *e)
{
    *l = (struct local){0};
    if (str_format(l->tmpdir, sizeof(l->tmpdir), e, "%s", tmpdir ? tmpdir : "") < 0)
        return -1;
    return job_script && job_script[0] == '/' ? read_script(l, job_script, e) : 0;
}

static struct place_file script_file(const struct local *l)
{
    return (struct place_file){.path = l->script.path,
                               .mode = S_IFREG | l->script.mode,
                               .mtime_ns = (uint64_t)l->script.mtime_ns,
                               .data = l->data,
                               .size = l->size};
}

/* ---- the contents of TMPDIR ---- */

static int run_tar(char *const *argv, struct err *e)
{
    const struct spawn_how how = {.path = "/bin/tar",
                                  .argv = argv,
                                  .timeout_ms = TAR_TIMEOUT_MS,
                                  .max_size = TAR_OUTPUT_MAX};
    auto_spawn_output struct spawn_output output = {0};

    if (spawn_run(&how, &output, e) < 0)
        return -1;
    if (WIFEXITED(output.status) && WEXITSTATUS(output.status) == 0)
        return 0;
    return err_set(e, ERR_FAILED, "tar: %.300s", output.err);
}

/* As another program finds a file of a directory that we have open. */
static int path_in(int dirfd, const char *name, char *out, size_t size, struct err *e)
{
    return str_format(out, size, e, "/proc/%d/fd/%d/%s", getpid(), dirfd, name);
}

static int pack(const char *tmpdir, int dirfd, struct err *e)
{
    char archive[PATH_MAX];
    char *argv[] = {"tar", "-c",           "-f", archive, "--warning=no-file-ignored",
                    "-C",  (char *)tmpdir, ".",  NULL};

    if (io_create_file(dirfd, ARCHIVE, "", 0, e) < 0 || /* mode 0600 */
        path_in(dirfd, ARCHIVE, archive, sizeof(archive), e) < 0)
        return -1;
    return run_tar(argv, e) < 0 ? err_wrap(e, "TMPDIR %s shall travel", tmpdir) : 0;
}

int local_unpack(const struct record *r, int dirfd, const char *tmpdir, struct err *e)
{
    char archive[PATH_MAX];
    char *argv[] = {"tar",
                    "-x",
                    "-p",
                    "-f",
                    archive,
                    "--skip-old-files",
                    "--no-same-owner",
                    "-C",
                    (char *)tmpdir,
                    NULL};

    if (!r->tmpdir_file[0])
        return 0;
    if (!tmpdir)
        return err_set(e, ERR_REFUSED,
                       "the contents of the job's TMPDIR travel with it, but this run "
                       "has no TMPDIR");
    if (path_in(dirfd, r->tmpdir_file, archive, sizeof(archive), e) < 0)
        return -1;
    return run_tar(argv, e) < 0 ? err_wrap(e, "fill TMPDIR %s", tmpdir) : 0;
}

/* ---- generations ---- */

int local_save(const struct local *l, const char *carry_tmpdir, int dirfd,
               struct record *r, struct err *e)
{
    if (str_format(r->tmpdir, sizeof(r->tmpdir), e, "%s", l->tmpdir) < 0)
        return -1;
    if (carry_tmpdir) {
        snprintf(r->tmpdir_file, sizeof(r->tmpdir_file), "%s", ARCHIVE);
        if (pack(carry_tmpdir, dirfd, e) < 0)
            return -1;
    }
    r->job_script = l->script;
    if (!l->script.path[0])
        return 0;
    return io_create_file(dirfd, SCRIPT, l->data, l->size, e);
}

int local_load(struct local *l, const struct record *r, int dirfd, struct err *e)
{
    *l = (struct local){0};
    snprintf(l->tmpdir, sizeof(l->tmpdir), "%s", r->tmpdir);
    l->script = r->job_script;
    if (!l->script.path[0])
        return 0;
    return io_read_file(dirfd, l->script.file, SCRIPT_MAX, &l->data, &l->size, e);
}

/* ---- old paths ---- */

static bool tmpdir_moved(const struct local *l, const char *tmpdir)
{
    return l->tmpdir[0] && tmpdir && strcmp(l->tmpdir, tmpdir) != 0;
}

bool local_needs_place(const struct local *l, const char *tmpdir)
{
    const struct place_file script = script_file(l);

    return tmpdir_moved(l, tmpdir) || (l->script.path[0] && !place_is_there(&script));
}

static int place_all(const struct local *l, const char *tmpdir, struct err *e)
{
    const struct place_file script = script_file(l);
    const struct place_role role = {.is_script = true};

    if (tmpdir_moved(l, tmpdir) && place_directory(l->tmpdir, tmpdir, e) < 0)
        return err_wrap(e, "the job's TMPDIR");
    if (l->script.path[0] && place_put(&script, &role, e) < 0)
        return err_wrap(e, "the job script");
    return 0;
}

int local_place(const struct local *l, const char *tmpdir, struct err *e)
{
    if (mounts_unshare(e) < 0)
        return err_wrap(e, "the job's old node-local paths need mounts of its own");
    if (place_all(l, tmpdir, e) == 0)
        return 0;
    place_undo();
    return -1;
}
