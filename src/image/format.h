/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The file `image`, inside the module: a header, records, an end record.
 *
 *   header   8 bytes "QCKPTIMG", u32 version, u32 zero, u64 XXH3-64 of these 16 bytes
 *   record   u32 type, u64 length, payload, u64 XXH3-64 of type, length and payload
 *   end      a record: u64 number of records before it, XXH3-128 (canonical) of all
 *            bytes before it; nothing follows
 *
 * doc/format/image.md specifies the payloads.
 */
#ifndef IMAGE_FORMAT_H
#define IMAGE_FORMAT_H

#include "image/codec.h"
#include "image/image.h"

struct err;

enum {
    FORMAT_VERSION = 1,
    FORMAT_HEADER_SIZE = 24,
    FORMAT_RECORD_HEAD = 12,   /* type and length */
    FORMAT_RECORD_TAIL = 8,    /* checksum */
    FORMAT_LIST_MAX = 1 << 16, /* runs or chunks in one record */
};
#define FORMAT_MAGIC "QCKPTIMG"

/* Above this an `image` is not read: its size is the first thing a stranger could lie
 * about. A million processes with a million mappings do not come near. */
#define FORMAT_FILE_MAX (UINT64_C(4) << 30)

/* User addresses of x86_64 end here. With five levels of page tables there are more,
 * for a program that asks for one of them by name (mmap(2)). */
#define FORMAT_ADDRESS_END (UINT64_C(1) << 47)

enum format_record {
    FORMAT_HOST = 1,
    FORMAT_OBJECT,
    FORMAT_FILE,
    FORMAT_CARRIED,
    FORMAT_PROCESS,
    FORMAT_THREAD, /* this and the next two belong to the process before them */
    FORMAT_VMAS,
    FORMAT_FDS,
    FORMAT_RUNS,
    FORMAT_CHUNKS,
    FORMAT_END,
};

/* Receives each record of an image in the order of the file. */
typedef int format_emit(void *arg, uint32_t type, const struct enc *payload,
                        struct err *e);

/* encode.c: everything but the end record. */
int format_encode(const struct image *img, format_emit *emit, void *arg, struct err *e);

/* decode.c: adds what one record says to `img`. */
int format_decode(struct image *img, uint32_t type, struct dec *d, struct err *e);

/* A word for people; never NULL. */
const char *format_record_name(uint32_t type);

/* record.c: a whole file in memory. */
struct image *format_read(const void *data, size_t size, struct err *e);

/* check.c: whether all that an image says is possible. Architecture and page size. */
int format_check_host(const struct image *img, struct err *e);
/* Everything else. */
int format_check(const struct image *img, struct err *e);
/* check_process.c: one process by itself. */
int format_check_process(const struct image *img, const struct image_process *p,
                         struct err *e);
/* check_memory.c: runs and chunks. */
int format_check_memory(const struct image *img, struct err *e);

#endif
