/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside ge: the resources that a job asks for.
 */
#ifndef GE_REQUESTS_H
#define GE_REQUESTS_H

#include "base/scope.h"
#include "ge/ge.h"

#include <stddef.h>

/* ---- name=value, in the order of the job ---- */

struct request {
    char *name, *value;
};

struct requests {
    struct request *list;
    size_t n, room;
};

void requests_free(struct requests *r);
#define auto_requests __attribute__((cleanup(requests_free)))

/* NULL: there is none. Names are compared as they are: qstat has the full names. */
struct request *requests_find(const struct requests *r, const char *name);
int requests_add(struct requests *r, const char *name, const char *value,
                 struct err *e);

/* The hard requests of `job` from `qstat -j JOB -xml`. ERR_GONE: no such job. `r` must
 * be empty. */
int requests_parse(const char *xml, const char *job, struct requests *r, struct err *e);

/* "a=1,b=x", to be freed. ERR_CORRUPT: a value that qalter would read as something
 * else (sge_types(5): a comma or space ends it). */
char *requests_format(const struct requests *r, struct err *e);

/* ---- the plan ---- */

struct ge_raise {
    char job[GE_ID_SIZE];
    struct requests after;    /* the whole hard list as it shall be */
    struct requests required; /* of the wanted those that can be asked for */
    char *list;
    char required_text[512];
    struct ge_raise_report report;
};

#endif
