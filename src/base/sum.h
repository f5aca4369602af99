/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files written in chunks, each with a checksum: how an engine writes into a generation
 * and how the store reads one back.
 *
 * A file NAME is accompanied by NAME.sum: one line a chunk, "SIZE DIGEST", in the order
 * in which the chunks lie in the file; the digest is XXH3-128 in 32 hexadecimal digits
 * (XXH128_canonical). doc/format/store.md is the specification. Chunks are at most
 * SUM_CHUNK_MAX bytes.
 */
#ifndef BASE_SUM_H
#define BASE_SUM_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct sum_file;

enum { SUM_CHUNK_MAX = 4 << 20, SUM_DIGEST_SIZE = 33 };

/* What NAME.sum says of NAME, and the digest of NAME.sum itself. */
struct sum_info {
    uint64_t size_bytes, chunks;
    char digest[SUM_DIGEST_SIZE];
};

/* Called after each chunk with its size. */
typedef void sum_progress(void *arg, uint64_t bytes);

/* XXH3-128 of a buffer, as text. */
void sum_digest(const void *data, size_t size, char out[SUM_DIGEST_SIZE]);

/* Creates NAME (0600, must not exist) in `dirfd`; `dirfd` must stay open meanwhile. */
struct sum_file *sum_create(int dirfd, const char *name, struct err *e);

/* Appends one chunk (an empty one is none) and tells where it lies; `offset` may be
 * NULL. Several threads may append at once: each chunk is hashed and written by its
 * caller, only the place is taken under a lock. After a failure sum_finish fails too.
 */
int sum_append(struct sum_file *f, const void *data, size_t size, uint64_t *offset,
               struct err *e);

/* Writes NAME.sum, syncs and closes both files. `f` is gone afterwards, also on
 * failure. */
int sum_finish(struct sum_file *f, struct err *e);

/* Writes a whole file in as many chunks as it takes, with its sums. */
int sum_write_file(int dirfd, const char *name, const void *data, size_t size,
                   struct err *e);

/* Gives up: closes without syncing, leaves NAME. NULL is allowed. */
void sum_abandon(struct sum_file *f);

/* Makes NAME.sum for a file that another program wrote, and syncs both (DMTCP images).
 */
int sum_adopt(int dirfd, const char *name, struct err *e);

/* Reads NAME.sum and compares it with the size of NAME; no chunk is read. */
int sum_inspect(int dirfd, const char *name, struct sum_info *info, struct err *e);

/* Re-reads NAME and compares every chunk with NAME.sum; a difference is ERR_CORRUPT and
 * names the chunk and its place. `info` and `progress` may be NULL. */
int sum_check(int dirfd, const char *name, struct sum_info *info,
              sum_progress *progress, void *arg, struct err *e);

/* The same in short. `size_bytes` may be NULL. */
int sum_verify(int dirfd, const char *name, uint64_t *size_bytes, struct err *e);

#endif
