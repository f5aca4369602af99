/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/sums.h"

#include "base/err.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/scope.h"
#include "base/sum.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void release(struct sums *s)
{
    scope_close(&s->fd);
    if (s->bytes)
        munmap((void *)s->bytes, sizeof(*s->bytes));
    *s = (struct sums){.fd = -1};
}

/* ---- in the child ---- */

static int complete_image(const struct sums *s, int dirfd, const struct image *image,
                          bool gzip, struct err *e)
{
    if (gzip && images_test_compressed(dirfd, image->file, e) < 0)
        return -1;
    if (sum_adopt(dirfd, image->file, e) < 0)
        return -1;
    for (size_t i = 0; i < image->n_saved; i++)
        if (sum_adopt(dirfd, image->saved[i].file, e) < 0)
            return -1;
    *s->bytes += image->size_bytes;
    fault_point("dmtcp-sums");
    return 0;
}

static int complete(const struct sums *s, int dirfd, const struct record *r, bool gzip,
                    struct err *e)
{
    for (size_t i = 0; i < r->images.n; i++)
        if (complete_image(s, dirfd, &r->images.image[i], gzip, e) < 0)
            return -1;
    if (r->job_script.path[0] && sum_adopt(dirfd, r->job_script.file, e) < 0)
        return -1;
    if (r->tmpdir_file[0] && sum_adopt(dirfd, r->tmpdir_file, e) < 0)
        return -1;
    return record_write(dirfd, r, e) < 0 ? -1 : io_sync_dir(dirfd, e);
}

static _Noreturn void run(const struct sums *s, pid_t parent, int answer_fd, int dirfd,
                          const struct record *r, bool gzip)
{
    struct err e = {0};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    prctl(PR_SET_NAME, "qckpt-sums");
    if (complete(s, dirfd, r, gzip, &e) < 0 && e.kind == ERR_NONE)
        err_set(&e, ERR_FAILED, "the sums could not be made");
    _exit(write(answer_fd, &e, sizeof(e)) == sizeof(e) ? 0 : 1);
}

/* ---- in the parent ---- */

int sums_begin(struct sums *s, int dirfd, const struct record *r, bool gzip,
               struct err *e)
{
    pid_t parent = getpid();
    int ends[2];
    void *shared;

    *s = (struct sums){.fd = -1};
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(e, "make a pipe");
    s->fd = ends[0];
    auto_fd int answer_fd = ends[1];

    shared = mmap(NULL, sizeof(*s->bytes), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        err_sys(e, "share memory");
        release(s);
        return -1;
    }
    s->bytes = shared;
    s->pid = fork();
    if (s->pid == 0)
        run(s, parent, answer_fd, dirfd, r, gzip);
    if (s->pid > 0)
        return 0;
    err_sys(e, "fork");
    release(s);
    return -1;
}

int sums_finish(struct sums *s, struct err *e)
{
    struct err answer;
    ssize_t n;

    do
        n = read(s->fd, &answer, sizeof(answer));
    while (n < 0 && errno == EINTR);
    while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    release(s);
    if (n != sizeof(answer))
        return err_set(e, ERR_FAILED, "the process that makes the sums was killed");
    if (answer.kind == ERR_NONE)
        return 0;
    *e = answer;
    return -1;
}

void sums_abandon(struct sums *s)
{
    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    release(s);
}
