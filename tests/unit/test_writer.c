/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/writer.h"

#include "base/err.h"
#include "base/scope.h"
#include "base/sum.h"
#include "native/loader.h"
#include "sample.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, MIB = 1 << 20 };

/* The memory that is saved is this process's own, read through /proc/self/mem as the
 * writer reads a job's. */
struct bench {
    char path[64];
    int dirfd, mem_fd, pagemap_fd;
    struct image *img;
};

static void set_up(struct bench *b)
{
    b->dirfd = sample_mkdir(b->path);
    b->mem_fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    b->pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    b->img = sample_small();
}

static void tear_down(struct bench *b)
{
    image_free(b->img);
    close(b->mem_fd);
    close(b->pagemap_fd);
    sample_rmdir(b->dirfd, b->path);
}

static uint8_t *map(struct bench *b, size_t size, enum image_vma_kind kind)
{
    uint8_t *p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    sample_vma(&b->img->processes[0], (uintptr_t)p, (uintptr_t)p + size, kind);
    return p;
}

/* Bytes that zstd cannot shrink. */
static void fill_random(uint8_t *p, size_t size, uint64_t seed)
{
    for (size_t i = 0; i + 8 <= size; i += 8) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        memcpy(p + i, &seed, 8);
    }
}

static void fill_text(uint8_t *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        p[i] = "a line of some output\n"[i % 22] + (i / 4096 % 3);
}

