/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Mounts of a process's own, with or without privileges (mount_namespaces(7),
 * user_namespaces(7)).
 */
#ifndef PLACE_MOUNTS_H
#define PLACE_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* Whether this process has all of these capabilities (1 << CAP_...). */
bool mounts_has_capabilities(uint64_t wanted);

/* In a new user namespace: maps this user and this group to themselves. */
int mounts_map_ids(uid_t uid, gid_t gid, struct err *e);

/* In a new mount namespace: what is mounted here does not spread. */
int mounts_detach(struct err *e);

/* Leaves this process alone with mounts of its own, in a new user namespace where that
 * takes one. PR_SET_PDEATHSIG is to be set afterwards: the kernel forgets it here. */
int mounts_unshare(struct err *e);

#endif
