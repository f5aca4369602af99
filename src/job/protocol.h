/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is said on the control socket: one line of JSON each, the last one of an answer
 * has "done": true. doc/format/control.md is the specification.
 */
#ifndef JOB_PROTOCOL_H
#define JOB_PROTOCOL_H

#include "base/err.h"
#include "job/job.h"

#include <stddef.h>

/* A line with its newline and a NUL; longer ones are refused by both sides. */
enum { PROTOCOL_LINE_MAX = 8192 };

enum protocol_op { OP_CHECKPOINT, OP_STATUS, OP_CHECK_EPOCH };

struct protocol_request {
    enum protocol_op op;
    bool stop; /* OP_CHECKPOINT */
};

/* An answer, or a line of progress on the way to one. */
struct protocol_answer {
    bool done;
    uint64_t bytes, total_bytes; /* progress: !done */
    struct err e;                /* done: ERR_NONE, or why not */
    struct job_checkpoint checkpoint;
    struct job_status status;
};

/* Each writes one line into `line` and returns its length. */
size_t protocol_write_request(const struct protocol_request *r,
                              char line[PROTOCOL_LINE_MAX]);
size_t protocol_write_progress(uint64_t bytes, uint64_t total_bytes,
                               char line[PROTOCOL_LINE_MAX]);
size_t protocol_write_checkpoint(const struct job_checkpoint *c,
                                 char line[PROTOCOL_LINE_MAX]);
size_t protocol_write_status(const struct job_status *status,
                             char line[PROTOCOL_LINE_MAX]);
size_t protocol_write_error(const struct err *error, char line[PROTOCOL_LINE_MAX]);

/* Each reads one line of `size` bytes, without its newline. ERR_CORRUPT on anything
 * that does not follow the protocol; unknown members are ignored. */
int protocol_read_request(const char *line, size_t size, struct protocol_request *r,
                          struct err *e);
int protocol_read_answer(const char *line, size_t size, struct protocol_answer *a,
                         struct err *e);

#endif
