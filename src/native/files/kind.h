/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the kinds of open files have in common, inside native/files.
 *
 * Each kind of kernel object has one file here and one table of operations. The walks
 * over processes and descriptors are in save.c and restore.c.
 */
#ifndef NATIVE_FILES_KIND_H
#define NATIVE_FILES_KIND_H

#include "image/image.h"
#include "native/files/files.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct enc;
struct dec;

/* ---- saving ---- */

/* A descriptor of a frozen process that is being looked at. */
struct found {
    pid_t host_pid;   /* as this program sees the process */
    int32_t pid;      /* as the job sees it: for the image and for people */
    uint32_t process; /* index into img->processes */
    int fd;
    struct stat st;
    char link[PATH_MAX + 32]; /* what /proc/PID/fd/N points at */
    char *info;               /* /proc/PID/fdinfo/N; owned */
    uint64_t pos;
    uint32_t flags; /* with O_CLOEXEC */
};

/* A lock that a process (POSIX) or the description itself (FLOCK, OFD) holds. */
enum files_lock_kind { FILES_LOCK_FLOCK = 1, FILES_LOCK_OFD, FILES_LOCK_POSIX };
struct files_lock {
    uint32_t kind;
    bool exclusive;
    uint32_t process;    /* POSIX: the owner, an index into img->processes */
    uint64_t start, end; /* last byte; UINT64_MAX: to the end of the file */
};

/* What saving knows of the description img->files[i] beyond the image. */
struct saved {
    pid_t host_pid; /* the first descriptor that was seen to point at it */
    int32_t pid;
    uint32_t process;
    int fd;
    dev_t dev;
    ino_t ino;
    int copy;       /* a descriptor of ours (pidfd_getfd(2)), -1 when there is none */
    bool reopened;  /* STDIO: not the description that the run was given */
    void *notes;    /* of its kind, released by its kind's `forget` */
    int owner_type; /* F_OWNER_*, F_GETOWN_EX; -1: unset */
    pid_t owner;    /* as this program sees it */
    struct files_lock *locks;
    uint32_t n_locks;
};

struct saved_object {
    dev_t dev;
    ino_t ino;
    int fd; /* for reading, -1 when it can only be read through a mapping */
};

struct files_save {
    struct image *img;
    int stdio[3]; /* not owned */
    struct stat stdio_st[3];
    bool stdio_open[3];
    struct saved *files; /* by index into img->files */
    uint32_t n_files;
    uint32_t *order;              /* indexes into files by device, inode and kcmp(2) */
    struct saved_object *objects; /* by index into img->objects */
    uint32_t n_objects;
    int diag;         /* netlink socket for sock_diag(7), -1 until it is needed */
    pid_t *host_pids; /* by index into img->processes; 0: not seen */
    uint32_t n_host_pids;
};

/* ---- the operations of a kind; any but `name`, `check` and `make` may be NULL ---- */

struct file_kind {
    const char *name; /* for messages: "a pipe" */

    /* Fills img->files[index] beyond the common fields. The first descriptor seen of
     * the description is `f`. */
    int (*save)(struct files_save *s, const struct found *f, uint32_t index,
                struct err *e);
    /* After the last process: relations to other descriptions, then `detail`. */
    int (*pair)(struct files_save *s, uint32_t index, struct err *e);
    /* `copy` is a descriptor of ours. */
    void (*before_kill)(const struct saved *s, int copy);
    void (*forget)(void *notes);

    /* Decodes everything and checks it; makes nothing. */
    int (*check)(const struct files_restore *r, uint32_t index, struct err *e);
    /* Makes r->pool[index] by files_pool_put, perhaps those of its peers too. Not
     * called when a peer made it already. */
    int (*make)(struct files_restore *r, uint32_t index, struct err *e);
    /* In the process, for each of its descriptors, after all are in place. */
    int (*install)(const struct files_restore *r, uint32_t process,
                   const struct image_fd *fd, struct err *e);
    /* Before the job runs. */
    int (*commit)(const struct files_restore *r, uint32_t index, struct err *e);
};

extern const struct file_kind file_kind_stdio, file_kind_regular, file_kind_object,
    file_kind_directory, file_kind_device, file_kind_pipe, file_kind_fifo,
    file_kind_eventfd, file_kind_timerfd, file_kind_signalfd, file_kind_epoll,
    file_kind_unix, file_kind_inet, file_kind_netlink, file_kind_pty_master,
    file_kind_pty_slave, file_kind_path;

/* NULL for a number that is no kind. */
const struct file_kind *file_kind_of(uint32_t kind);

/* ---- common.c ---- */

