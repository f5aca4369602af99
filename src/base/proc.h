/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What /proc says of a process (proc(5), Documentation/filesystems/proc.rst).
 *
 * Pids given to these functions are as this program sees them. A process that is gone
 * meanwhile is ERR_GONE.
 */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* The pids behind NAME in a list that grows. */
struct proc_pids {
    pid_t *pid; /* owned */
    size_t n;
};

void proc_pids_free(struct proc_pids *p);

/* Threads of a process; and its children, those of all its threads. */
int proc_threads(pid_t pid, struct proc_pids *out, struct err *e);
int proc_children(pid_t pid, struct proc_pids *out, struct err *e);

/* Fields of /proc/PID/stat. */
struct proc_stat {
    char state;
    pid_t ppid;
    int tty, tty_pgrp;
    int nice;
    unsigned num_threads;
    uint64_t start_code, end_code, start_stack;
    uint64_t start_data, end_data, start_brk;
    uint64_t arg_start, arg_end, env_start, env_end;
    int exit_code; /* wait status of a zombie */
};

int proc_stat_read(pid_t pid, struct proc_stat *out, struct err *e);

/* Fields of /proc/PID/status; the `inner_` ids are as the process itself sees them. */
struct proc_status {
    pid_t inner_pid, inner_pgid, inner_sid;
    pid_t tracer;
    uint32_t uid[4], gid[4];
    uint32_t umask_bits;
    uint64_t cap_inheritable, cap_permitted, cap_effective, cap_bounding, cap_ambient;
    uint64_t sig_ignored, sig_caught;
    uint64_t locked_kib;
    bool no_new_privs;
    bool thp_disabled; /* for the whole process; Linux 5.0 */
    int seccomp;       /* 0 none, 1 strict, 2 filter */
    bool shadow_stack;
};

int proc_status_read(pid_t pid, struct proc_status *out, struct err *e);

/* The id of a thread as it sees itself. */
int proc_inner_tid(pid_t pid, pid_t tid, pid_t *inner, struct err *e);

/* The processor that a thread ran on last. */
int proc_last_cpu(pid_t pid, pid_t tid, int *cpu, struct err *e);

/* One line of /proc/PID/maps. */
struct proc_map {
    uint64_t start, end, offset, inode;
    uint32_t prot; /* PROT_* */
    uint32_t major, minor;
    bool shared, deleted;
    char *path; /* owned; "" for none; without " (deleted)" */
};

struct proc_maps {
    struct proc_map *map; /* owned */
    size_t n;
};

int proc_maps_read(pid_t pid, struct proc_maps *out, struct err *e);
void proc_maps_free(struct proc_maps *m);

/* What /proc/PID/smaps has besides of a mapping: the two-letter codes of its VmFlags,
 * and its protection key (pkeys(7)), 0 where there are none. */
struct proc_vm {
    uint64_t start, end;
    const char *flags;
    unsigned key;
};

/* Called in the order of addresses; not 0 ends the reading, and is the result. */
typedef int proc_vm_each(void *arg, const struct proc_vm *vm, struct err *e);
int proc_vm_read(pid_t pid, proc_vm_each *each, void *arg, struct err *e);
/* The same of a text, which is changed. */
int proc_vm_parse(char *text, proc_vm_each *each, void *arg, struct err *e);

/* The target of /proc/PID/NAME; a new string. */
int proc_link(pid_t pid, const char *name, char **target, struct err *e);

/* The whole of /proc/PID/NAME; a new buffer with a NUL behind it. */
int proc_file(pid_t pid, const char *name, char **data, size_t *size, struct err *e);

#endif
