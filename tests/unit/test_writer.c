/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/memory/writer.h"

#include "base/err.h"
#include "base/scope.h"
#include "base/sum.h"
#include "tap.h"
#include "writer_fixture.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

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

static void memory_in_small_pieces_comes_back(void)
{
    enum { SIZE = 16 * MIB };
    struct writer_stats stats = {0};
    struct err e = {0};
    struct bench b;
    uint8_t *p, *want = malloc(SIZE);

    set_up(&b);
    p = map(&b, SIZE, IMAGE_VMA_ANON);
    madvise(p, SIZE, MADV_NOHUGEPAGE);
    /* Never touched, or written and zero again: neither is saved. */
    for (size_t i = 0; i < SIZE; i += 4 * PAGE)
        fill_random(p + i, PAGE, i + 1);
    for (size_t i = 2 * PAGE; i < SIZE; i += 4 * PAGE)
        p[i] = 1, p[i] = 0;
    memcpy(want, p, SIZE);
    CHECK_INT(save(&b, WRITER_COMPRESS_AUTO, &stats, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(stats.bytes, SIZE / 4);
    madvise(p, SIZE, MADV_DONTNEED);
    CHECK_INT(load(&b, NULL, &e), 0);
    CHECK(memcmp(p, want, SIZE) == 0);
    free(want);
    munmap(p, SIZE);
    tear_down(&b);
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

/* Of this process and of the writers that have ended. */
static long cpu_seconds(void)
{
    struct rusage own, theirs;

    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &theirs);
    return own.ru_utime.tv_sec + own.ru_stime.tv_sec + theirs.ru_utime.tv_sec +
           theirs.ru_stime.tv_sec;
}

static void a_huge_empty_mapping_takes_no_time(void)
{
    long begin = cpu_seconds();
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
    CHECK(!kernel_scans() || cpu_seconds() - begin < 5);
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

int main(void)
{
    RUN(memory_comes_back_as_it_was_uncompressed);
    RUN(memory_comes_back_as_it_was_compressed);
    RUN(memory_comes_back_as_it_was_compressed_where_it_pays);
    RUN(memory_in_small_pieces_comes_back);
    RUN(of_a_file_mapping_only_private_pages_are_saved_and_zeros_too);
    RUN(without_a_page_map_all_that_can_be_read_is_saved);
    RUN(memory_nobody_may_read_is_saved);
    RUN(guarded_and_wiped_pages_are_left_out);
    RUN(kernels_before_6_7_tell_the_same);
    RUN(a_huge_empty_mapping_takes_no_time);
    RUN(mappings_of_another_source_come_from_there);
    RUN(objects_keep_their_holes_and_their_position);
    RUN(an_empty_job_is_saved);
    return tap_done();
}
