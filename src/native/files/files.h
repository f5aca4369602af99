/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Open files: finding out what the job's descriptors are, and making them again.
 *
 * Descriptors that point at one open file description (kcmp(2) KCMP_FILE) share one
 * image_file. What a kind of file needs beyond the common fields it keeps in
 * image_file.detail, encoded by image/codec.h and specified in
 * doc/format/image-files.md.
 */
#ifndef NATIVE_FILES_FILES_H
#define NATIVE_FILES_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct image;
struct image_process;

/* ---- saving; the job is frozen, nothing of it is changed ---- */

struct files_save; /* the descriptions found so far */

/* `stdio` are this program's own copies of the descriptors that the run was given. With
 * `stop`, connections inside the job are told to go without lingering when it is
 * killed. */
struct files_save *files_save_new(struct image *img, const int stdio[3], struct err *e);
void files_save_free(struct files_save *s);

/* Adds the descriptors of one process (host_pid is its pid as this program sees it) to
 * img->processes[process].fds and img->files. ERR_REFUSED names pid, descriptor, what
 * it is and what to do. Looks only: queues are read by tee(2) and MSG_PEEK through
 * pidfd_getfd(2). (files_save_end takes and puts back what cannot be seen otherwise:
 * bytes in terminals, empty datagrams, TCP that is full at both ends.) */
int files_save_process(struct files_save *s, uint32_t process, pid_t host_pid,
                       struct err *e);

/* After the last process: pairs up sockets, ptys and pipes; refuses what leaves the job
 * in a way that cannot be cut; sets tty_file of the processes. No copy of a pipe or
 * socket of the job is held afterwards, so that it may run on. */
int files_save_end(struct files_save *s, struct err *e);

/* A shared mapping of something without a lasting name, as /proc/PID/maps has it. */
struct files_mapping {
    pid_t host_pid;
    dev_t dev; /* makedev of what maps says */
    ino_t ino;
    const char *path; /* "/dev/zero", "/memfd:x", "/dev/shm/x"... */
    bool deleted;
    uint64_t start, end, offset;
};

/* Its object: found by device and inode (among those of open files, too), or added, and
 * at least offset + end - start bytes long. To be called after files_save_process of
 * all processes. An ordinary user may not follow /proc/PID/map_files
 * (CAP_CHECKPOINT_RESTORE since Linux 5.9): then files_save_object_fd says -1. */
int files_save_object(struct files_save *s, const struct files_mapping *m,
                      uint32_t *object, struct err *e);

/* What is known of a file from the descriptors and objects so far. */
enum files_known { FILES_UNKNOWN, FILES_AS_OBJECT, FILES_BY_NAME };
enum files_known files_save_knows(const struct files_save *s, dev_t dev, ino_t ino);

/* A descriptor of this program through which the object's contents can be read, -1 when
 * it must be read through a mapping instead. Owned by `s`. */
int files_save_object_fd(const struct files_save *s, uint32_t object);

/* A job stopped at its image is about to be killed: lets its listening ports and
 * connections go without waiting states (SO_LINGER 0), so that they can be made again.
 */
void files_save_before_kill(struct files_save *s);

/* ---- restoring; runs inside the new namespaces, before the job exists ---- */

struct files_restore {
    const struct image *img;
    int stdio[3]; /* the new run's */
    int *pool;    /* [img->n_files]: a descriptor of each description, -1 = none */
    int *objects; /* [img->n_objects]: a descriptor of each object */
    int first_fd; /* in: 0 or the least number wanted; out: pool descriptors lie at or
                   * above this number, the job's all below it */
};

/* Checks all details, makes objects (empty, of their size) and descriptions, and
 * allocates r->pool and r->objects (r->img, stdio and first_fd are the caller's to
 * set). Raises the soft limit of open files of this process to the hard one. Nothing
 * outside is changed that a failure would not leave as it was: files are cut and names
 * of sockets are taken in files_restore_commit. Needs a /proc of this pid namespace. */
int files_restore_open(struct files_restore *r, struct err *e);

/* Closes the pool and the objects. */
void files_restore_close(struct files_restore *r);

/* In the process that will be `process`: puts the descriptors in place, adds what epoll
 * instances watch, sets owners and locks, closes all others but `keep` (-1 ends), none
 * of which may have a number of the process. Comes after setsid and setpgid, when all
 * processes exist. */
int files_restore_install(const struct files_restore *r, uint32_t process,
                          const int *keep, struct err *e);

/* The last step before the job runs, where files_restore_open was called and with its
 * pool still open: cuts the files that were open for writing to the size they had,
 * gives files and sockets their names back, starts timers. Logs what it cut. */
int files_restore_commit(const struct files_restore *r, struct err *e);

#endif
