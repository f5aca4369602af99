/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the native engine knows of a job at the moment of its checkpoint, and how that
 * is kept in two files of a generation:
 *
 *   image    records that describe processes, threads, mappings, open files...; the
 * index of `memory` is among them memory   the contents of pages, in chunks
 *
 * Every id (pid, tid, pgid, sid, uid) is as the job itself sees it. doc/format/image.md
 * is the specification. What is read from a file is input from outside: image_load
 * checks every length, count, index and address, so that its users need not.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "base/scope.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

#define IMAGE_NONE UINT32_MAX /* an index that points at nothing */

struct image_blob {
    void *data; /* owned */
    size_t size;
};

/* ---- threads ---- */

struct image_signal {
    uint8_t info[128]; /* siginfo_t as PTRACE_PEEKSIGINFO gives it (ptrace(2)) */
};

struct image_thread {
    int32_t tid;
    char comm[16];
    struct image_blob regs;   /* NT_PRSTATUS, as arch_thread_fix_image left it */
    struct image_blob xstate; /* NT_X86_XSTATE: standard XSAVE format */
    uint64_t sigmask;
    uint64_t robust_list, robust_list_size;
    uint64_t clear_child_tid;
    uint64_t rseq_addr;
    uint32_t rseq_size, rseq_signature;
    uint64_t altstack_addr, altstack_size;
    uint32_t altstack_flags;
    int32_t sched_policy, sched_priority, nice;
    uint64_t timer_slack_ns;
    struct image_signal *pending; /* sent to this thread, owned */
    uint32_t n_pending;
};

/* ---- memory ---- */

enum image_vma_kind {
    IMAGE_VMA_ANON = 1,     /* private, no file behind it */
    IMAGE_VMA_FILE_PRIVATE, /* private copy of the file `path` */
    IMAGE_VMA_FILE_SHARED,  /* the file `path` itself */
    IMAGE_VMA_OBJECT,       /* shares object `object` with whoever maps or opens it */
    IMAGE_VMA_VDSO,
    IMAGE_VMA_VVAR,
    IMAGE_VMA_OBJECT_PRIVATE, /* private copy of object `object` (a deleted file) */
};

enum image_vma_flag {
    IMAGE_VMA_GROWSDOWN = 1 << 0,
    IMAGE_VMA_LOCKED = 1 << 1,
    IMAGE_VMA_DONTFORK = 1 << 2,
    IMAGE_VMA_WIPEONFORK = 1 << 3,
    IMAGE_VMA_DONTDUMP = 1 << 4,
    IMAGE_VMA_HUGEPAGE = 1 << 5,
    IMAGE_VMA_NOHUGEPAGE = 1 << 6,
    IMAGE_VMA_NORESERVE = 1 << 7,
    IMAGE_VMA_MERGEABLE = 1 << 8,
};

/* A file that must be the same at restart: by build id where it has one, else by size
 * and time of change. */
struct image_file_id {
    uint64_t size, mtime_ns;
    uint8_t build_id[32];
    uint32_t build_id_size; /* 0: no build id */
};

struct image_vma {
    uint64_t start, end;
    uint64_t offset; /* into the file or object */
    uint32_t prot;   /* PROT_* */
    uint32_t kind, flags;
    uint32_t object; /* IMAGE_VMA_OBJECT*, else IMAGE_NONE */
    char *path;      /* FILE_*, else NULL; owned */
    char *name;      /* of anonymous memory (PR_SET_VMA_ANON_NAME) or NULL; owned */
    struct image_file_id id; /* FILE_* */
    bool file_writable;      /* FILE_SHARED: was opened for writing (VmFlags mw) */
};

/* Memory or a file without a name that several mappings and descriptors share. Its
 * contents lie in `memory`. */
enum image_object_kind {
    IMAGE_OBJECT_ANON = 1, /* MAP_SHARED | MAP_ANONYMOUS */
    IMAGE_OBJECT_MEMFD,
    IMAGE_OBJECT_DELETED, /* a file that was unlinked; `path` is where it was */
    IMAGE_OBJECT_SHM,     /* a node-local file that travels: /dev/shm/NAME, `path` */
};

