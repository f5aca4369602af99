/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * job.json: what was started, for people who look at a job's directory later.
 */
#ifndef JOB_RECORD_H
#define JOB_RECORD_H

struct err;
struct job_config;
struct json_t;

/* The caller owns the reference. Words that are not UTF-8 are written with \x escapes:
 * the record is looked at, never executed. */
struct json_t *record_make(const struct job_config *config, struct err *e);

#endif
