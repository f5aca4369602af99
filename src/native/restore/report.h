/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the processes of a restart in the making tell the program that restores, over
 * one SOCK_SEQPACKET socket pair: a message arrives whole, and the kernel adds the
 * sender's pid as the receiver sees it (unix(7), SO_PASSCRED), which is how the pids of
 * the new namespace become known outside.
 */
#ifndef NATIVE_RESTORE_REPORT_H
#define NATIVE_RESTORE_REPORT_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

enum report_kind {
    REPORT_FAILED = 1, /* `err` says why; nothing of the job will run */
    REPORT_OPENED,     /* init has all files and objects */
    REPORT_READY,      /* a process is set up as far as it can do that itself */
    REPORT_COMMITTED,  /* init has done what cannot be undone: the job may run */
};

struct report {
    uint32_t kind;
    int32_t pid; /* the sender as it sees itself */
    struct err err;
};

/* *receiver is for this program, *sender for its children; also gives init its word. */
int report_pair(int *receiver, int *sender, struct err *e);

void report_send(int fd, enum report_kind kind, const struct err *err);

/* Waits for the next message, at most timeout_ms (-1: for ever). *sender is its pid as
 * this program sees it. ERR_TIMEOUT; ERR_FAILED when all senders are gone. */
int report_receive(int fd, int timeout_ms, struct report *r, pid_t *sender,
                   struct err *e);

/* The one word that goes the other way: init may commit. */
int report_allow_commit(int fd, struct err *e);
/* In init: waits for it; -1 when the restoring program is gone. */
int report_wait_for_commit(int fd, struct err *e);

#endif
