/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whole reads and writes, and files made durable.
 *
 * Every function retries EINTR. Names are relative to a directory descriptor, are never
 * followed through a symbolic link at their last part, and descriptors are O_CLOEXEC.
 */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* Writes all of it. */
int io_write_all(int fd, const void *data, size_t size, struct err *e);
int io_pwrite_all(int fd, const void *data, size_t size, uint64_t offset,
                  struct err *e);

/* Reads `size` bytes, or as many as there are before the end of the file; their number.
 */
ssize_t io_read_up_to(int fd, void *data, size_t size, struct err *e);

/* Reads exactly `size` bytes; the end of the file before that is ERR_CORRUPT. */
int io_read_exact(int fd, void *data, size_t size, struct err *e);
int io_pread_exact(int fd, void *data, size_t size, uint64_t offset, struct err *e);

/* Reads to the end, at most `max` bytes (more is ERR_CORRUPT), into a new buffer with a
 * NUL behind it. The caller frees *data. `size` may be NULL. */
int io_read_fd(int fd, size_t max, char **data, size_t *size, struct err *e);
int io_read_file(int dirfd, const char *name, size_t max, char **data, size_t *size,
                 struct err *e);

/* The size of all plain files in a directory, without those in directories below. What
 * cannot be looked at counts as nothing. */
uint64_t io_bytes_in(int dirfd);

/* Creates a file that must not exist yet, mode 0600, durable when it returns. */
int io_create_file(int dirfd, const char *name, const void *data, size_t size,
                   struct err *e);

/* Writes to a file that exists, in one write(2): a setting of the kernel. */
int io_write_text(const char *path, const char *text, struct err *e);

/* Closes *fd and reports what close reports (NFS: a write that failed). *fd is -1 then.
 */
int io_close(int *fd, struct err *e);

/* fsync of a directory given by descriptor. */
int io_sync_dir(int dirfd, struct err *e);

/* Removes `name` and everything below it without following links; a missing name is no
 * error. */
int io_remove_tree(int dirfd, const char *name, struct err *e);

/* Moves *fd to `min` or above and keeps O_CLOEXEC, so that it is out of a job's way. */
int io_move_fd(int *fd, int min, struct err *e);

#endif
