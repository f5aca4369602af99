/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Locks on files, as the lines "lock:" of fdinfo show them (proc(5)).
 */
#include "base/err.h"
#include "base/log.h"
#include "image/codec.h"
#include "native/files/kind.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

enum { LOCKS_MAX = 1 << 20 };

/* "lock:	1: POSIX  ADVISORY  WRITE 22908 fe:00:10952756 5 14" */
static int parse(const char *line, const struct found *f, struct files_lock *out,
                 struct err *e)
{
    char kind[16], mode[16], access[16], end[32];
    uint64_t start;

    if (sscanf(line, "lock: %*d: %15s %15s %15s %*d %*x:%*x:%*u %" SCNu64 " %31s", kind,
               mode, access, &start, end) != 5)
        return err_set(e, ERR_FAILED, "process %d descriptor %d: unknown lock: %.60s",
                       f->pid, f->fd, line);
    *out = (struct files_lock){
        .exclusive = strcmp(access, "WRITE") == 0,
        .start = start,
        .end = strcmp(end, "EOF") == 0 ? UINT64_MAX : strtoull(end, NULL, 10)};
    if (strcmp(kind, "POSIX") == 0) {
        out->kind = FILES_LOCK_POSIX;
        out->process = f->process;
    } else if (strcmp(kind, "OFDLCK") == 0) {
        out->kind = FILES_LOCK_OFD;
    } else if (strcmp(kind, "FLOCK") == 0) {
        out->kind = FILES_LOCK_FLOCK;
    } else {
        return files_refuse(f, e, "%s, under a %s, which cannot be saved", f->link,
                            strcmp(kind, "LEASE") == 0 ? "lease" : "lock of new kind");
    }
    return 0;
}

static bool is_known(const struct saved *s, const struct files_lock *lock)
{
    for (uint32_t i = 0; i < s->n_locks; i++) {
        const struct files_lock *k = &s->locks[i];

        if (k->kind == lock->kind && k->process == lock->process &&
            k->start == lock->start && k->end == lock->end)
            return true;
    }
    return false;
}

int files_locks_collect(struct saved *s, const struct found *f, struct err *e)
{
    for (const char *line = strstr(f->info, "\nlock:"); line;
         line = strstr(line + 1, "\nlock:")) {
        struct files_lock lock, *added;

        if (strstr(line, "->") && strstr(line, "->") < strchrnul(line + 1, '\n'))
            continue; /* somebody who waits */
        if (parse(line + 1, f, &lock, e) < 0)
            return -1;
        if (is_known(s, &lock))
            continue;
        added = image_append((void **)&s->locks, &s->n_locks, sizeof(*s->locks));
        if (!added)
            return err_sys(e, "locks of process %d", f->pid);
        *added = lock;
    }
    return 0;
}

void files_locks_encode(struct enc *c, const struct saved *s)
{
    enc_u32(c, s->n_locks);
    for (uint32_t i = 0; i < s->n_locks; i++) {
        enc_u8(c, s->locks[i].kind);
        enc_u8(c, s->locks[i].exclusive);
        enc_u32(c, s->locks[i].process);
        enc_u64(c, s->locks[i].start);
        enc_u64(c, s->locks[i].end);
    }
}

int files_locks_decode(struct dec *d, struct files_lock **locks, uint32_t *n)
{
    uint32_t count = dec_u32(d);

    *locks = NULL;
    *n = 0;
    if (d->failed || count > LOCKS_MAX || count > (d->size - d->pos))
        return -1;
    *locks = calloc(count + 1, sizeof(**locks));
    if (!*locks)
        return -1;
    for (; *n < count; ++*n) {
        struct files_lock *lock = &(*locks)[*n];

        lock->kind = dec_u8(d);
        lock->exclusive = dec_u8(d);
        lock->process = dec_u32(d);
        lock->start = dec_u64(d);
        lock->end = dec_u64(d);
        if (lock->kind < FILES_LOCK_FLOCK || lock->kind > FILES_LOCK_POSIX ||
            lock->start > INT64_MAX || lock->end < lock->start)
            d->failed = true;
    }
    return d->failed ? -1 : 0;
}

static int take(int fd, const struct files_lock *lock)
{
    struct flock range = {.l_type = lock->exclusive ? F_WRLCK : F_RDLCK,
                          .l_whence = SEEK_SET,
                          .l_start = lock->start,
                          .l_len =
                              lock->end >= INT64_MAX ? 0 : lock->end - lock->start + 1};

    if (lock->kind == FILES_LOCK_FLOCK)
        return flock(fd, (lock->exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
    return fcntl(fd, lock->kind == FILES_LOCK_OFD ? F_OFD_SETLK : F_SETLK, &range);
}

void files_locks_take(int fd, const struct files_lock *locks, uint32_t n,
                      uint32_t process, const char *path)
{
    for (uint32_t i = 0; i < n; i++) {
        bool of_process = locks[i].kind == FILES_LOCK_POSIX;

        if (of_process ? locks[i].process != process : process != IMAGE_NONE)
            continue;
        if (take(fd, &locks[i]) < 0)
            log_warning("the job's lock on %s could not be taken again: %m", path);
    }
}
