/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * To which host each image of a restart comes. What was together on a host stays
 * together: what the root was with comes here, the others to one of this run's other
 * hosts each, as far as there are so many.
 */
#ifndef DMTCP_PLACES_H
#define DMTCP_PLACES_H

#include <stddef.h>

struct err;
struct gate;
struct record;
struct session;

/* Of each image: 0 is here, N is session->links.link[N - 1]. The links are open. If it
 * can be, each comes to a host that would do by the gate, which may be NULL. The caller
 * frees *place. */
int places_choose(const struct session *s, const struct record *r,
                  const struct gate *gate, size_t **place, struct err *e);

/* Asks the gate for each host of the run, this one among them, with what has to come
 * there. Nothing has been started. */
int places_use(struct session *s, const struct record *r, const size_t *place,
               const struct gate *gate, struct err *e);

#endif
