/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A checkpoint under way: what its steps hand to one another. Private to the saving
 * side.
 *
 *   freeze.c             stand still
 *   collect_process.c    look, and refuse what cannot be saved; nothing is changed yet
 *   collect_thread.c
 *   collect_memory.c
 *   collect_sysv.c
 *   collect_calls.c      ask the rest by injected system calls
 *   borrow.c             memory that they need
 *   features.c           refuse what the process has of the CPU for the asking
 *   snapshot.c           copy-on-write copies of the processes
 *   checkpoint.c         the order of it all; thaw; the writer
 */
#ifndef NATIVE_SAVE_SAVE_H
#define NATIVE_SAVE_SAVE_H

#include "image/image.h"
#include "native/files/files.h"
#include "native/native.h"
#include "native/save/freeze.h"
#include "native/save/interrupted.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* Memory that was copied while the job stood still: it would change, or not be there,
 * in a copy-on-write snapshot. */
struct save_copy {
    uint32_t vma;         /* index into the process's vmas */
    uint64_t start, size; /* a part of it */
    void *data;           /* mmap of `size`; owned */
};

/* Belongs to img->processes[i] and f->processes[i]. */
struct save_process {
    pid_t snapshot;            /* 0: none */
    pid_t source;              /* the process whose memory is written; 0: a zombie */
    bool *from_mem;            /* [n_vmas]: read by the writer from memory; owned */
    struct proc_status status; /* as it was found */
    struct save_copy *copies;  /* owned */
    uint32_t n_copies;
};

/* The identity of a file that some process has mapped: most map the same libraries. */
struct save_mapped {
    uint32_t major, minor;
    uint64_t inode;
    const char *path; /* of the image */
    struct image_file_id id;
};

struct save {
    const struct native_root *root;
    struct interrupted *interrupted; /* the job's; lives longer than a checkpoint */
    struct image *img;
    struct freeze *f;
    struct files_save *files;
    struct save_process *processes; /* [f->n_processes] */
    int *object_copies;             /* [img->n_objects]: memfd of the contents, or -1 */
    uint32_t n_object_copies;
    struct save_mapped *mapped; /* owned */
    uint32_t n_mapped;
    bool snapshot; /* the job goes on while its copy is written */
};

enum { SAVE_PAGE_SIZE = 4096 };

/* Copies a mapping now, what the writer could not read later: all of it, or only the
 * pages that are the process's own. */
int save_copy_vma(struct save *s, uint32_t i, uint32_t vma, bool own, struct err *e);

/* ERR_REFUSED names pid and object. They look, and change nothing. */
int collect_process(struct save *s, uint32_t i, struct err *e);
int collect_threads(struct save *s, uint32_t i, struct err *e);
int collect_memory(struct save *s, uint32_t i, struct err *e);
int collect_sysv(const struct save *s, struct err *e);

/* After files_save_process of all processes: shared memory that is not in any file. */
int collect_objects(struct save *s, uint32_t i, struct err *e);
int collect_object_copies(struct save *s, struct err *e);

/* Injects: reads timers, signal actions and the like. */
int collect_calls(struct save *s, uint32_t i, struct err *e);

/* Reads the flags of the mappings (madvise, mlock...) from /proc/PID/smaps of `pid`:
 * the process itself, or better its snapshot, for that takes long. ERR_REFUSED names a
 * mapping with a protection key. */
int collect_vm_flags(struct save *s, uint32_t i, pid_t pid, struct err *e);

/* Makes the copy; with ERR_SYS EAGAIN or ENOMEM there is no room for it. */
int snapshot_make(struct save *s, uint32_t i, struct err *e);
/* Copies what is not in the snapshot (MADV_DONTFORK). */
int snapshot_complete(struct save *s, uint32_t i, struct err *e);
void snapshot_kill(struct save *s);
/* Whether memory limits leave room for snapshots of all processes. */
bool snapshot_has_room(const struct save *s);

/* The process's id as the job sees it, for messages. */
static inline int save_pid(const struct save *s, uint32_t i)
{
    return s->img->processes[i].pid;
}

#endif
