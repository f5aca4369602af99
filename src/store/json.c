/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/store_priv.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const size_t FILE_MAX = 16 << 20;

/* Reads the text; on NFS a file that is being replaced can be stale once. */
static int read_text(int dirfd, const char *name, char **text, size_t *size,
                     struct err *e)
{
    auto_fd int fd = -1;
    struct stat st;

    for (int tries = 0; fd < 0 && tries < 5; tries++) {
        fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 && errno != ESTALE)
            break;
    }
    if (fd < 0 && errno == ENOENT)
        return err_set(e, ERR_NOTHING, "%s does not exist", name);
    if (fd < 0 && errno == ELOOP)
        return err_set(e, ERR_CORRUPT, "%s is a symbolic link", name);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(e, "open %s", name);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_CORRUPT, "%s is not a regular file", name);
    if (io_read_fd(fd, FILE_MAX, text, size, e) < 0)
        return err_wrap(e, "%s", name);
    return 0;
}

static int check_format(const json_t *root, const char *name, struct err *e)
{
    uint64_t format;

    if (store_json_u64(root, "format", 1, INT_MAX, &format, e) < 0)
        return err_wrap(e, "%s", name);
    if (format > STORE_FORMAT)
        return err_set(e, ERR_WRONG_HOST,
                       "%s: format %ju is newer than this qckpt reads (%d): install a "
                       "newer one here",
                       name, (uintmax_t)format, STORE_FORMAT);
    return 0;
}

int store_json_read(int dirfd, const char *name, json_t **root, struct err *e)
{
    auto_free char *text = NULL;
    auto_json json_t *parsed = NULL;
    json_error_t where;
    size_t size;

    if (read_text(dirfd, name, &text, &size, e) < 0)
        return -1;
    parsed = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (!parsed && json_error_code(&where) == json_error_out_of_memory)
        return err_code(e, ENOMEM, "%s", name);
    if (!parsed)
        return err_set(e, ERR_CORRUPT, "%s line %d: %s", name, where.line, where.text);
    if (!json_is_object(parsed))
        return err_set(e, ERR_CORRUPT, "%s is not a JSON object", name);
    if (check_format(parsed, name, e) < 0)
        return -1;
    *root = take_ptr(parsed);
    return 0;
}

char *store_json_text(const json_t *root, size_t *size, struct err *e)
{
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    char *longer = NULL;

    if (text) {
        *size = strlen(text);
        longer = realloc(text, *size + 2);
    }
    if (!longer) {
        free(text);
        err_set(e, ERR_FAILED, "cannot be written as JSON");
        return NULL;
    }
    longer[(*size)++] = '\n';
    longer[*size] = '\0';
    return longer;
}

int store_json_u64(const json_t *o, const char *key, uint64_t min, uint64_t max,
                   uint64_t *value, struct err *e)
{
    const json_t *member = json_object_get(o, key);
    json_int_t n = json_integer_value(member);

    if (!member)
        return err_set(e, ERR_CORRUPT, "'%s' is missing", key);
    if (!json_is_integer(member) || n < 0 || (uint64_t)n < min || (uint64_t)n > max)
        return err_set(e, ERR_CORRUPT, "'%s' is not a number from %ju to %ju", key,
                       (uintmax_t)min, (uintmax_t)max);
    *value = n;
    return 0;
}

int store_json_string(const json_t *o, const char *key, bool lines, char *out,
                      size_t size, struct err *e)
{
    const json_t *member = json_object_get(o, key);
    const char *text = json_string_value(member);

    if (!member)
        return err_set(e, ERR_CORRUPT, "'%s' is missing", key);
    if (!text)
        return err_set(e, ERR_CORRUPT, "'%s' is not a string", key);
    if (strlen(text) >= size)
        return err_set(e, ERR_CORRUPT, "'%s' is longer than %zu bytes", key, size - 1);
    if (!store_text_ok(text, lines))
        return err_set(e, ERR_CORRUPT, "'%s' has control characters", key);
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

/* link(2) fails with EEXIST when its first answer was lost on the way from an NFS
 * server; the second name is there all the same. */
static bool link_done(int dirfd, const char *temp)
{
    struct stat st;

    return errno == EEXIST && fstatat(dirfd, temp, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_nlink == 2;
}

/* Puts the finished file under its name. */
static int put(struct store *s, uint64_t epoch, const char *temp, const char *name,
               unsigned how, struct err *e)
{
    struct err fenced;
    int rc;

    if (!(how & STORE_UNFENCED) && store_epoch_check(s, epoch, e) < 0)
        return -1;
    if (how & STORE_ONCE)
        rc = linkat(s->dir, temp, s->dir, name, 0) == 0 || link_done(s->dir, temp) ? 0
                                                                                   : -1;
    else
        rc = renameat(s->dir, temp, s->dir, name);
    if (rc == 0)
        return io_sync_dir(s->dir, e);
    err_sys(e, "create %s", name);
    /* A later run sweeps away what this one had under construction. */
    if (e->sys == ENOENT && !(how & STORE_UNFENCED) &&
        store_epoch_check(s, epoch, &fenced) < 0)
        *e = fenced;
    return -1;
}

int store_json_write(struct store *s, uint64_t epoch, const char *name,
                     const json_t *root, unsigned how, struct err *e)
{
    char temp[STORE_NAME_SIZE];
    auto_free char *text = NULL;
    size_t size;
    int rc;

    text = store_json_text(root, &size, e);
    if (!text)
        return err_wrap(e, "%s", name);
    if (!(how & STORE_UNFENCED) && store_epoch_check(s, epoch, e) < 0)
        return -1;
    if (store_temp_name(name, epoch, temp, e) < 0)
        return -1;
    rc = io_create_file(s->dir, temp, text, size, e);
    if (rc < 0)
        err_wrap(e, "%s", name);
    else
        rc = put(s, epoch, temp, name, how, e);
    if (rc < 0 || (how & STORE_ONCE))
        unlinkat(s->dir, temp, 0);
    return rc;
}
