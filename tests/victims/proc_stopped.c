/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A child that is stopped stays stopped, is reported once, and goes on at SIGCONT. */
#include "victim.h"

static char state_of(pid_t pid)
{
    char path[64], line[512] = "";
    FILE *f;
    char *paren;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    f = fopen(path, "re");
    NEED(f);
    NEED(fgets(line, sizeof(line), f));
    fclose(f);
    paren = strrchr(line, ')');
    NEED(paren);
    return paren[2];
}

int main(void)
{
    pid_t seen = fork(), unseen;
    int status;

    if (seen == 0) {
        raise(SIGSTOP);
        _exit(5);
    }
    NEED(waitpid(seen, &status, WUNTRACED) == seen && WIFSTOPPED(status));
    unseen = fork();
    if (unseen == 0) {
        raise(SIGSTOP);
        _exit(6);
    }
    while (state_of(unseen) != 'T')
        victim_sleep_ms(1);
    victim_wait();
    victim_sleep_ms(100);
    CHECK_INT("the seen child's state", state_of(seen), 'T');
    CHECK_INT("the unseen child's state", state_of(unseen), 'T');
    CHECK_INT("a stop that was seen is not told again",
              waitpid(seen, &status, WUNTRACED | WNOHANG), 0);
    CHECK_INT("continue", kill(seen, SIGCONT), 0);
    CHECK_INT("continue the other", kill(unseen, SIGCONT), 0);
    CHECK_INT("end of the seen", victim_waitpid(seen), 5 << 8);
    CHECK_INT("end of the unseen", victim_waitpid(unseen), 6 << 8);
    return victim_end();
}