static int compare_vmas(const void *a, const void *b)
{
    const struct image_vma *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static struct writer *start(struct bench *b, const struct writer_source *sources,
                            uint32_t n, enum writer_compress compress, struct err *e)
{
    struct writer_options o = {.dirfd = b->dirfd, .compress = compress, .threads = 2};

    if (b->img->processes[0].n_vmas)
        qsort(b->img->processes[0].vmas, b->img->processes[0].n_vmas,
              sizeof(struct image_vma), compare_vmas);
    return writer_start(b->img, sources, n, &o, e);
}

/* Writes; the process's own memory is the only source unless others are given. */
static int save_sources(struct bench *b, const struct writer_source *sources,
                        uint32_t n, enum writer_compress compress,
                        struct writer_stats *stats, struct err *e)
{
    struct writer *w = start(b, sources, n, compress, e);
    int result;

    if (!w)
        return -1;
    result = writer_finish(w, stats, e);
    writer_close(w);
    return result;
}

static struct writer_source own_memory(const struct bench *b)
{
    return (struct writer_source){
        .owner = IMAGE_OWNER_PROCESS, .mem_fd = b->mem_fd, .pagemap_fd = b->pagemap_fd};
}

static int save(struct bench *b, enum writer_compress compress,
                struct writer_stats *stats, struct err *e)
{
    struct writer_source source = own_memory(b);

    return save_sources(b, &source, 1, compress, stats, e);
}

/* Loads what was saved back into this process. */
static int load(struct bench *b, const int *objects, struct err *e)
{
    auto_fd int memory = openat(b->dirfd, "memory", O_RDONLY | O_CLOEXEC);
    auto_image struct image *img = image_load(b->dirfd, e);
    struct loader_targets t = {.processes = &b->mem_fd, .objects = objects};

    return img ? loader_run(img, memory, &t, e) : -1;
}

static void saves_and_loads(enum writer_compress compress)
{
    enum { SIZE = 5 * MIB + 3 * PAGE };
    struct writer_stats stats = {0};
    struct err e = {0};
    struct bench b;
    uint8_t *noise, *words, *want = malloc(SIZE);

    set_up(&b);
    noise = map(&b, SIZE, IMAGE_VMA_ANON);
    words = map(&b, SIZE, IMAGE_VMA_ANON);
    fill_random(noise, SIZE, 42);
    fill_text(words, SIZE);
    memset(noise + 7 * PAGE, 0, 2 * PAGE);
    memcpy(want, noise, SIZE);
    CHECK_INT(save(&b, compress, &stats, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(stats.bytes, 2 * SIZE - 2 * PAGE);
    if (compress == WRITER_COMPRESS_NONE)
        CHECK(stats.stored_bytes > 2 * SIZE - 2 * PAGE);
    else
        CHECK(stats.stored_bytes < SIZE + SIZE / 8);
    CHECK_INT(sum_verify(b.dirfd, "memory", NULL, &e), 0);
    CHECK_INT(sum_verify(b.dirfd, "image", NULL, &e), 0);

    madvise(noise, SIZE, MADV_DONTNEED);
    memset(words, 0xff, SIZE);
    CHECK_INT(load(&b, NULL, &e), 0);
    CHECK_STR(e.text, "");
    CHECK(memcmp(noise, want, SIZE) == 0);
    fill_text(want, SIZE);
    CHECK(memcmp(words, want, SIZE) == 0);
    free(want);
    munmap(noise, SIZE);
    munmap(words, SIZE);
    tear_down(&b);
}

static void memory_comes_back_as_it_was_uncompressed(void)
{
    saves_and_loads(WRITER_COMPRESS_NONE);
}

static void memory_comes_back_as_it_was_compressed(void)
{
    saves_and_loads(WRITER_COMPRESS_ZSTD);
}

static void memory_comes_back_as_it_was_compressed_where_it_pays(void)
{
    saves_and_loads(WRITER_COMPRESS_AUTO);
}

/* ---- what is saved ---- */

/* Whether the page at `at` lies in a run of the saved image. */
static bool is_saved(struct bench *b, const void *at)
{
    struct err e = {0};
    auto_image struct image *img = image_load(b->dirfd, &e);
    uint64_t address = (uintptr_t)at;

    CHECK_STR(e.text, "");
    for (uint32_t i = 0; img && i < img->n_runs; i++)
        if (img->runs[i].owner == IMAGE_OWNER_PROCESS &&
            img->runs[i].start <= address &&
            address - img->runs[i].start < img->runs[i].size)
            return true;
    return false;
}

static void of_a_file_mapping_only_private_pages_are_saved_and_zeros_too(void)
{
    enum { SIZE = 8 * PAGE };
    struct writer_stats stats = {0};
    struct err e = {0};
    struct image_vma *v;
    struct bench b;
    uint8_t *p;
    int fd;

    set_up(&b);
    fd = openat(b.dirfd, "mapped", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK_INT(ftruncate(fd, SIZE), 0);
    CHECK_INT(pwrite(fd, "file", 4, 5 * PAGE), 4);
    p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    v = sample_vma(&b.img->processes[0], (uintptr_t)p, (uintptr_t)p + SIZE,
                   IMAGE_VMA_FILE_PRIVATE);
    v->path = strdup("/mapped");
    p[1 * PAGE] = 1;
    memset(p + 5 * PAGE, 0, PAGE); /* differs from the file */
    CHECK_INT(p[3 * PAGE], 0);     /* only read */
    CHECK_INT(save(&b, WRITER_COMPRESS_NONE, &stats, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(stats.bytes, 2 * PAGE);
    CHECK(is_saved(&b, p + 1 * PAGE));
    CHECK(is_saved(&b, p + 5 * PAGE));
    CHECK(!is_saved(&b, p + 3 * PAGE));
    munmap(p, SIZE);
    close(fd);
    tear_down(&b);
}

static void without_a_page_map_all_that_can_be_read_is_saved(void)
{
    enum { SIZE = 4 * PAGE };
    struct writer_stats stats = {0};
    struct writer_source source;
    struct err e = {0};
    struct image_vma *v;
    struct bench b;
    uint8_t *anon, *mapped;
    int fd;

    set_up(&b);
    anon = map(&b, SIZE, IMAGE_VMA_ANON);
    anon[2 * PAGE] = 1;
    fd = openat(b.dirfd, "mapped", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK_INT(ftruncate(fd, 2 * PAGE), 0); /* the rest of the mapping does not exist */
    mapped = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    v = sample_vma(&b.img->processes[0], (uintptr_t)mapped, (uintptr_t)mapped + SIZE,
                   IMAGE_VMA_FILE_PRIVATE);
    v->path = strdup("/mapped");
    source = own_memory(&b);
    source.pagemap_fd = -1;
    CHECK_INT(save_sources(&b, &source, 1, WRITER_COMPRESS_NONE, &stats, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(stats.bytes, PAGE + 2 * PAGE);
    CHECK(is_saved(&b, anon + 2 * PAGE));
    CHECK(is_saved(&b, mapped));
    munmap(anon, SIZE);
    munmap(mapped, SIZE);
    close(fd);
    tear_down(&b);
}

static void memory_nobody_may_read_is_saved(void)
{
    enum { SIZE = 4 * PAGE };
    struct writer_stats stats = {0};
    struct err e = {0};
    struct bench b;
    uint8_t *p;

    set_up(&b);
    p = map(&b, SIZE, IMAGE_VMA_ANON);
    fill_random(p, SIZE, 3);
    mprotect(p, SIZE, PROT_NONE);
    CHECK_INT(save(&b, WRITER_COMPRESS_NONE, &stats, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(stats.bytes, SIZE);
    munmap(p, SIZE);
    tear_down(&b);
}

static void guarded_and_wiped_pages_are_left_out(void)
{
    enum { SIZE = 8 * PAGE };
    struct writer_stats stats = {0};
    struct err e = {0};
    struct bench b;
    uint8_t *p, *wiped;
    bool guarded;

    set_up(&b);
    p = map(&b, SIZE, IMAGE_VMA_ANON);
    wiped = map(&b, SIZE, IMAGE_VMA_ANON);
    b.img->processes[0].vmas[1].flags = IMAGE_VMA_WIPEONFORK;
    fill_random(p, SIZE, 3);
    fill_random(wiped, SIZE, 4);
    guarded = madvise(p, PAGE, 102 /* MADV_GUARD_INSTALL, Linux 6.13 */) == 0;
    CHECK_INT(save(&b, WRITER_COMPRESS_NONE, &stats, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(stats.bytes, guarded ? SIZE - PAGE : SIZE);
    munmap(p, SIZE);
    munmap(wiped, SIZE);
    tear_down(&b);
}

static void kernels_before_6_7_tell_the_same(void)
{
    setenv("QCKPT_TESTING", "1", 1);
    setenv("QCKPT_FAULT", "pagemap-scan:fail", 1);
    of_a_file_mapping_only_private_pages_are_saved_and_zeros_too();
    guarded_and_wiped_pages_are_left_out();
    saves_and_loads(WRITER_COMPRESS_AUTO);
    unsetenv("QCKPT_FAULT");
    unsetenv("QCKPT_TESTING");
}

/* Whether the kernel steps over empty address space (PAGEMAP_SCAN). */
static bool kernel_scans(void)
{
    struct utsname u;
    int major = 0, minor = 0;

    uname(&u);
    sscanf(u.release, "%d.%d", &major, &minor);
    return major > 6 || (major == 6 && minor >= 7);
}

static void a_huge_empty_mapping_takes_no_time(void)
{
    time_t begin = time(NULL);
    struct writer_stats stats = {0};
    size_t size = (size_t)8 << 40;
    struct err e = {0};
    struct bench b;
    uint8_t *p;

    set_up(&b);
    p = mmap(NULL, size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        tear_down(&b);
        SKIP("no room for a mapping of 8 TiB");
    }
    sample_vma(&b.img->processes[0], (uintptr_t)p, (uintptr_t)p + size, IMAGE_VMA_ANON);
    p[size / 2] = 1;
    p[size - 1] = 1;
    CHECK_INT(save(&b, WRITER_COMPRESS_NONE, &stats, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(stats.bytes, 2 * PAGE);
    CHECK(!kernel_scans() || time(NULL) - begin < 5);
    munmap(p, size);
    tear_down(&b);
}

static void mappings_of_another_source_come_from_there(void)
{
    enum { SIZE = 4 * PAGE };
    const bool from_memory[] = {true, false};
    struct writer_source sources[2];
    struct writer_stats stats = {0};
    struct err e = {0};
    struct bench b;
    uint8_t *a, *copied, copy[SIZE];

    set_up(&b);
    a = mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
             0);
    copied = a + SIZE;
    sample_vma(&b.img->processes[0], (uintptr_t)a, (uintptr_t)copied, IMAGE_VMA_ANON);
    sample_vma(&b.img->processes[0], (uintptr_t)copied, (uintptr_t)copied + SIZE,
               IMAGE_VMA_ANON);
    memset(a, 'a', 2 * SIZE);
    memset(copy, 'c', SIZE);
    memset(copy + PAGE, 0, PAGE);
    sources[0] = own_memory(&b);
    sources[0].vmas = from_memory;
    sources[1] = (struct writer_source){.owner = IMAGE_OWNER_PROCESS,
                                        .mem_fd = -1,
                                        .pagemap_fd = -1,
                                        .copy_start = (uintptr_t)copied,
                                        .copy_size = SIZE,
                                        .copy = copy};
    CHECK_INT(save_sources(&b, sources, 2, WRITER_COMPRESS_AUTO, &stats, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(stats.bytes, 2 * SIZE - PAGE);
    madvise(a, 2 * SIZE, MADV_DONTNEED);
    CHECK_INT(load(&b, NULL, &e), 0);
    CHECK_INT(a[SIZE - 1], 'a');
    CHECK(memcmp(copied, copy, SIZE) == 0);
    munmap(a, 2 * SIZE);
    tear_down(&b);
}

static void objects_keep_their_holes_and_their_position(void)
{
    enum { SIZE = 3 * MIB + 100 };
    uint8_t got[3];
    int from = memfd_create("from", MFD_CLOEXEC), to = memfd_create("to", MFD_CLOEXEC);
    struct writer_source source = {
        .owner = IMAGE_OWNER_OBJECT, .mem_fd = from, .pagemap_fd = -1};
    struct writer_stats stats = {0};
    struct image_object *o;
    struct err e = {0};
    struct bench b;
    struct stat st;

    set_up(&b);
    o = IMAGE_APPEND(b.img, objects);
    o->kind = IMAGE_OBJECT_MEMFD;
    o->path = strdup("from");
    o->size = SIZE;
    CHECK_INT(ftruncate(from, SIZE), 0);
    CHECK_INT(ftruncate(to, SIZE), 0);
    CHECK_INT(pwrite(from, "mid", 3, MIB + 7), 3);
    CHECK_INT(pwrite(from, "end", 3, SIZE - 3), 3);
    CHECK_INT(lseek(from, 4711, SEEK_SET), 4711);
    CHECK_INT(save_sources(&b, &source, 1, WRITER_COMPRESS_NONE, &stats, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(stats.bytes, PAGE + 100);
    CHECK_INT(lseek(from, 0, SEEK_CUR), 4711);
    CHECK_INT(load(&b, &to, &e), 0);
    CHECK_STR(e.text, "");
    CHECK(pread(to, got, 3, MIB + 7) == 3 && memcmp(got, "mid", 3) == 0);
    CHECK(pread(to, got, 3, SIZE - 3) == 3 && memcmp(got, "end", 3) == 0);
    CHECK(fstat(to, &st) == 0 && st.st_size == SIZE);
    close(from);
    close(to);
    tear_down(&b);
}

static void an_empty_job_is_saved(void)
{
    struct writer_stats stats = {0};
    struct err e = {0};
    struct bench b;

    set_up(&b);
    CHECK_INT(save_sources(&b, NULL, 0, WRITER_COMPRESS_AUTO, &stats, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(stats.bytes, 0);
    CHECK(stats.stored_bytes > 0);
    CHECK_INT(load(&b, NULL, &e), 0);
    tear_down(&b);
}

/* ---- what goes wrong ---- */

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

/* ---- loading ---- */

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
    RUN(memory_comes_back_as_it_was_uncompressed);
    RUN(memory_comes_back_as_it_was_compressed);
    RUN(memory_comes_back_as_it_was_compressed_where_it_pays);
    RUN(of_a_file_mapping_only_private_pages_are_saved_and_zeros_too);
    RUN(without_a_page_map_all_that_can_be_read_is_saved);
    RUN(memory_nobody_may_read_is_saved);
    RUN(guarded_and_wiped_pages_are_left_out);
    RUN(kernels_before_6_7_tell_the_same);
    RUN(a_huge_empty_mapping_takes_no_time);
    RUN(mappings_of_another_source_come_from_there);
    RUN(objects_keep_their_holes_and_their_position);
    RUN(an_empty_job_is_saved);
    RUN(a_process_that_ended_is_gone);
    RUN(a_failed_write_names_the_file);
    RUN(an_object_that_shrinks_is_an_error);
    RUN(a_killed_writer_is_an_error);
    RUN(closing_ends_the_writer);
    RUN(the_writer_reports_and_holds_nothing_else_open);
    RUN(the_writer_ends_with_its_parent);
    RUN(a_damaged_chunk_is_named_and_goes_nowhere);
    RUN(without_a_target_nothing_is_loaded);
    RUN(memory_that_is_not_there_cannot_be_filled);
    return tap_done();
}
