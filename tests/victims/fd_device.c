/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The harmless devices: null, zero, full, random, urandom, each still what it was. */
#include "victim.h"

int main(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC),
        zero = open("/dev/zero", O_RDONLY);
    int full = open("/dev/full", O_WRONLY), random = open("/dev/urandom", O_RDONLY);
    int random2 = open("/dev/random", O_RDONLY | O_NONBLOCK);
    char a[16], b[16];

    NEED(null >= 0 && zero >= 0 && full >= 0 && random >= 0 && random2 >= 0);
    victim_wait();
    CHECK_INT("null takes", write(null, "x", 1), 1);
    CHECK_INT("null gives nothing", read(null, a, 1), 0);
    memset(a, 1, sizeof(a));
    memset(b, 0, sizeof(b));
    CHECK("zero",
          read(zero, a, sizeof(a)) == sizeof(a) && memcmp(a, b, sizeof(a)) == 0);
    CHECK("full", write(full, "x", 1) < 0 && errno == ENOSPC);
    CHECK("urandom", read(random, a, sizeof(a)) == sizeof(a) &&
                         read(random, b, sizeof(b)) == sizeof(b) &&
                         memcmp(a, b, sizeof(a)) != 0);
    CHECK("random", read(random2, a, 1) == 1);
    CHECK_INT("flags", fcntl(null, F_GETFL) & O_ACCMODE, O_RDWR);
    CHECK_INT("close-on-exec", fcntl(null, F_GETFD), FD_CLOEXEC);
    return victim_end();
}
