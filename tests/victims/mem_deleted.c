/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Deleted files: mapped shared and private, open at the same time, one inode for all.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include "victim.h"

#define SIZE (256UL << 10)

static int make_deleted(const char *name)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    NEED(fd >= 0);
    NEED(ftruncate(fd, SIZE) == 0);
    return fd;
}

int main(void)
{
    int fd = make_deleted("mem_deleted.open"),
        closed = make_deleted("mem_deleted.closed");
    int ro = open("mem_deleted.open", O_RDONLY | O_CLOEXEC);
    char *shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *private = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    char *only = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, closed, 0);
    char buf[32] = "";
    struct stat st;

    NEED(shared != MAP_FAILED && private != MAP_FAILED && only != MAP_FAILED &&
         ro >= 0);
    NEED(unlink("mem_deleted.open") == 0 && unlink("mem_deleted.closed") == 0);
    close(closed);
    victim_fill(shared, SIZE, 31);
    victim_fill(only, SIZE, 32);
    strcpy(private + 8192, "private");
    NEED(lseek(fd, 777, SEEK_SET) == 777);
    victim_wait();
    CHECK_INT("shared mapping", victim_differs(shared, SIZE, 31), -1);
    CHECK_INT("mapping without descriptor", victim_differs(only, SIZE, 32), -1);
    CHECK_STR("private page", private + 8192, "private");
    CHECK_INT("unchanged private page", victim_differs(private + 4096, 4096, 31 + 512),
              -1);
    CHECK_INT("offset", lseek(fd, 0, SEEK_CUR), 777);
    CHECK_INT("size", fstat(fd, &st) == 0 ? (long long)st.st_size : -1,
              (long long)SIZE);
    CHECK_INT("links", st.st_nlink, 0);
    strcpy(shared + 5000, "through the mapping");
    NEED(pread(fd, buf, 20, 5000) == 20);
    CHECK_STR("mapping and descriptor are one file", buf, "through the mapping");
    NEED(pwrite(fd, "through the file", 17, 9000) == 17);
    CHECK_STR("in both directions", shared + 9000, "through the file");
    NEED(pread(ro, buf, 17, 9000) == 17);
    CHECK_STR("and the other descriptor", buf, "through the file");
    CHECK("which cannot write", write(ro, "x", 1) < 0 && errno == EBADF);
    return victim_end();
}
