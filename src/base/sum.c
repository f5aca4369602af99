/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/sum.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

/* "4194304 " + digest + newline. */
enum { LINE_MAX_SIZE = 48, ADOPT_CHUNK = 1 << 20 };

/* 6.5 TiB of 1 MiB chunks; a longer list is not ours. */
static const size_t LIST_MAX = 256 << 20;

struct entry {
    uint32_t size;
    char digest[SUM_DIGEST_SIZE];
};

struct sum_file {
    int dirfd, fd;
    char name[256], sum_name[256];
    pthread_mutex_t lock; /* what follows */
    struct entry *entries;
    size_t n, room;
    uint64_t end;
    bool failed;
};

static void close_sum_file(struct sum_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    pthread_mutex_destroy(&f->lock);
    free(f->entries);
    free(f);
}

SCOPE_DEFINE(sum, struct sum_file *, close_sum_file);
#define auto_sum SCOPE_USE(sum)

void sum_digest(const void *data, size_t size, char out[SUM_DIGEST_SIZE])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, size));
    for (size_t i = 0; i < sizeof(canonical.digest); i++)
        snprintf(out + 2 * i, 3, "%02x", canonical.digest[i]);
}

static int set_names(char name[256], char sum_name[256], const char *given,
                     struct err *e)
{
    if (!str_is_name(given))
        return err_set(e, ERR_FAILED, "'%s' is not a plain file name", given);
    if (str_format(name, 256, e, "%s", given) < 0)
        return -1;
    return str_format(sum_name, 256, e, "%s.sum", given);
}

static struct sum_file *new_sum_file(int dirfd, const char *name, struct err *e)
{
    auto_sum struct sum_file *f = calloc(1, sizeof(*f));

    if (!f) {
        err_sys(e, "%s", name);
        return NULL;
    }
    f->dirfd = dirfd;
    f->fd = -1;
    pthread_mutex_init(&f->lock, NULL);
    if (set_names(f->name, f->sum_name, name, e) < 0)
        return NULL;
    return take_ptr(f);
}

struct sum_file *sum_create(int dirfd, const char *name, struct err *e)
{
    auto_sum struct sum_file *f = new_sum_file(dirfd, name, e);

    if (!f)
        return NULL;
    f->fd =
        openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (f->fd < 0) {
        err_sys(e, "create %s", name);
        return NULL;
    }
    return take_ptr(f);
}

/* Takes the next place; the caller holds the lock. */
static int take_place(struct sum_file *f, size_t size, size_t *index, uint64_t *offset,
                      struct err *e)
{
    if (f->n == f->room) {
        size_t room = f->room ? 2 * f->room : 64;
        struct entry *bigger = reallocarray(f->entries, room, sizeof(*bigger));

        if (!bigger)
            return err_sys(e, "%s", f->sum_name);
        f->entries = bigger;
        f->room = room;
    }
    f->entries[f->n] = (struct entry){.size = size};
    *index = f->n++;
    *offset = f->end;
    f->end += size;
    return 0;
}

int sum_append(struct sum_file *f, const void *data, size_t size, uint64_t *offset,
               struct err *e)
{
    char digest[SUM_DIGEST_SIZE];
    uint64_t place = 0;
    size_t index = 0;
    int rc = 0;

    if (size > SUM_CHUNK_MAX)
        return err_set(e, ERR_FAILED, "%s: a chunk of %zu bytes is larger than %d",
                       f->name, size, SUM_CHUNK_MAX);
    pthread_mutex_lock(&f->lock);
    if (size > 0)
        rc = take_place(f, size, &index, &place, e);
    else
        place = f->end;
    pthread_mutex_unlock(&f->lock);
    if (rc == 0 && size > 0) {
        sum_digest(data, size, digest);
        rc = io_pwrite_all(f->fd, data, size, place, e);
        if (rc < 0)
            err_wrap(e, "%s", f->name);
    }
    pthread_mutex_lock(&f->lock);
    if (rc < 0)
        f->failed = true;
    else if (size > 0)
        memcpy(f->entries[index].digest, digest, sizeof(digest));
    pthread_mutex_unlock(&f->lock);
    if (rc == 0 && offset)
        *offset = place;
    return rc;
}

