/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The process of the door: starts the coordinator, answers it, tells the caller.
 *
 * It executes nothing and allocates nothing. It holds eight descriptors, and those of
 * connections that have not said anything yet (porch.h). What it tells is
 * one packet a time on a socket of type SOCK_SEQPACKET; from there comes one byte,
 * which lets the coordinator go on. The end of that socket ends both.
 */
#ifndef DMTCP_KEEPER_H
#define DMTCP_KEEPER_H

#include "base/err.h"
#include "dmtcp/door.h"
#include "dmtcp/peer.h"

enum keeper_tells {
    KEEPER_STARTED = 1, /* the coordinator runs under its filter */
    KEEPER_FAILED,      /* it could not be started: error and text */
    KEEPER_WRITTEN,
    KEEPER_RESTORED,
    KEEPER_STRANGER, /* text */
    KEEPER_ENDED,    /* the coordinator has: text; the door ends with it */
};

struct keeper_packet {
    enum keeper_tells what;
    enum err_kind error;
    int status; /* KEEPER_ENDED: how, as wait(2) gives it */
    char text[DOOR_TEXT_SIZE];
};

/* What the caller prepares before it forks. */
struct keeper {
    int channel, listener, log, diag;
    struct peer_hosts hosts;
    const char *program;
    char *const *argv, *const *envp;
};

/* Is the door until its end. `parent` is the caller's pid: the door dies with it. */
_Noreturn void keeper_run(struct keeper *k, pid_t parent);

#endif
