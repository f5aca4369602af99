/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The hosts of a job that runs on several, from its PE_HOSTFILE (sge_pe(5)): a line for
 * each queue instance, "HOST SLOTS QUEUE PROCESSORS".
 */
#ifndef DMTCP_HOSTS_H
#define DMTCP_HOSTS_H

#include <netinet/in.h>
#include <stddef.h>

struct err;

struct hosts {
    char **other; /* the names of all but this one, each once, ended by NULL; owned */
    size_t n;
    char address[INET_ADDRSTRLEN]; /* this host's, as the others know it */
};

/* ERR_FAILED names the line that is wrong, or the host: each must have an IPv4 address,
 * and one must be this host. */
int hosts_read(const char *path, struct hosts *out, struct err *e);

/* For a job that ran on several hosts and is restarted on this one alone. */
int hosts_alone(struct hosts *out, struct err *e);

/* The names alone, in the order of the file, this host's among them; `address` is left
 * empty. */
int hosts_parse(const char *text, struct hosts *out, struct err *e);

void hosts_free(struct hosts *h);
#define auto_hosts __attribute__((cleanup(hosts_free)))

#endif
