/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The programs that Grid Engine calls. Each is `qckpt` under another name; main
 * dispatches on the last part of argv[0] and leaves that part in argv[0]: it is how a
 * hook calls itself in messages.
 *
 * They return as every command does: 0, or -1 and `e`, whose kind decides the exit
 * status.
 */
#ifndef CMD_HOOK_H
#define CMD_HOOK_H

struct err;

/* starter_method. Does not return when it becomes the job or ends as the job ended. */
int cmd_hook_starter(int argc, char **argv, struct err *e);

/* ckpt_command, migr_command, clean_command. */
int cmd_hook_checkpoint(int argc, char **argv, struct err *e);
int cmd_hook_migrate(int argc, char **argv, struct err *e);
/* migr_command that raises the job's requests to hosts that can continue it, first. */
int cmd_hook_migrate_cpu(int argc, char **argv, struct err *e);
int cmd_hook_clean(int argc, char **argv, struct err *e);

/* load_sensor. */
int cmd_hook_sensor(int argc, char **argv, struct err *e);

/* jsv_url, qsub -jsv. */
int cmd_hook_jsv(int argc, char **argv, struct err *e);

#endif
