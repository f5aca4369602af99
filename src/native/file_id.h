/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether a file that a job had mapped is the same at the restart.
 *
 * A program or library is known by its build id (the note NT_GNU_BUILD_ID, elf(5)),
 * which is the same on all hosts that have the same package; any other file by its size
 * and time of change.
 */
#ifndef NATIVE_FILE_ID_H
#define NATIVE_FILE_ID_H

struct err;
struct image_file_id;

/* Reads what identifies the regular file open at `fd` (only pread is used). */
int file_id_read(int fd, struct image_file_id *id, struct err *e);

/* ERR_REFUSED, with `path` named, when the file at `fd` is another than `id` says. */
int file_id_check(int fd, const char *path, const struct image_file_id *id,
                  struct err *e);

#endif