static int write_list(const struct sum_file *f, struct err *e)
{
    auto_free char *text = malloc(f->n * LINE_MAX_SIZE + 1);
    size_t used = 0;

    if (!text)
        return err_sys(e, "%s", f->sum_name);
    for (size_t i = 0; i < f->n; i++)
        used += snprintf(text + used, LINE_MAX_SIZE, "%u %s\n", f->entries[i].size,
                         f->entries[i].digest);
    return io_create_file(f->dirfd, f->sum_name, text, used, e);
}

static int finish(struct sum_file *f, struct err *e)
{
    if (f->failed)
        return err_set(e, ERR_FAILED, "%s: a chunk could not be written", f->name);
    if (fsync(f->fd) < 0)
        return err_sys(e, "sync %s", f->name);
    if (io_close(&f->fd, e) < 0)
        return err_wrap(e, "%s", f->name);
    return write_list(f, e);
}

int sum_finish(struct sum_file *f, struct err *e)
{
    int rc = finish(f, e);

    close_sum_file(f);
    return rc;
}

int sum_write_file(int dirfd, const char *name, const void *data, size_t size,
                   struct err *e)
{
    auto_sum struct sum_file *f = sum_create(dirfd, name, e);

    if (!f)
        return -1;
    for (size_t at = 0; at < size; at += SUM_CHUNK_MAX) {
        size_t n = size - at < SUM_CHUNK_MAX ? size - at : SUM_CHUNK_MAX;

        if (sum_append(f, (const char *)data + at, n, NULL, e) < 0)
            return -1;
    }
    return sum_finish(take_ptr(f), e);
}

void sum_abandon(struct sum_file *f)
{
    if (f)
        close_sum_file(f);
}

/* Opens a file that must be a regular one: a FIFO or device would block or worse. */
static int open_regular(int dirfd, const char *name, uint64_t *size, struct err *e)
{
    auto_fd int fd =
        openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && (errno == ENOENT || errno == ELOOP))
        return err_set(e, ERR_CORRUPT, "%s is %s", name,
                       errno == ENOENT ? "missing" : "a symbolic link");
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(e, "open %s", name);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_CORRUPT, "%s is not a regular file", name);
    *size = st.st_size;
    return take_fd(&fd);
}

static int hash_file(struct sum_file *f, struct err *e)
{
    auto_free char *buf = malloc(ADOPT_CHUNK);
    uint64_t offset;
    size_t index;

    if (!buf)
        return err_sys(e, "%s", f->name);
    for (;;) {
        ssize_t n = io_read_up_to(f->fd, buf, ADOPT_CHUNK, e);

        if (n < 0)
            return err_wrap(e, "%s", f->name);
        if (n == 0)
            return 0;
        if (take_place(f, n, &index, &offset, e) < 0)
            return -1;
        sum_digest(buf, n, f->entries[index].digest);
    }
}

int sum_adopt(int dirfd, const char *name, struct err *e)
{
    auto_sum struct sum_file *f = new_sum_file(dirfd, name, e);
    uint64_t size;

    if (!f)
        return -1;
    f->fd = open_regular(dirfd, name, &size, e);
    if (f->fd < 0 || hash_file(f, e) < 0)
        return -1;
    return sum_finish(take_ptr(f), e);
}

/* A NAME.sum that was read: `text` and where its next line begins. */
struct list {
    char sum_name[256];
    char *text;
    size_t size, at, line;
};

static void free_list(struct list *list)
{
    free(list->text);
}

#define auto_list __attribute__((cleanup(free_list)))

static bool is_digest(const char *text)
{
    return strspn(text, "0123456789abcdef") >= SUM_DIGEST_SIZE - 1;
}

/* The next line into *entry: 1, at the end 0. Nothing but the exact form is taken, so
 * that a flipped bit cannot hide in a spelling. */
