/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an error of a restart says of the generation that was to be restarted. An older
 * one is work lost, so it takes more than one failure to give a generation up:
 * doc/design/supervisor.md, "A restart that fails".
 */
#ifndef JOB_FAILURE_H
#define JOB_FAILURE_H

struct err;

enum failure {
    /* It is damaged, or not there: proven, and the same everywhere and for ever. */
    FAILURE_DAMAGE,
    /* This host lacks what it needs; another one may have it. */
    FAILURE_WRONG_HOST,
    /* Of the moment or the host: no memory, no room, too slow, killed. It says nothing
     * of the generation, however often it happens. */
    FAILURE_MOMENT,
    /* Anything else: the generation may be the reason, or the host, or a file that is
     * missing for an hour. Only that it happens again and again tells. */
    FAILURE_OTHER,
};

enum failure failure_of(const struct err *e);

#endif
