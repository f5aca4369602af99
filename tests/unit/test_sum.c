/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/sum.h"

#include "base/scope.h"
#include "scratch.h"
#include "tap.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

static void make(int dir, const char *name, const char *const *chunks)
{
    struct err e = {0};
    struct sum_file *f = sum_create(dir, name, &e);

    CHECK(f != NULL);
    for (; f && *chunks; chunks++)
        CHECK_INT(sum_append(f, *chunks, strlen(*chunks), NULL, &e), 0);
    CHECK_INT(f ? sum_finish(f, &e) : -1, 0);
}

static const char *const three[] = {"alpha", "beta-beta", "c", NULL};

static void the_list_is_as_specified(void)
{
    struct scratch s = scratch_make();
    auto_free char *list = NULL, *data = NULL;
    struct err e = {0};

    make(s.fd, "a", (const char *const[]){"", "abc", NULL});
    CHECK_INT(io_read_file(s.fd, "a", 100, &data, NULL, &e), 0);
    CHECK_STR(data, "abc");
    CHECK_INT(io_read_file(s.fd, "a.sum", 100, &list, NULL, &e), 0);
    /* echo -n abc | xxhsum -H2 */
    CHECK_STR(list, "3 06b05ab6733a618578af5f94892f3950\n");
    scratch_drop(&s);
}

static void what_was_written_verifies(void)
{
    struct scratch s = scratch_make();
    struct sum_info info = {0};
    struct err e = {0};
    uint64_t size = 0;

    make(s.fd, "a", three);
    CHECK_INT(sum_verify(s.fd, "a", &size, &e), 0);
    CHECK_INT(size, 15);
    CHECK_INT(sum_inspect(s.fd, "a", &info, &e), 0);
    CHECK_INT(info.size_bytes, 15);
    CHECK_INT(info.chunks, 3);
    make(s.fd, "empty", (const char *const[]){NULL});
    CHECK_INT(sum_verify(s.fd, "empty", &size, &e), 0);
    CHECK_INT(size, 0);
    scratch_drop(&s);
}

static void every_flipped_bit_is_found(void)
{
    struct scratch s = scratch_make();
    static const char *const names[] = {"a", "a.sum"};
    struct err e = {0};

    make(s.fd, "a", three);
    for (int i = 0; i < 2; i++)
        for (off_t at = 0; at < scratch_size(s.fd, names[i]); at++)
            for (int bit = 0; bit < 8; bit++) {
                CHECK(scratch_flip(s.fd, names[i], at, bit));
                err_clear(&e);
                CHECK_INT(sum_verify(s.fd, "a", NULL, &e), -1);
                CHECK_INT(e.kind, ERR_CORRUPT);
                CHECK(scratch_flip(s.fd, names[i], at, bit));
            }
    CHECK_INT(sum_verify(s.fd, "a", NULL, &e), 0);
    scratch_drop(&s);
}

static void a_damaged_chunk_is_named_with_its_place(void)
{
    struct scratch s = scratch_make();
    struct err e = {0};

    make(s.fd, "a", three);
    CHECK(scratch_flip(s.fd, "a", 7, 0));
    CHECK_INT(sum_verify(s.fd, "a", NULL, &e), -1);
    CHECK_STR(e.text, "a: chunk 2 (9 bytes at 5) does not match its checksum");
    scratch_drop(&s);
}

static void every_truncation_is_found(void)
{
    struct scratch s = scratch_make();
    auto_free char *list = NULL;
    struct err e = {0};
    size_t size = 0;

    make(s.fd, "a", three);
    CHECK_INT(io_read_file(s.fd, "a.sum", 1000, &list, &size, &e), 0);
    for (size_t n = 0; n < size; n++) {
        scratch_put(s.fd, "a.sum", list, n);
        err_clear(&e);
        CHECK_INT(sum_verify(s.fd, "a", NULL, &e), -1);
        CHECK_INT(e.kind, ERR_CORRUPT);
    }
    scratch_put(s.fd, "a.sum", list, size);
    CHECK_INT(sum_verify(s.fd, "a", NULL, &e), 0);
    scratch_put(s.fd, "a", "alphabeta-beta", 14);
    CHECK_INT(sum_inspect(s.fd, "a", &(struct sum_info){0}, &e), -1);
    CHECK_STR(e.text, "a has 14 bytes, its checksums are for 15");
    scratch_drop(&s);
}