struct image_object {
    uint32_t kind;
    uint32_t mode;  /* permission bits */
    uint32_t seals; /* memfd: F_GET_SEALS */
    uint32_t flags; /* memfd: MFD_* as far as known */
    uint64_t size;
    char *path; /* or the name of a memfd; NULL for ANON; owned */
};

/* ---- open files ---- */

/* One open file description (open(2)); several descriptors may point at it. */
enum image_file_kind {
    IMAGE_FILE_STDIO = 1, /* a descriptor that the run was given; `slot` */
    IMAGE_FILE_REGULAR,
    IMAGE_FILE_OBJECT, /* deleted file or memfd: `object` */
    IMAGE_FILE_DIRECTORY,
    IMAGE_FILE_DEVICE,
    IMAGE_FILE_PIPE,
    IMAGE_FILE_FIFO,
    IMAGE_FILE_EVENTFD,
    IMAGE_FILE_TIMERFD,
    IMAGE_FILE_SIGNALFD,
    IMAGE_FILE_EPOLL,
    IMAGE_FILE_UNIX,
    IMAGE_FILE_INET, /* TCP and UDP, v4 and v6 */
    IMAGE_FILE_NETLINK,
    IMAGE_FILE_PTY_MASTER,
    IMAGE_FILE_PTY_SLAVE,
    IMAGE_FILE_PATH, /* O_PATH */
};

struct image_file {
    uint32_t kind;
    uint32_t flags; /* as F_GETFL and fdinfo give them, without O_CLOEXEC */
    uint64_t pos;
    uint32_t object;                 /* IMAGE_FILE_OBJECT, else IMAGE_NONE */
    uint32_t slot;                   /* IMAGE_FILE_STDIO: 0, 1, 2 */
    int32_t owner_pid, owner_signal; /* F_SETOWN, F_SETSIG; 0 when unset */
    uint64_t size; /* REGULAR, STDIO of a regular file: size at the checkpoint */
    uint32_t mode; /* st_mode */
    char *path;    /* owned; NULL where there is none */
    struct image_blob detail; /* what only that kind knows: see native/files/ */
};

struct image_fd {
    int32_t fd;
    uint32_t file; /* index into image.files */
    bool cloexec;
};

/* ---- processes ---- */

struct image_sigaction {
    uint64_t handler, flags, restorer,
        mask; /* as rt_sigaction(2) of the kernel has it */
};

struct image_itimer {
    uint64_t interval_us, value_us;
};

struct image_posix_timer {
    int32_t id, clock, notify, signo, tid;
    uint64_t sigval;
    uint64_t interval_ns, value_ns; /* value: remaining, 0 = disarmed */
    int32_t overrun;
};

struct image_rlimit {
    uint64_t soft, hard;
};

struct image_mm {
    uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
    uint64_t arg_start, arg_end, env_start, env_end;
    struct image_blob auxv;
};

enum { IMAGE_N_SIGNALS = 64, IMAGE_N_RLIMITS = 16 };

struct image_process {
    int32_t pid, ppid, pgid, sid;
    bool zombie;    /* has ended, not waited for: only the ids and `status` count */
    int32_t status; /* zombie: wait status; stopped: 0 when its parent knows of it */
    bool stopped;   /* by a stop signal: to be left stopped */
    uint32_t uid[4], gid[4]; /* real, effective, saved, file system */
    uint64_t cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
    bool no_new_privs;
    bool thp_disabled; /* PR_SET_THP_DISABLE */
    bool tty;          /* has a controlling terminal: file `tty_file` or the run's */
    uint32_t tty_file; /* a pty slave of the job, IMAGE_NONE: the run's terminal */
    int32_t tty_pgrp;  /* foreground group, on the session leader; else 0 */
    uint32_t umask_bits;
    uint64_t personality;
    int32_t dumpable, pdeath_signal;
    bool child_subreaper;
    int32_t oom_score_adj;
    char *cwd, *exe; /* owned */
    struct image_file_id exe_id;
    struct image_mm mm;
    struct image_sigaction actions[IMAGE_N_SIGNALS]; /* [0] is signal 1 */
    struct image_itimer itimers[3];
    struct image_rlimit rlimits[IMAGE_N_RLIMITS];
    struct image_posix_timer *timers; /* owned, as are the following */
    uint32_t n_timers;
    struct image_signal *pending; /* sent to the process */
    uint32_t n_pending;
    struct image_thread *threads; /* [0] is the leader */
    uint32_t n_threads;
    struct image_vma *vmas; /* by ascending address */
    uint32_t n_vmas;
    struct image_fd *fds; /* by ascending fd */
    uint32_t n_fds;
};

