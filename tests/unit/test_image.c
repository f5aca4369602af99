/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/image.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "base/sum.h"
#include "image/format.h"
#include "sample.h"
#include "tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* The bytes of the file that image_save makes of `img`. */
static char *bytes_of(const struct image *img, size_t *size)
{
    struct err e = {0};
    char path[64], *data = NULL;
    int dirfd = sample_mkdir(path);

    if (image_save(img, dirfd, &e) < 0 ||
        io_read_file(dirfd, "image", 1 << 24, &data, size, &e) < 0)
        printf("# %s\n", e.text);
    sample_rmdir(dirfd, path);
    return data;
}

static void what_is_saved_is_loaded(void)
{
    auto_image struct image *img = sample_full(), *got = NULL;
    auto_free char *first = NULL, *second = NULL;
    size_t n_first = 0, n_second = 0;
    struct err e = {0};
    char path[64];
    int dirfd = sample_mkdir(path);

    CHECK_INT(image_save(img, dirfd, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(sum_verify(dirfd, "image", NULL, &e), 0);
    got = image_load(dirfd, &e);
    CHECK_STR(e.text, "");
    sample_rmdir(dirfd, path);
    if (!got)
        return;
    CHECK_INT(got->n_processes, 2);
    CHECK_STR(got->processes[0].vmas[1].name, "glibc: malloc");
    CHECK_INT(got->processes[0].threads[1].tid, 102);
    CHECK_INT(got->processes[0].tty_file, 2);
    CHECK_INT(got->processes[1].status, 0x100);
    CHECK(image_process_find(got, 103) == &got->processes[1]);
    CHECK(image_process_find(got, 102) == NULL);
    CHECK_INT(got->chunks[1].first_run, 2);
    /* Every field that is written is read: the second file is the first. */
    first = bytes_of(img, &n_first);
    second = bytes_of(got, &n_second);
    CHECK_INT(n_second, n_first);
    CHECK(first && second && memcmp(first, second, n_first) == 0);
}

static void the_format_has_not_changed(void)
{
    auto_image struct image *img = sample_full(), *got = NULL;
    auto_free char *now = NULL, *golden = NULL;
    size_t n_now = 0, n_golden = 0;
    auto_fd int dirfd = open(GOLDEN "/image/1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct err e = {0};

    CHECK_INT(io_read_file(dirfd, "image", 1 << 24, &golden, &n_golden, &e), 0);
    CHECK_STR(e.text, "");
    now = bytes_of(img, &n_now);
    CHECK_INT(n_now, n_golden);
    CHECK(golden && now && memcmp(now, golden, n_golden) == 0);
    got = image_load(dirfd, &e);
    CHECK_STR(e.text, "");
    CHECK(got != NULL);
}

/* ---- damaged files ---- */

/* Loads bytes and expects an error with a text that has `part` in it. */
static void expect_error(enum err_kind kind, const char *data, size_t size,
                         const char *part)
{
    struct err e = {0};
    struct image *img = format_read(data, size, &e);

    CHECK(img == NULL);
    CHECK_INT(e.kind, kind);
    CHECK_HAS(e.text, part);
    image_free(img);
}

static void expect_corrupt(const char *data, size_t size, const char *part)
{
    expect_error(ERR_CORRUPT, data, size, part);
}

static void a_flipped_bit_anywhere_is_found(void)
{
    auto_image struct image *img = sample_full();
    size_t size = 0;
    auto_free char *data = bytes_of(img, &size);
    size_t missed = 0;

    for (size_t i = 0; i < size * 8; i += 3) {
        struct err e = {0};
        struct image *got;

        data[i / 8] ^= 1 << i % 8;
        got = format_read(data, size, &e);
        missed += got != NULL || e.kind != ERR_CORRUPT;
        image_free(got);
        data[i / 8] ^= 1 << i % 8;
    }
    CHECK(size > 1000);
    CHECK_INT(missed, 0);
}

static void a_truncated_file_is_found_at_every_length(void)
{
    auto_image struct image *img = sample_full();
    size_t size = 0, missed = 0;
    auto_free char *data = bytes_of(img, &size);

    for (size_t n = 0; n < size; n++) {
        struct err e = {0};
        /* Of its own size, so that a sanitizer sees a read behind the end. */
        char *part = malloc(n + 1);
        struct image *got;

        memcpy(part, data, n);
        got = format_read(part, n, &e);
        missed += got != NULL || e.kind != ERR_CORRUPT;
        image_free(got);
        free(part);
    }
    CHECK_INT(missed, 0);
    expect_corrupt(data, size / 2, "record ");
}

static void bytes_behind_the_end_are_found(void)
{
    auto_image struct image *img = sample_full();
    size_t size = 0;
    auto_free char *data = bytes_of(img, &size);
    auto_free char *longer = malloc(size + 1);

    memcpy(longer, data, size);
    longer[size] = 0;
    expect_corrupt(longer, size + 1, "1 bytes behind it");
}

static void a_newer_format_says_what_to_do(void)
{
    auto_image struct image *img = sample_full();
    size_t size = 0;
    auto_free char *data = bytes_of(img, &size);
    uint64_t checksum;

    data[8] = 2;
    checksum = XXH3_64bits(data, 16);
    for (int i = 0; i < 8; i++)
        data[16 + i] = checksum >> 8 * i;
    expect_error(
        ERR_WRONG_HOST, data, size,
        "format 2 is newer than this qckpt reads (1): install a newer one here");
    expect_corrupt("#!/bin/sh\nexit 0\n", 17, "not an image");
}

static void a_missing_file_is_a_system_error(void)
{
    struct err e = {0};
    char path[64];
    int dirfd = sample_mkdir(path);

    CHECK(image_load(dirfd, &e) == NULL);
    CHECK(e.kind == ERR_SYS);
    CHECK_HAS(e.text, "image");
    sample_rmdir(dirfd, path);
}

/* ---- impossible contents ---- */

/* What image_save says to an image that image_load would not take, either. */
static void expect_refused(struct image *img, const char *part)
{
    char path[64];
    int dirfd = sample_mkdir(path);
    struct err e = {0};

    CHECK_INT(image_save(img, dirfd, &e), -1);
    CHECK(e.kind == ERR_FAILED);
    CHECK_HAS(e.text, part);
    CHECK(faccessat(dirfd, "image", F_OK, 0) < 0);
    sample_rmdir(dirfd, path);
    image_free(img);
}

#define REFUSED(change, part)                         \
    do {                                              \
        struct image *img = sample_full();            \
        struct image_process *p = &img->processes[0]; \
        struct image_vma *v = p->vmas;                \
                                                      \
        (void)v;                                      \
        change;                                       \
        expect_refused(img, part);                    \
    } while (0)

static void other_hosts_are_named(void)
{
    REFUSED(strcpy(img->arch, "aarch64"), "made on aarch64, this host is x86_64");
    REFUSED(img->page_size = 65536, "pages of 65536 bytes, this host has 4096");
}

static void ids_must_be_possible(void)
{
    REFUSED(p->pid = 0, "parent 101 is not before it");
    REFUSED(p->threads[1].tid = 101, "process id 101 occurs twice");
    REFUSED(p->threads[1].tid = 103, "process id 103 occurs twice");
    REFUSED(p->threads[1].tid = -1, "-1 is no process id");
    REFUSED(p->threads[1].tid = 1 << 22, "is no process id");
    REFUSED(img->supervisor_pid = 0, "supervisor's pid 0");
    REFUSED(img->supervisor_pid = 101, "occurs twice");
    REFUSED(img->processes[1].ppid = 77, "process 103: parent 77 is not before it");
    REFUSED(img->processes[1].ppid = 103, "parent 103 is not before it");
    REFUSED(img->root_pid = 77, "root process 77 is missing");
    REFUSED(img->root_pid = 103, "root process 103 has another parent");
    REFUSED(p->pgid = 0, "group 0");
    REFUSED(p->sid = -5, "session -5");
}

static void mappings_must_be_possible(void)
{
    REFUSED(v[1].start = 0x401000, "begins before the end of another");
    REFUSED(v[1].start += 1, "mapping at 404001: impossible end");
    REFUSED(v[1].end = v[1].start, "impossible end");
    REFUSED(v[6].end = (UINT64_C(1) << 47) + 4096, "impossible end");
    REFUSED(v[1].kind = 99, "unknown kind 99");
    REFUSED(v[1].kind = 0, "unknown kind 0");
    REFUSED(v[1].prot = 8, "unknown protection 8");
    REFUSED(v[1].flags = 1 << 9, "flags 200");
    REFUSED(v[2].object = 2, "there is no object 2");
    REFUSED(v[3].offset = 1, "impossible offset");
    REFUSED(v[3].offset = INT64_MAX / 4096 * 4096, "impossible offset");
    REFUSED(v[3].path[0] = 'x', "is not absolute");
    REFUSED(v[0].id.build_id_size = 33, "build id is too long");
}

static void files_and_descriptors_must_be_possible(void)
{
    REFUSED(p->fds[1].fd = 0, "descriptor 0 is out of order or range");
    REFUSED(p->fds[2].fd = 1 << 20, "descriptor 1048576 is out of order or range");
    REFUSED(p->fds[0].fd = -1, "descriptor -1");
    REFUSED(p->fds[2].file = 3, "there is no file 3");
    REFUSED(img->files[0].kind = 0, "file 0: unknown kind 0");
    REFUSED(img->files[0].path[0] = '.', "is not absolute");
    REFUSED(img->files[1].object = 2, "file 1: there is no object 2");
    REFUSED(img->files[0].pos = UINT64_MAX, "impossible position");
    REFUSED((img->files[2].kind = IMAGE_FILE_STDIO, img->files[2].slot = 3),
            "no standard stream 3");
    REFUSED(img->objects[0].kind = 77, "object 0: unknown kind 77");
    REFUSED(img->objects[1].path[0] = 'x', "object 1: path is not absolute");
    REFUSED(img->objects[0].size = UINT64_MAX, "object 0: impossible size");
}

static void carried_files_stay_below_their_directory(void)
{
    REFUSED(strcpy(img->carried[0].path, "/a/../b"), "is no plain path");
    REFUSED(strcpy(img->carried[0].path, "/a//b"), "is no plain path");
    REFUSED(strcpy(img->carried[0].path, "/a/."), "is no plain path");
    REFUSED(strcpy(img->carried[0].path, "/"), "is no plain path");
    REFUSED(strcpy(img->carried[0].path, "a"), "is no plain path");
    REFUSED(img->carried[0].mode = S_IFCHR, "mode 20000");
    REFUSED(
        (img->carried[0].mode = S_IFLNK, memset(img->carried[0].content.data, 0, 1)),
        "impossible target");
}

static void process_state_must_be_possible(void)
{
    REFUSED(p->threads[1].regs.size--, "thread 102: 215 bytes of registers");
    REFUSED(memset(p->threads[0].comm, 'x', 16), "name without an end");
    REFUSED(p->threads[0].pending[0].info[0] = 65, "pending signal 65");
    REFUSED(p->pending[0].info[0] = 0, "pending signal 0");
    REFUSED(p->timers[0].signo = 65, "timer 3: signal 65");
    REFUSED(p->rlimits[3].hard = 0, "limit 3: soft above hard");
    REFUSED(p->mm.brk = UINT64_MAX, "is not its own");
    REFUSED(p->mm.auxv.size = 17, "auxiliary vector of 17 bytes");
    REFUSED(p->cwd[0] = 'x', "not an absolute path");
    REFUSED(p->umask_bits = 01000, "umask 1000");
    REFUSED(p->tty_file = 0, "file 0 is no terminal");
    REFUSED(p->oom_score_adj = 1001, "oom_score_adj 1001");
}

static void the_index_must_be_possible(void)
{
    REFUSED(img->runs[0].owner = 3, "run 0");
    REFUSED(img->runs[0].index = 2, "run 0");
    REFUSED(img->runs[0].index = 1, "run 0");
    REFUSED(img->runs[0].start = 0x403000, "lie in no memory of process 0");
    REFUSED(img->runs[0].start = 0x408000, "run 0");
    REFUSED(img->runs[0].start += 512, "run 0");
    REFUSED(img->runs[0].size = UINT64_MAX - 4095, "run 0");
    REFUSED(img->runs[0].size = 0, "run 0");
    REFUSED(img->runs[0].size = 16384 + 4096, "run 0");
    REFUSED(img->runs[2].size += 1, "lie in no memory of object 0");
    REFUSED(img->runs[2].size -= 1, "run 2");
    REFUSED(img->chunks[0].raw_size = 4096, "4096 bytes for runs of 16384 bytes");
    REFUSED(img->chunks[0].raw_size = IMAGE_CHUNK_MAX + 1, "chunk 0: impossible size");
    REFUSED(img->chunks[0].stored_size = 0, "impossible size");
    REFUSED(img->chunks[0].stored_size = 16384, "impossible size");
    REFUSED(img->chunks[0].codec = 2, "impossible size or codec");
    REFUSED(img->chunks[1].offset = 999, "chunk 1: overlaps the one before");
    REFUSED(img->chunks[1].offset = UINT64_MAX, "chunk 1");
    REFUSED(img->chunks[1].n_runs = 2, "chunk 1: its runs are not there");
    REFUSED(img->chunks[1].first_run = 1, "chunk 1: its runs are not there");
    REFUSED(img->n_chunks = 1, "1 runs lie in no chunk");
}

/* ---- records in the wrong places ---- */

struct collected {
    struct enc bytes;
    uint32_t drop, repeat; /* types */
    uint64_t n;
};

static void collect_record(struct collected *c, uint32_t type, const void *payload,
                           size_t size)
{
    struct enc head = {0};

    enc_u32(&head, type);
    enc_u64(&head, size);
    enc_raw(&c->bytes, head.data, head.size);
    enc_raw(&c->bytes, payload, size);
    enc_u64(&c->bytes,
            XXH3_64bits_withSeed(head.data, head.size, XXH3_64bits(payload, size)));
    enc_free(&head);
    c->n++;
}

static int collect(void *arg, uint32_t type, const struct enc *payload, struct err *e)
{
    struct collected *c = arg;

    if (type == c->drop)
        return 0;
    collect_record(c, type, payload->data, payload->size);
    if (type == c->repeat)
        collect_record(c, type, payload->data, payload->size);
    return 0;
}

/* A well-formed file in which one type of record is left out or twice there. */
static void expect_wrong(uint32_t drop, uint32_t repeat, const char *part)
{
    auto_image struct image *img = sample_full();
    struct collected c = {.drop = drop, .repeat = repeat};
    XXH128_canonical_t digest;
    struct enc end = {0};
    struct err e = {0};

    enc_raw(&c.bytes, FORMAT_MAGIC, 8);
    enc_u32(&c.bytes, 1);
    enc_u32(&c.bytes, 0);
    enc_u64(&c.bytes, XXH3_64bits(c.bytes.data, 16));
    CHECK_INT(format_encode(img, collect, &c, &e), 0);
    if (repeat == 99)
        collect_record(&c, 99, "?", 1);
    enc_u64(&end, c.n);
    XXH128_canonicalFromHash(&digest, XXH3_128bits(c.bytes.data, c.bytes.size));
    enc_raw(&end, &digest, sizeof(digest));
    collect_record(&c, FORMAT_END, end.data, end.size);
    if (part) {
        expect_corrupt((char *)c.bytes.data, c.bytes.size, part);
    } else {
        struct image *got = format_read(c.bytes.data, c.bytes.size, &e);

        CHECK_STR(e.text, "");
        image_free(got);
    }
    enc_free(&end);
    enc_free(&c.bytes);
}

static void records_must_be_where_they_belong(void)
{
    expect_wrong(0, 0, NULL);
    expect_wrong(FORMAT_HOST, 0, "record 0 (object): a host record must be the first");
    expect_wrong(0, FORMAT_HOST, "record 1 (host): a host record");
    expect_wrong(FORMAT_PROCESS, 0, "(thread): no living process before it");
    expect_wrong(FORMAT_THREAD, 0, "first thread is not its leader");
    expect_wrong(FORMAT_OBJECT, 0, "there is no object 1");
    expect_wrong(FORMAT_FILE, 0, "is no terminal");
    expect_wrong(FORMAT_RUNS, 0, "(chunks): chunks: a field is missing");
    expect_wrong(FORMAT_CHUNKS, 0, "3 runs lie in no chunk");
    expect_wrong(0, FORMAT_VMAS, "begins before the end of another");
    expect_wrong(0, FORMAT_PROCESS, "process id 103 occurs twice");
    expect_wrong(0, 99, "(unknown): unknown type 99");
}

static void arrays_grow_and_start_at_zero(void)
{
    struct image_process p = {0};
    bool zero = true;

    for (int i = 0; i < 1000; i++) {
        struct image_fd *f = IMAGE_APPEND(&p, fds);

        zero = zero && f && f->fd == 0 && f->file == 0;
        f->fd = f->file = i + 1;
    }
    CHECK(zero);
    CHECK_INT(p.n_fds, 1000);
    CHECK_INT(p.fds[999].fd, 1000);
    CHECK_INT(p.fds[0].fd, 1);
    free(p.fds);
}

/* test_image --golden DIR writes the file that the_format_has_not_changed compares. */
static int write_golden(const char *dir)
{
    auto_image struct image *img = sample_full();
    auto_fd int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct err e = {0};

    if (image_save(img, dirfd, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--golden") == 0)
        return write_golden(argv[2]);
    RUN(what_is_saved_is_loaded);
    RUN(the_format_has_not_changed);
    RUN(a_flipped_bit_anywhere_is_found);
    RUN(a_truncated_file_is_found_at_every_length);
    RUN(bytes_behind_the_end_are_found);
    RUN(a_newer_format_says_what_to_do);
    RUN(a_missing_file_is_a_system_error);
    RUN(other_hosts_are_named);
    RUN(ids_must_be_possible);
    RUN(mappings_must_be_possible);
    RUN(files_and_descriptors_must_be_possible);
    RUN(carried_files_stay_below_their_directory);
    RUN(process_state_must_be_possible);
    RUN(the_index_must_be_possible);
    RUN(records_must_be_where_they_belong);
    RUN(arrays_grow_and_start_at_zero);
    return tap_done();
}
