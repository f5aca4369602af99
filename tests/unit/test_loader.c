/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/memory/loader.h"

#include "base/err.h"
#include "base/scope.h"
#include "tap.h"
#include "writer_fixture.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_damaged_chunk_is_named_and_goes_nowhere(void)
{
    enum { SIZE = 2 * MIB };
    struct writer_stats stats = {0};
    struct err e = {0};
    struct bench b;
    uint8_t *p, byte;
    int fd;

    set_up(&b);
    p = map(&b, SIZE, IMAGE_VMA_ANON);
    fill_random(p, SIZE, 9);
    CHECK_INT(save(&b, WRITER_COMPRESS_NONE, &stats, &e), 0);
    fd = openat(b.dirfd, "memory", O_RDWR | O_CLOEXEC);
    CHECK_INT(pread(fd, &byte, 1, MIB + 77), 1);
    byte ^= 4;
    CHECK_INT(pwrite(fd, &byte, 1, MIB + 77), 1);
    madvise(p, SIZE, MADV_DONTNEED);
    CHECK_INT(load(&b, NULL, &e), -1);
    CHECK(e.kind == ERR_CORRUPT);
    CHECK_STR(e.text, "memory: chunk 1 at byte 1048576: checksum does not match");
    /* One of the halves was in the damaged chunk and is as it was. */
    CHECK(p[0] == 0 || p[MIB] == 0);
    e = (struct err){0};
    CHECK_INT(ftruncate(fd, MIB), 0);
    CHECK_INT(load(&b, NULL, &e), -1);
    CHECK(e.kind == ERR_CORRUPT);
    CHECK_HAS(e.text, "memory: chunk 1");
    close(fd);
    munmap(p, SIZE);
    tear_down(&b);
}

static void without_a_target_nothing_is_loaded(void)
{
    struct writer_stats stats = {0};
    struct err e = {0};
    struct bench b;
    uint8_t *p;
    int none = -1;

    set_up(&b);
    p = map(&b, MIB, IMAGE_VMA_ANON);
    fill_random(p, MIB, 9);
    CHECK_INT(save(&b, WRITER_COMPRESS_NONE, &stats, &e), 0);
    madvise(p, MIB, MADV_DONTNEED);
    {
        auto_image struct image *img = image_load(b.dirfd, &e);
        struct loader_targets t = {.processes = &none};

        CHECK_INT(loader_run(img, -1, &t, &e), 0);
        t.processes = NULL;
        CHECK_INT(loader_run(img, -1, &t, &e), 0);
    }
    CHECK_INT(p[0], 0);
    munmap(p, MIB);
    tear_down(&b);
}

static void where_no_threads_can_be_made_the_caller_loads(void)
{
    struct writer_stats stats = {0};
    struct err e = {0};
    struct bench b;
    int status = 0;
    uint8_t *p;
    pid_t pid;

    set_up(&b);
    p = map(&b, 4 * MIB, IMAGE_VMA_ANON);
    fill_random(p, 4 * MIB, 9);
    CHECK_INT(save(&b, WRITER_COMPRESS_NONE, &stats, &e), 0);
    pid = fork();
    if (pid == 0) {
        /* Threads would have to be in another pid namespace than their process. */
        if (unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
            _exit(77);
        close(b.mem_fd);
        b.mem_fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
        madvise(p, 4 * MIB, MADV_DONTNEED);
        _exit(load(&b, NULL, &e) < 0 || p[0] == 0 || p[4 * MIB - 1] == 0);
    }
    waitpid(pid, &status, 0);
    munmap(p, 4 * MIB);
    tear_down(&b);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        SKIP("no user namespaces here");
    CHECK_INT(status, 0);
}

static void memory_that_is_not_there_cannot_be_filled(void)
{
    struct writer_stats stats = {0};
    struct err e = {0};
    struct bench b;
    uint8_t *p;

    set_up(&b);
    p = map(&b, MIB, IMAGE_VMA_ANON);
    fill_random(p, MIB, 9);
    CHECK_INT(save(&b, WRITER_COMPRESS_NONE, &stats, &e), 0);
    munmap(p, MIB);
    CHECK_INT(load(&b, NULL, &e), -1);
    CHECK_HAS(e.text, "fill memory of process 101 at ");
    tear_down(&b);
}

int main(void)
{
    RUN(a_damaged_chunk_is_named_and_goes_nowhere);
    RUN(without_a_target_nothing_is_loaded);
    RUN(where_no_threads_can_be_made_the_caller_loads);
    RUN(memory_that_is_not_there_cannot_be_filled);
    return tap_done();
}