/* A node-local file that travels with the image and appears under its old path. */
struct image_carried {
    char *path; /* absolute; owned */
    uint32_t mode;
    uint64_t mtime_ns;
    struct image_blob content; /* or, for a symbolic link, its target */
};

/* ---- the index of `memory` ---- */

enum image_owner { IMAGE_OWNER_PROCESS = 1, IMAGE_OWNER_OBJECT = 2 };

/* Consecutive pages: of a process (index into processes, start is an address) or of an
 * object (index into objects, start is an offset). */
struct image_run {
    uint32_t owner, index;
    uint64_t start, size;
};

enum image_codec { IMAGE_CODEC_NONE = 0, IMAGE_CODEC_ZSTD = 1 };
enum { IMAGE_CHUNK_MAX = 1 << 20 }; /* raw bytes in one chunk */

/* One chunk of `memory`: the runs' bytes one after the other, perhaps compressed. */
struct image_chunk {
    uint64_t offset;
    uint32_t stored_size, raw_size, codec;
    uint8_t digest[16]; /* XXH3-128, canonical, of the stored bytes */
    uint32_t first_run, n_runs;
};

/* ---- all of it ---- */

struct image {
    char arch[16];    /* "x86_64" */
    char release[65]; /* uname -r */
    char hostname[65];
    uint32_t page_size;
    uint64_t realtime_ns, monotonic_ns, boottime_ns; /* at the freeze */
    int32_t supervisor_pid; /* what the job's root has as its parent */
    int32_t root_pid;
    int32_t last_pid;          /* the one given last: new ones go on from there */
    char *tmpdir;              /* the job's TMPDIR or NULL; owned */
    char *job_script;          /* or NULL; owned */
    uint64_t xfeatures;        /* XSAVE components of the saving host (XCR0) */
    struct image_blob xlayout; /* CPUID leaf 0xD: offset and size of each component */
    struct image_process *processes; /* parents before children */
    uint32_t n_processes;
    struct image_file *files;
    uint32_t n_files;
    struct image_object *objects;
    uint32_t n_objects;
    struct image_carried *carried;
    uint32_t n_carried;
    struct image_chunk *chunks;
    uint32_t n_chunks;
    struct image_run *runs;
    uint32_t n_runs;
};

/* An empty image, or NULL. */
struct image *image_new(struct err *e);
void image_free(struct image *img);
SCOPE_DEFINE(image, struct image *, image_free);
#define auto_image SCOPE_USE(image)

/* Adds one zeroed element to an owned array of an image: IMAGE_APPEND(p, vmas) yields
 * the new `struct image_vma *` or NULL when memory is short. Earlier pointers into the
 * array die. */
#define IMAGE_APPEND(holder, array)             \
    ((__typeof__((holder)->array))image_append( \
        (void **)&(holder)->array, &(holder)->n_##array, sizeof(*(holder)->array)))
void *image_append(void **array, uint32_t *count, size_t size);

/* Writes `image` (with image.sum) into `dirfd`. */
int image_save(const struct image *img, int dirfd, struct err *e);

/* Reads and checks `image` in `dirfd`. ERR_CORRUPT names the record that is
 * damaged or cut off. ERR_WRONG_HOST: it is of another architecture or page size, or of
 * a newer format than this program reads. */
struct image *image_load(int dirfd, struct err *e);

/* Reads one chunk of the open file `memory` into `raw` (IMAGE_CHUNK_MAX bytes) and
 * checks its digest. Safe to call from several threads. `scratch` is of IMAGE_CHUNK_MAX
 * + 4096. */
int image_chunk_read(const struct image *img, uint32_t chunk, int memory_fd, void *raw,
                     void *scratch, struct err *e);

/* The process with that pid, or NULL. */
struct image_process *image_process_find(const struct image *img, int32_t pid);

#endif
