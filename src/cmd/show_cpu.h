/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What `qckpt show` says about the CPU contract of a generation.
 */
#ifndef CMD_SHOW_CPU_H
#define CMD_SHOW_CPU_H

struct cpu;
struct json_t;
struct store_meta;

/* A line; `here` NULL: this host's CPU is not known. */
void show_cpu_print(const struct store_meta *meta, const struct cpu *here);

/* null: it has none. */
struct json_t *show_cpu_json(const struct store_meta *meta, const struct cpu *here);

#endif
