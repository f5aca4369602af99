/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/memory/writer.h"

#include "base/err.h"
#include "tap.h"
#include "writer_fixture.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_process_that_ended_is_gone(void)
{
    struct writer_stats stats = {0};
    struct writer_source source;
    struct err e = {0};
    struct bench b;
    char path[64];
    pid_t pid = fork();

    if (pid == 0) {
        pause();
        _exit(0);
    }
    set_up(&b);
    map(&b, MIB, IMAGE_VMA_ANON);
    snprintf(path, sizeof(path), "/proc/%d/mem", pid);
    source = own_memory(&b);
    source.mem_fd = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
    source.pagemap_fd = open(path, O_RDONLY | O_CLOEXEC);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    CHECK_INT(save_sources(&b, &source, 1, WRITER_COMPRESS_NONE, &stats, &e), -1);
    CHECK(e.kind == ERR_GONE);
    CHECK_HAS(e.text, "process 101");
    e = (struct err){0};
    close(source.pagemap_fd);
    source.pagemap_fd = -1;
    unlinkat(b.dirfd, "memory", 0);
    unlinkat(b.dirfd, "memory.sum", 0);
    CHECK_INT(save_sources(&b, &source, 1, WRITER_COMPRESS_NONE, &stats, &e), -1);
    CHECK(e.kind == ERR_GONE);
    CHECK_STR(e.text, "process 101 ended while its memory was read");
    close(source.mem_fd);
    tear_down(&b);
}

/* All of the memory is saved or the writer says that the process has gone, whenever
 * that happens: never an image with holes. */
static void a_process_that_ends_meanwhile_is_gone_or_whole(void)
{
    enum { SIZE = 8 * MIB, TRIES = 40 };
    int whole = 0, gone = 0;

    for (int i = 0; i < TRIES; i++) {
        struct writer_stats stats = {0};
        struct writer_source source;
        struct err e = {0};
        struct writer *w;
        struct bench b;
        char path[64];
        uint8_t *p;
        pid_t pid;

        set_up(&b);
        p = map(&b, SIZE, IMAGE_VMA_ANON);
        fill_random(p, SIZE, i + 1);
        source = own_memory(&b);
        pid = fork();
        if (pid == 0) {
            pause();
            _exit(0);
        }
        snprintf(path, sizeof(path), "/proc/%d/mem", pid);
        source.mem_fd = open(path, O_RDONLY | O_CLOEXEC);
        snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
        source.pagemap_fd = open(path, O_RDONLY | O_CLOEXEC);
        w = start(&b, &source, 1, WRITER_COMPRESS_NONE, &e);
        usleep(i * 300);
        kill(pid, SIGKILL);
        if (writer_finish(w, &stats, &e) == 0) {
            CHECK_INT(stats.bytes, SIZE);
            whole++;
        } else {
            CHECK(e.kind == ERR_GONE);
            CHECK_HAS(e.text, "process 101");
            gone++;
        }
        writer_close(w);
        waitpid(pid, NULL, 0);
        close(source.mem_fd);
        close(source.pagemap_fd);
        munmap(p, SIZE);
        tear_down(&b);
    }
    printf("# %d whole, %d gone\n", whole, gone);
}

static void a_failed_write_names_the_file(void)
{
    enum { SIZE = 4 * MIB };
    struct writer_stats stats = {0};
    struct rlimit before, limit;
    struct err e = {0};
    struct bench b;
    uint8_t *p;

    set_up(&b);
    p = map(&b, SIZE, IMAGE_VMA_ANON);
    fill_random(p, SIZE, 1);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = MIB;
    setrlimit(RLIMIT_FSIZE, &limit);
    CHECK_INT(save(&b, WRITER_COMPRESS_NONE, &stats, &e), -1);
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK_INT(e.sys, EFBIG);
    CHECK_HAS(e.text, "memory");
    CHECK_HAS(e.text, "File too large");
    munmap(p, SIZE);
    tear_down(&b);
}

static void an_object_that_shrinks_is_an_error(void)
{
    int from = memfd_create("from", MFD_CLOEXEC);
    struct writer_source source = {
        .owner = IMAGE_OWNER_OBJECT, .mem_fd = from, .pagemap_fd = -1};
    struct writer_stats stats = {0};
    struct image_object *o;
    struct err e = {0};
    struct bench b;

    set_up(&b);
    o = IMAGE_APPEND(b.img, objects);
    o->kind = IMAGE_OBJECT_MEMFD;
    o->path = strdup("from");
    o->size = 2 * PAGE;
    CHECK_INT(ftruncate(from, PAGE + 1), 0);
    CHECK_INT(pwrite(from, "x", 1, PAGE), 1);
    CHECK_INT(save_sources(&b, &source, 1, WRITER_COMPRESS_NONE, &stats, &e), -1);
    CHECK_HAS(e.text, "object 0 (from) ends at 4097 bytes");
    close(from);
    tear_down(&b);
}

