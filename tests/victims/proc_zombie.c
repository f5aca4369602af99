/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Zombies keep how they ended: an exit code, a signal, and the parent may wait in
 * order. */
#include <sys/resource.h>

#include "victim.h"

int main(void)
{
    struct rlimit no_core = {0, 0};
    pid_t exited = fork(), killed, dumped;
    siginfo_t info;
    int status;

    if (exited == 0)
        _exit(33);
    killed = fork();
    if (killed == 0) {
        raise(SIGTERM);
        _exit(0);
    }
    dumped = fork();
    if (dumped == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        abort();
    }
    for (int i = 0; i < 3; i++)
        NEED(waitid(P_PID, (id_t[]){exited, killed, dumped}[i], &info,
                    WEXITED | WNOWAIT) == 0);
    victim_wait();
    CHECK("a zombie can be signalled", kill(exited, 0) == 0);
    memset(&info, 0, sizeof(info));
    CHECK("waitid leaves the zombie",
          waitid(P_PID, (id_t)exited, &info, WEXITED | WNOWAIT | WNOHANG) == 0);
    CHECK_INT("its pid", info.si_pid, exited);
    CHECK_INT("its code", info.si_code, CLD_EXITED);
    CHECK_INT("its status", info.si_status, 33);
    CHECK_INT("wait for the killed one", waitpid(killed, &status, WNOHANG), killed);
    CHECK("it died of SIGTERM", WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK_INT("wait for the aborted one", waitpid(dumped, &status, WNOHANG), dumped);
    CHECK("it died of SIGABRT", WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK_INT("wait for the exited one", waitpid(exited, &status, WNOHANG), exited);
    CHECK("it exited with 33", WIFEXITED(status) && WEXITSTATUS(status) == 33);
    CHECK("no child is left", waitpid(-1, &status, WNOHANG) < 0 && errno == ECHILD);
    return victim_end();
}
