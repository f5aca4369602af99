/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Room on the disk, proven before it is needed: DMTCP ends the job when a write of an
 * image fails.
 */
#ifndef DMTCP_ROOM_H
#define DMTCP_ROOM_H

#include <stdint.h>

struct err;

/* Whether `bytes` can be written into the directory now, quota and all: they are set
 * aside in a file for a moment. Where a file system cannot set aside (NFS before 4.2),
 * what it says of its free room has to do. ERR_REFUSED: they cannot. */
int room_prove(int dirfd, uint64_t bytes, struct err *e);

#endif