static int next_entry(struct list *list, struct entry *entry, struct err *e)
{
    const char *p = list->text + list->at;
    uint64_t size = 0;
    int digits = 0;

    if (list->at == list->size)
        return 0;
    list->line++;
    while (digits < 7 && p[digits] >= '0' && p[digits] <= '9')
        size = size * 10 + (p[digits++] - '0');
    if (digits == 0 || p[0] == '0' || size > SUM_CHUNK_MAX || p[digits] != ' ' ||
        !is_digest(p + digits + 1) || p[digits + SUM_DIGEST_SIZE] != '\n')
        return err_set(e, ERR_CORRUPT, "%s line %zu is not 'SIZE DIGEST'",
                       list->sum_name, list->line);
    entry->size = size;
    memcpy(entry->digest, p + digits + 1, SUM_DIGEST_SIZE - 1);
    entry->digest[SUM_DIGEST_SIZE - 1] = '\0';
    list->at += digits + SUM_DIGEST_SIZE + 1;
    return 1;
}

/* Reads and checks the whole list; its text goes with it. */
static int read_list(int dirfd, struct list *list, struct sum_info *info, struct err *e)
{
    struct entry entry;
    uint64_t size;
    auto_fd int fd = open_regular(dirfd, list->sum_name, &size, e);
    int rc;

    if (fd < 0)
        return -1;
    if (io_read_fd(fd, LIST_MAX, &list->text, &list->size, e) < 0)
        return err_wrap(e, "%s", list->sum_name);
    *info = (struct sum_info){0};
    sum_digest(list->text, list->size, info->digest);
    while ((rc = next_entry(list, &entry, e)) > 0) {
        info->size_bytes += entry.size;
        info->chunks++;
    }
    list->at = list->line = 0;
    return rc;
}

/* Opens NAME and its list, and compares the sizes. */
static int open_both(int dirfd, const char *name, struct list *list,
                     struct sum_info *info, struct err *e)
{
    char own[256];
    uint64_t size;
    auto_fd int fd = -1;

    if (set_names(own, list->sum_name, name, e) < 0)
        return -1;
    fd = open_regular(dirfd, name, &size, e);
    if (fd < 0 || read_list(dirfd, list, info, e) < 0)
        return -1;
    if (size != info->size_bytes)
        return err_set(e, ERR_CORRUPT, "%s has %ju bytes, its checksums are for %ju",
                       name, (uintmax_t)size, (uintmax_t)info->size_bytes);
    return take_fd(&fd);
}

int sum_inspect(int dirfd, const char *name, struct sum_info *info, struct err *e)
{
    auto_list struct list list = {0};
    struct sum_info found;
    auto_fd int fd = open_both(dirfd, name, &list, &found, e);

    if (fd < 0)
        return -1;
    *info = found;
    return 0;
}

static int check_chunks(int fd, const char *name, uint64_t size_bytes,
                        struct list *list, sum_progress *progress, void *arg,
                        struct err *e)
{
    auto_free char *buf =
        malloc(size_bytes < SUM_CHUNK_MAX ? size_bytes + 1 : SUM_CHUNK_MAX);
    char digest[SUM_DIGEST_SIZE];
    uint64_t offset = 0;
    struct entry entry;
    int rc;

    if (!buf)
        return err_sys(e, "%s", name);
    while ((rc = next_entry(list, &entry, e)) > 0) {
        if (io_read_exact(fd, buf, entry.size, e) < 0)
            return err_wrap(e, "%s at %ju", name, (uintmax_t)offset);
        sum_digest(buf, entry.size, digest);
        if (strcmp(digest, entry.digest) != 0)
            return err_set(e, ERR_CORRUPT,
                           "%s: chunk %zu (%u bytes at %ju) does not match its "
                           "checksum",
                           name, list->line, entry.size, (uintmax_t)offset);
        offset += entry.size;
        if (progress)
            progress(arg, entry.size);
    }
    return rc;
}

int sum_check(int dirfd, const char *name, struct sum_info *info,
              sum_progress *progress, void *arg, struct err *e)
{
    auto_list struct list list = {0};
    struct sum_info found;
    auto_fd int fd = open_both(dirfd, name, &list, &found, e);

    if (fd < 0 || check_chunks(fd, name, found.size_bytes, &list, progress, arg, e) < 0)
        return -1;
    if (info)
        *info = found;
    return 0;
}

int sum_verify(int dirfd, const char *name, uint64_t *size_bytes, struct err *e)
{
    struct sum_info info;

    if (sum_check(dirfd, name, &info, NULL, NULL, e) < 0)
        return -1;
    if (size_bytes)
        *size_bytes = info.size_bytes;
    return 0;
}
