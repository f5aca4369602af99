/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One checkpoint of a job under DMTCP.
 *
 *     capture_begin
 *     capture_step     waits for a moment in which the job can be saved; then it is
 * asked to stop and write its images (the door)       it has: the set is checked and
 * gets its second name in the generation; the job runs on, or stands still when it
 * shall stop (a child)        makes the sums and the record capture_finish
 *
 * A process that ends between the two is in no image. The job then runs on, and is
 * asked again a few times.
 */
#ifndef DMTCP_CAPTURE_H
#define DMTCP_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

struct capture;
struct err;
struct session;

struct capture_how {
    int dirfd;                /* of the generation; stays open until the end */
    bool stop;                /* the job stands still until capture_end */
    unsigned timeout_s;       /* DMTCP may do nothing visible for so long */
    bool gzip;                /* images are compressed, by how the job was launched */
    const char *carry_tmpdir; /* a directory whose contents travel, or NULL; lives on */
};

struct capture_stats {
    uint32_t processes, threads;
    uint64_t bytes;
    uint64_t pause_us; /* of all tries together */
};

/* Touches nothing. */
struct capture *capture_begin(struct session *s, const struct capture_how *how,
                              struct err *e);

/* Readable when capture_step has something to do. */
int capture_fd(const struct capture *c);

/* Does what is to be done, without waiting but for short answers of DMTCP's coordinator
 * and for compressors. True when capture_finish will not wait. */
bool capture_step(struct capture *c, uint64_t *bytes, uint64_t *total_bytes);

/* Waits for the end. 0: the generation's files are complete and durable. -1 and
 * ERR_REFUSED: what is in the way, by pid; momentary, if it may pass. The job stands
 * still if it shall stop and has been asked, whatever the result, until capture_end. */
int capture_finish(struct capture *c, struct capture_stats *stats, struct err *e);

/* Whether DMTCP was asked for it: else the job has not been touched. */
bool capture_has_asked(const struct capture *c);

/* Whether the job was to stand still until capture_end. */
bool capture_stops(const struct capture *c);

/* Whether DMTCP is still at it, though capture_finish has given up waiting: then the
 * job goes on by capture_late, when DMTCP is ready. */
bool capture_is_overdue(const struct capture *c);

/* Whether it has been at it for so long that the job will not run again. */
bool capture_is_hopeless(const struct capture *c);

/* To be called now and then with an overdue one. True when it is over. */
bool capture_late(struct capture *c);

/* Lets the job run if it stands still, and frees. NULL is allowed. */
void capture_end(struct capture *c);

#endif