static void only_the_exact_spelling_of_a_list_is_taken(void)
{
    static const char *const bad[] = {
        "3  06b05ab6733a618578af5f94892f3950\n",
        "03 06b05ab6733a618578af5f94892f3950\n",
        "+3 06b05ab6733a618578af5f94892f3950\n",
        "3 06B05AB6733A618578AF5F94892F3950\n",
        "3 06b05ab6733a618578af5f94892f395\n",
        "3 06b05ab6733a618578af5f94892f39500\n",
        "0 06b05ab6733a618578af5f94892f3950\n",
        "3 06b05ab6733a618578af5f94892f3950",
        "3 06b05ab6733a618578af5f94892f3950\r\n",
        "\n",
        "4194305 06b05ab6733a618578af5f94892f3950\n",
        "18446744073709551619 06b05ab6733a618578af5f94892f3950\n",
    };
    struct scratch s = scratch_make();
    struct err e = {0};

    scratch_put(s.fd, "a", "abc", 3);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        scratch_put(s.fd, "a.sum", bad[i], strlen(bad[i]));
        err_clear(&e);
        CHECK_INT(sum_verify(s.fd, "a", NULL, &e), -1);
        CHECK_HAS(e.text, "a.sum line 1 is not 'SIZE DIGEST'");
    }
    scratch_drop(&s);
}

static void a_file_of_another_program_is_adopted(void)
{
    struct scratch s = scratch_make();
    size_t size = (2 << 20) + 17;
    auto_free char *data = malloc(size);
    struct sum_info info;
    struct err e = {0};

    for (size_t i = 0; i < size; i++)
        data[i] = i * 7 + (i >> 11);
    scratch_put(s.fd, "image", data, size);
    CHECK_INT(sum_adopt(s.fd, "image", &e), 0);
    CHECK_INT(sum_check(s.fd, "image", &info, NULL, NULL, &e), 0);
    CHECK_INT(info.chunks, 3);
    CHECK_INT(info.size_bytes, size);
    CHECK_INT(mkfifoat(s.fd, "fifo", 0600), 0);
    CHECK_INT(sum_adopt(s.fd, "fifo", &e), -1);
    CHECK_STR(e.text, "fifo is not a regular file");
    CHECK_INT(symlinkat("image", s.fd, "link"), 0);
    CHECK_INT(sum_adopt(s.fd, "link", &e), -1);
    CHECK_STR(e.text, "link is a symbolic link");
    CHECK_INT(sum_adopt(s.fd, "../image", &e), -1);
    scratch_drop(&s);
}

enum { THREADS = 4, PER_THREAD = 200 };

static void *append_many(void *arg)
{
    char chunk[1000];
    struct err e = {0};
    uint64_t offset;

    for (int i = 0; i < PER_THREAD; i++) {
        size_t size = 1 + (i * 37) % sizeof(chunk);

        memset(chunk, 'a' + i % 26, size);
        if (sum_append(arg, chunk, size, &offset, &e) < 0)
            return "failed";
    }
    return NULL;
}

static void several_threads_append_at_once(void)
{
    struct scratch s = scratch_make();
    pthread_t threads[THREADS];
    struct err e = {0};
    struct sum_file *f = sum_create(s.fd, "a", &e);
    struct sum_info info = {0};

    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, append_many, f), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;

        pthread_join(threads[i], &failed);
        CHECK(!failed);
    }
    CHECK_INT(sum_finish(f, &e), 0);
    CHECK_INT(sum_check(s.fd, "a", &info, NULL, NULL, &e), 0);
    CHECK_INT(info.chunks, THREADS * PER_THREAD);
    scratch_drop(&s);
}

static void a_chunk_that_was_not_written_fails_the_file(void)
{
    struct scratch s = scratch_make();
    struct rlimit old, small = {.rlim_cur = 4, .rlim_max = RLIM_INFINITY};
    struct err e = {0};
    struct sum_file *f = sum_create(s.fd, "a", &e);

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    CHECK_INT(sum_append(f, "abc", 3, NULL, &e), 0);
    setrlimit(RLIMIT_FSIZE, &small);
    CHECK_INT(sum_append(f, "defg", 4, NULL, &e), -1);
    CHECK_INT(e.sys, EFBIG);
    CHECK_HAS(e.text, "a: write: ");
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK_INT(sum_append(f, "defg", 4, NULL, &e), 0);
    CHECK_INT(sum_finish(f, &e), -1);
    CHECK_STR(e.text, "a: a chunk could not be written");
    CHECK_INT(scratch_size(s.fd, "a.sum"), -1);
    scratch_drop(&s);
}

int main(void)
{
    RUN(the_list_is_as_specified);
    RUN(what_was_written_verifies);
    RUN(every_flipped_bit_is_found);
    RUN(a_damaged_chunk_is_named_with_its_place);
    RUN(every_truncation_is_found);
    RUN(only_the_exact_spelling_of_a_list_is_taken);
    RUN(a_file_of_another_program_is_adopted);
    RUN(several_threads_append_at_once);
    RUN(a_chunk_that_was_not_written_fails_the_file);
    return tap_done();
}