/* Enough to be busy for some time. */
static void map_much(struct bench *b)
{
    uint8_t *p = map(b, 64 * MIB, IMAGE_VMA_ANON);

    fill_random(p, 64 * MIB, 1);
    for (size_t i = 0; i < 64 * MIB; i += 8)
        p[i] = p[i + 1] = p[i + 2] = 0;
}

static struct writer *start_long(struct bench *b, struct err *e)
{
    struct writer_source source = own_memory(b);

    return start(b, &source, 1, WRITER_COMPRESS_ZSTD, e);
}

static void unmap_all(struct bench *b)
{
    struct image_process *p = &b->img->processes[0];

    for (uint32_t i = 0; i < p->n_vmas; i++)
        munmap((void *)(uintptr_t)p->vmas[i].start, p->vmas[i].end - p->vmas[i].start);
}

static void a_killed_writer_is_an_error(void)
{
    struct writer_stats stats = {0};
    struct err e = {0};
    struct writer *w;
    struct bench b;

    set_up(&b);
    map_much(&b);
    w = start_long(&b, &e);
    CHECK(w != NULL);
    kill(writer_pid(w), SIGKILL);
    CHECK_INT(writer_finish(w, &stats, &e), -1);
    CHECK_HAS(e.text, "the writer was killed (signal 9)");
    writer_close(w);
    unmap_all(&b);
    tear_down(&b);
}

static void closing_ends_the_writer(void)
{
    struct err e = {0};
    struct writer *w;
    struct bench b;
    pid_t pid;

    set_up(&b);
    map_much(&b);
    w = start_long(&b, &e);
    pid = writer_pid(w);
    writer_close(w);
    CHECK(kill(pid, 0) < 0 && errno == ESRCH);
    writer_close(NULL);
    unmap_all(&b);
    tear_down(&b);
}

static void the_writer_reports_and_holds_nothing_else_open(void)
{
    uint64_t bytes = 0, total = 0;
    struct writer_stats stats = {0};
    struct err e = {0};
    struct writer *w;
    struct bench b;
    int ends[2];

    set_up(&b);
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    map_much(&b);
    w = start_long(&b, &e);
    close(ends[1]);
    CHECK_INT(poll(&(struct pollfd){.fd = ends[0]}, 1, 20000), 1);
    CHECK(!writer_poll(w, &bytes, &total)); /* it works on and has let go */
    while (!writer_poll(w, &bytes, &total)) {
        CHECK_INT(
            poll(&(struct pollfd){.fd = writer_fd(w), .events = POLLIN}, 1, 60000), 1);
        CHECK(bytes <= total);
    }
    CHECK_INT(writer_finish(w, &stats, &e), 0);
    CHECK_INT(bytes, 64 * MIB);
    CHECK_INT(total, 64 * MIB);
    writer_close(w);
    close(ends[0]);
    unmap_all(&b);
    tear_down(&b);
}

static void the_writer_ends_with_its_parent(void)
{
    struct err e = {0};
    struct bench b;
    int status = 0;
    int ends[2];
    pid_t parent, pid = 0;

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    set_up(&b);
    map_much(&b);
    parent = fork();
    if (parent == 0) {
        struct writer *w = start_long(&b, &e);

        pid = w ? writer_pid(w) : 0;
        _exit(write(ends[1], &pid, sizeof(pid)) != sizeof(pid));
    }
    CHECK_INT(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
    waitpid(parent, NULL, 0);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
          faccessat(b.dirfd, "memory", F_OK, 0) < 0);
    CHECK(faccessat(b.dirfd, "image", F_OK, 0) < 0);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    close(ends[0]);
    close(ends[1]);
    unmap_all(&b);
    tear_down(&b);
}

int main(void)
{
    RUN(a_process_that_ended_is_gone);
    RUN(a_process_that_ends_meanwhile_is_gone_or_whole);
    RUN(a_failed_write_names_the_file);
    RUN(an_object_that_shrinks_is_an_error);
    RUN(a_killed_writer_is_an_error);
    RUN(closing_ends_the_writer);
    RUN(the_writer_reports_and_holds_nothing_else_open);
    RUN(the_writer_ends_with_its_parent);
    return tap_done();
}
