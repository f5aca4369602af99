/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A named pipe: open for both, queued data, its name still leads to it. */
#include <sys/stat.h>

#include "victim.h"

int main(void)
{
    char buf[32] = "";
    int in, out, late;

    unlink("fd_fifo");
    NEED(mkfifo("fd_fifo", 0600) == 0);
    in = open("fd_fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    out = open("fd_fifo", O_WRONLY | O_CLOEXEC);
    NEED(in >= 0 && out >= 0);
    fcntl(in, F_SETFL, 0);
    NEED(write(out, "before", 6) == 6);
    victim_wait();
    late = open("fd_fifo", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    CHECK("its name leads to it", late >= 0 && write(late, "+after", 6) == 6);
    close(late);
    NEED(read(in, buf, 12) > 0);
    CHECK_STR("content", buf, "before+after");
    close(out);
    CHECK_INT("the end", read(in, buf, 1), 0);
    return victim_end();
}
