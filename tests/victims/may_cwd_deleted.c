/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The working directory has been removed. */
#include <sys/stat.h>

#include "victim.h"

int main(void)
{
    char buf[4096];
    struct stat st;

    NEED(mkdir("removed", 0700) == 0);
    NEED(chdir("removed") == 0);
    NEED(rmdir("../removed") == 0);
    victim_ready_refused(getpid(), "(?i)director");
    victim_wait_go();
    CHECK("it has no name", !getcwd(buf, sizeof(buf)) && errno == ENOENT);
    CHECK("it is a directory", stat(".", &st) == 0 && S_ISDIR(st.st_mode));
    CHECK("nothing can be made in it", open("x", O_WRONLY | O_CREAT, 0600) < 0);
    return victim_end();
}