/* ERR_REFUSED: "process PID descriptor N is WHAT". */
int files_refuse(const struct found *f, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int files_refuse_saved(const struct saved *s, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for what may be over in a moment: err.momentary. */
int files_refuse_now(const struct saved *s, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The number behind NAME in the text of fdinfo; false when it is not there. */
bool files_info_u64(const char *info, const char *name, int base, uint64_t *value);

/* The descriptions with this identity: s->order[*first] and the ones behind it; returns
 * how many. */
uint32_t files_save_find(const struct files_save *s, dev_t dev, ino_t ino,
                         uint32_t *first);

/* A descriptor of ours for the file of a process, by pidfd_getfd(2). */
int files_copy_fd(pid_t host_pid, int fd, struct err *e);

/* Status flags that may be given to open(2) again. */
uint32_t files_open_flags(const struct image_file *file);

/* Opens what `fd` is once more, as a description of its own. */
int files_reopen(int fd, uint32_t flags, struct err *e);

/* Puts the flags of the description `file` on *fd, moves it above r->first_fd and makes
 * it the pool's. *fd is -1 afterwards, also on failure. */
int files_pool_put(struct files_restore *r, uint32_t index, int *fd, struct err *e);

/* Copies a path into the image. */
int files_keep_path(struct image_file *file, const char *path, struct err *e);

/* Makes the directories that an absolute path runs through and that are missing, 0700.
 * A failure shows when the path is used. */
void files_make_parents(const char *path);

/* Whether the path names something of one process in /proc, so that only the restored
 * process can open it: pool[index] stays -1, and install opens it. */
bool files_is_late(const struct image_file *file);
int files_install_late(const struct image_file *file, uint32_t extra_flags,
                       const struct image_fd *fd, struct err *e);

/* ERR_CORRUPT unless `file` has a path. */
int files_check_path(const struct image_file *file, struct err *e);

/* The first descriptor in the image that points at the file, for messages:
 * "descriptor N of process PID". */
const char *files_describe(const struct image *img, uint32_t index, char out[64]);

/* ---- regular.c, shared with object.c ---- */

/* Whether the path leads to the file itself, seen from the process. */
bool files_path_leads_to(const struct found *f);

int files_seek(int fd, uint64_t pos, struct err *e);

/* ---- locks.c ---- */

int files_locks_collect(struct saved *s, const struct found *f, struct err *e);
void files_locks_encode(struct enc *c, const struct saved *s);
int files_locks_decode(struct dec *d, struct files_lock **locks, uint32_t *n);
/* Takes FLOCK and OFD locks on a fresh description (process IMAGE_NONE), or the POSIX
 * locks of a process in that process. What cannot be had is warned of. */
void files_locks_take(int fd, const struct files_lock *locks, uint32_t n,
                      uint32_t process, const char *path);

/* ---- object.c ---- */

/* Makes r->objects[object], empty and of its size. */
int files_object_make(struct files_restore *r, uint32_t object, struct err *e);
int files_object_check(const struct image_object *o, uint32_t object, struct err *e);
int files_object_commit(const struct files_restore *r, uint32_t object, struct err *e);
/* Takes away what files_object_make left behind when there was no commit. */
void files_object_drop(const struct files_restore *r, uint32_t object);

/* ---- queue.c: bytes waiting in pipes and sockets ---- */

/* Messages in their order; for a stream, one message with all bytes. */
struct files_queue {
    struct image_blob *messages; /* owned */
    uint32_t n_messages;
};

void files_queue_free(struct files_queue *q);
int files_queue_add(struct files_queue *q, const void *data, size_t size);
void files_queue_encode(struct enc *c, const struct files_queue *q);
int files_queue_decode(struct dec *d, struct files_queue *q);
size_t files_queue_bytes(const struct files_queue *q);
/* Reads a unix socket of this type by MSG_PEEK. ERR_REFUSED when descriptors travel in
 * the queue. */
int files_queue_peek(struct files_queue *q, int sock, int type, const struct saved *s,
                     struct err *e);
/* Writes it into `fd`; what does not fit is an error, at once for pipes and unix
 * sockets, after SO_SNDTIMEO when WAITING. */
enum files_fill { FILES_FILL_PIPE, FILES_FILL_SOCKET, FILES_FILL_WAITING };
int files_queue_fill(const struct files_queue *q, int fd, enum files_fill how,
                     struct err *e);

/* ---- sockopt.c: what setsockopt(2) set on a socket ---- */

void files_sockopt_encode(struct enc *c, int sock, int domain, int type);
/* Applies what is encoded; sock -1 only checks. */
int files_sockopt_decode(struct dec *d, int sock);

/* ---- epoll.c ---- */

/* The larger of `top` and one more than any descriptor number that an epoll instance
 * knows; -1 on failure. */
int files_epoll_top(const struct image *img, int top, struct err *e);

/* ---- pty.c ---- */

/* The job's slave that is the terminal `tty_nr` of /proc/PID/stat: index into
 * img->files. IMAGE_NONE when the job has no descriptor of it, or when its other end is
 * outside the job. */
uint32_t files_pty_of(const struct files_save *s, uint32_t tty_nr);

/* For a terminal that was not the job's own: whichever this run has; without one, a
 * slave whose master is gone: reads end, writes fail. */
int files_stand_in_terminal(const struct files_restore *r, uint32_t flags,
                            struct err *e);

#endif
