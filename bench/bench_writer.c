/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How fast memory is written and loaded: bench_writer DIR [MIB [noise|text|mixed]].
 *
 * A child process holds patterned memory and is saved as a job would be; another child
 * with the same mapping, empty, is loaded. Times include the fsync of the files.
 */
#include "base/err.h"
#include "base/scope.h"
#include "image/image.h"
#include "native/memory/loader.h"
#include "native/memory/writer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void fill(uint8_t *p, size_t size, const char *pattern)
{
    bool mixed = strcmp(pattern, "mixed") == 0, text = strcmp(pattern, "text") == 0;
    uint64_t seed = 42;

    for (size_t i = 0; i + 8 <= size; i += 8) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        if (text || (mixed && (i >> 22) % 2)) {
            /* Numbers of a simulation: the low bits are noise. */
            double v = 1.0 + (double)(seed & 0xfff) / 4096;

            memcpy(p + i, &v, 8);
        } else {
            memcpy(p + i, &seed, 8);
        }
    }
}

/* A stopped process with the memory; `pattern` NULL: untouched. */
static pid_t hold(void *memory, size_t size, const char *pattern)
{
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (pattern)
            fill(memory, size, pattern);
        raise(SIGSTOP);
        _exit(0);
    }
    waitpid(pid, NULL, WUNTRACED);
    return pid;
}

static int open_of(pid_t pid, const char *name, int flags)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    return open(path, flags | O_CLOEXEC);
}

static struct image *describe(pid_t pid, void *memory, size_t size, struct err *e)
{
    struct image *img = image_new(e);
    struct image_process *p;
    struct image_thread *t;
    struct image_vma *v;

    snprintf(img->arch, sizeof(img->arch), "x86_64");
    img->page_size = sysconf(_SC_PAGESIZE);
    img->supervisor_pid = getpid();
    img->root_pid = pid;
    p = IMAGE_APPEND(img, processes);
    p->pid = p->pgid = p->sid = pid;
    p->ppid = getpid();
    p->cwd = strdup("/");
    p->exe = strdup("/bin/true");
    t = IMAGE_APPEND(p, threads);
    t->tid = pid;
    t->regs.size = sizeof(struct user_regs_struct);
    t->regs.data = calloc(1, t->regs.size);
    v = IMAGE_APPEND(p, vmas);
    v->start = (uintptr_t)memory;
    v->end = v->start + size;
    v->kind = IMAGE_VMA_ANON;
    v->prot = PROT_READ | PROT_WRITE;
    return img;
}

static int bench_write(pid_t pid, const struct image *img, int dirfd,
                       enum writer_compress compress, struct err *e)
{
    auto_fd int mem = open_of(pid, "mem", O_RDONLY);
    auto_fd int pagemap = open_of(pid, "pagemap", O_RDONLY);
    struct writer_source source = {
        .owner = IMAGE_OWNER_PROCESS, .mem_fd = mem, .pagemap_fd = pagemap};
    struct writer_options o = {.dirfd = dirfd, .compress = compress};
    struct writer_stats stats = {0};
    double begin = now(), seconds;
    struct writer *w = writer_start(img, &source, 1, &o, e);

    if (!w || writer_finish(w, &stats, e) < 0)
        return -1;
    writer_close(w);
    seconds = now() - begin;
    printf("write %7.3f s  %6.2f GB/s  %5.1f %% stored\n", seconds,
           stats.bytes / seconds / 1e9, 100.0 * stats.stored_bytes / stats.bytes);
    return 0;
}

static int bench_load(pid_t pid, size_t size, int dirfd, struct err *e)
{
    auto_fd int mem = open_of(pid, "mem", O_RDWR);
    auto_fd int memory = openat(dirfd, "memory", O_RDONLY | O_CLOEXEC);
    struct loader_targets t = {.processes = &mem};
    double begin = now(), seconds;
    auto_image struct image *img = image_load(dirfd, e);

    if (!img || loader_run(img, memory, &t, e) < 0)
        return -1;
    seconds = now() - begin;
    printf("load  %7.3f s  %6.2f GB/s\n", seconds, size / seconds / 1e9);
    return 0;
}

static int run(const char *dir, size_t size, const char *pattern, struct err *e)
{
    static const char *const modes[] = {"auto", "none", "zstd"};
    auto_fd int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    pid_t pid = hold(memory, size, pattern);
    auto_image struct image *img = describe(pid, memory, size, e);
    int result = 0;

    if (dirfd < 0 || memory == MAP_FAILED)
        return err_sys(e, "%s", dir);
    for (int mode = 0; mode < 3 && result == 0; mode++) {
        pid_t empty = hold(memory, size, NULL);

        printf("%s: ", modes[mode]);
        result = bench_write(pid, img, dirfd, mode, e);
        printf("%s: ", modes[mode]);
        if (result == 0)
            result = bench_load(empty, size, dirfd, e);
        kill(empty, SIGKILL);
        waitpid(empty, NULL, 0);
        for (int i = 0; i < 4; i++)
            unlinkat(
                dirfd,
                ((const char *[]){"memory", "memory.sum", "image", "image.sum"})[i], 0);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return result;
}

int main(int argc, char **argv)
{
    size_t mib = argc > 2 ? strtoul(argv[2], NULL, 10) : 1024;
    const char *pattern = argc > 3 ? argv[3] : "noise";
    struct err e = {0};

    if (argc < 2 || mib == 0) {
        fprintf(stderr, "usage: bench_writer DIR [MIB [noise|text|mixed]]\n");
        return 2;
    }
    if (run(argv[1], mib << 20, pattern, &e) < 0) {
        fprintf(stderr, "bench_writer: %s\n", e.text);
        return 1;
    }
    return 0;
}
