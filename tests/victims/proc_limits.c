/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A process at its limits: no more address space, files, file size, children or locks.
 */
#include <sys/mman.h>
#include <sys/resource.h>

#include "victim.h"

static unsigned long address_space(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;

    NEED(f && fscanf(f, "%lu", &pages) == 1);
    fclose(f);
    return pages * 4096;
}

static void limit(__rlimit_resource_t what, rlim_t value)
{
    struct rlimit l = {value, value};

    NEED(setrlimit(what, &l) == 0);
}

int main(void)
{
    char *p =
        mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = open("limits", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    unsigned long size;

    NEED(p != MAP_FAILED && fd >= 0);
    victim_fill(p, 4 << 20, 5);
    NEED(write(fd, p, 8192) == 8192);
    signal(SIGXFSZ, SIG_IGN);
    /* Before the limits: the ready file needs a descriptor and a size. */
    victim_ready();
    /* A checkpoint needs a page in the process. */
    size = address_space() + 65536;
    limit(RLIMIT_NOFILE, (rlim_t)fd + 1);
    limit(RLIMIT_FSIZE, 8192);
    limit(RLIMIT_MEMLOCK, 0);
    limit(RLIMIT_NPROC, 1);
    limit(RLIMIT_SIGPENDING, 0);
    limit(RLIMIT_STACK, 256 << 10);
    limit(RLIMIT_AS, size);
    limit(RLIMIT_DATA, 1 << 20);
    victim_wait_go();
    CHECK_INT("memory", victim_differs(p, 4 << 20, 5), -1);
    CHECK("no more memory", mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
                                 -1, 0) == MAP_FAILED);
    CHECK("no more files", open("/dev/null", O_RDONLY) < 0 && errno == EMFILE);
    CHECK("no larger file", pwrite(fd, p, 1, 8192) < 0 && errno == EFBIG);
    CHECK_INT("the file is there", lseek(fd, 0, SEEK_CUR), 8192);
    return victim_end();
}
