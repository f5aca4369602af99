/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A memfd: contents, size, seals, a mapping, a second descriptor with its own offset.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include "victim.h"

#define SIZE (512UL << 10)

int main(void)
{
    int fd = memfd_create("victim memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int sealed = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    char path[64], buf[16] = "";
    struct stat st;
    char *p;
    int again;

    NEED(fd >= 0 && sealed >= 0);
    NEED(ftruncate(fd, SIZE) == 0);
    p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEED(p != MAP_FAILED);
    victim_fill(p, SIZE, 41);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, O_RDWR | O_CLOEXEC);
    NEED(again >= 0);
    NEED(lseek(again, 4096, SEEK_SET) == 4096);
    NEED(write(sealed, "sealed content", 15) == 15);
    NEED(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0);
    victim_wait();
    CHECK_INT("mapping", victim_differs(p, SIZE, 41), -1);
    CHECK_INT("size", fstat(fd, &st) == 0 ? (long long)st.st_size : -1,
              (long long)SIZE);
    CHECK_INT("offset of the first", lseek(fd, 0, SEEK_CUR), 0);
    CHECK_INT("offset of the second", lseek(again, 0, SEEK_CUR), 4096);
    NEED(write(again, "by descriptor", 14) == 14);
    CHECK_STR("one memory", p + 4096, "by descriptor");
    NEED(pread(sealed, buf, 15, 0) == 15);
    CHECK_STR("content of the sealed", buf, "sealed content");
    CHECK_INT("seals", fcntl(sealed, F_GET_SEALS),
              F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
    CHECK("sealed against writing", pwrite(sealed, "x", 1, 0) < 0 && errno == EPERM);
    CHECK_INT("no seals on the other", fcntl(fd, F_GET_SEALS), 0);
    return victim_end();
}
