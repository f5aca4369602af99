/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "file_engine.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "base/sum.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STATE_MAX = 65536, ARGV_MAX = 16 };

struct file_engine_faults file_engine_faults;

struct engine_job {
    pid_t root;
    bool has_ended;
    int dirfd, timer;
    bool stop;
    char command[STATE_MAX]; /* argv, each word ended by NUL */
    size_t command_size;
};

static int probe(const struct engine_options *options, struct err *e)
{
    return 0;
}

static _Noreturn void become_job(char *const *argv, char *const *envp,
                                 const sigset_t *mask, const sigset_t *ignored)
{
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int signo = 1; signo < NSIG; signo++)
        signal(signo, sigismember(ignored, signo) == 1 ? SIG_IGN : SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvpe(argv[0], argv, envp);
    _exit(127);
}

static struct engine_job *start(char *const *argv, char *const *envp,
                                const sigset_t *mask, const sigset_t *ignored,
                                struct err *e)
{
    struct engine_job *j = calloc(1, sizeof(*j));

    j->timer = -1;
    for (; *argv; argv++) {
        memcpy(j->command + j->command_size, *argv, strlen(*argv) + 1);
        j->command_size += strlen(*argv) + 1;
    }
    j->root = fork();
    if (j->root == 0) {
        char *words[ARGV_MAX] = {0};
        size_t at = 0;

        for (int i = 0; at < j->command_size; i++) {
            words[i] = j->command + at;
            at += strlen(words[i]) + 1;
        }
        become_job(words, envp, mask, ignored);
    }
    if (j->root > 0)
        return j;
    free(j);
    err_sys(e, "fork");
    return NULL;
}

static struct engine_job *launch(const struct engine_launch *how, struct err *e)
{
    const struct start_how *p = &how->program;

    if (strchr(p->path, '/') && access(p->path, X_OK) < 0) {
        err_sys(e, "start %s", p->path);
        return NULL;
    }
    return start(p->argv, p->envp, &p->mask, &p->ignored, e);
}

/* Of the generation whose directory it is. */
static uint64_t number_of(int dirfd)
{
    char link[64], path[PATH_MAX];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
    n = readlink(link, path, sizeof(path) - 1);
    path[n > 0 ? n : 0] = '\0';
    return n > 0 ? strtoull(strrchr(path, '/') + 1, NULL, 10) : 0;
}

/* Nothing to wait for is there. */
static bool is_there(const char *name)
{
    return !name || access(name, F_OK) == 0;
}

static struct engine_job *restart(int dirfd, const struct engine_restart *how,
                                  struct err *e)
{
    auto_free char *command = NULL;
    auto_free char *state = NULL;
    auto_fd int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *words[ARGV_MAX] = {0};
    size_t size, state_size, at = 0;
    sigset_t none;

    if (file_engine_faults.restart_wrong_host) {
        err_set(e, ERR_WRONG_HOST, "the image uses avx registers");
        return NULL;
    }
    if (file_engine_faults.restart_hopeless) {
        err_set(e, ERR_FAILED, "user namespaces are forbidden here");
        return NULL;
    }
    if (file_engine_faults.restart_fails_at != 0 &&
        file_engine_faults.restart_fails_at == number_of(dirfd)) {
        *e = file_engine_faults.restart_error;
        return NULL;
    }
    if (file_engine_faults.restart_corrupt) {
        file_engine_faults.restart_corrupt = false;
        err_set(e, ERR_CORRUPT, "state: chunk 0 does not match its sum");
        return NULL;
    }
    while (!is_there(file_engine_faults.restart_until))
        usleep(10000);
    if (how->may_commit && how->may_commit(how->arg, e) < 0)
        return NULL;
    if (io_read_file(dirfd, "command", STATE_MAX, &command, &size, e) < 0 ||
        io_read_file(dirfd, "state", STATE_MAX, &state, &state_size, e) < 0 ||
        io_remove_tree(here, "state", e) < 0 ||
        io_create_file(here, "state", state, state_size, e) < 0)
        return NULL;
    for (int i = 0; at < size && i < ARGV_MAX - 1; i++) {
        words[i] = command + at;
        at += strlen(words[i]) + 1;
    }
    sigemptyset(&none);
    return start(words, environ, &none, &none, e);
}

static void let_run(struct engine_job *j, bool run)
{
    kill(-j->root, run ? SIGCONT : SIGSTOP);
}

static int save(int dirfd, const char *name, const void *data, size_t size,
                struct err *e)
{
    struct sum_file *f = sum_create(dirfd, name, e);
    uint64_t offset;

    if (!f)
        return -1;
    if (size > 0 && sum_append(f, data, size, &offset, e) < 0) {
        sum_abandon(f);
        return -1;
    }
    return sum_finish(f, e);
}

/* One character each in the file "asked". */
static void note_request(void)
{
    auto_fd int fd = open("asked", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (write(fd, ".", 1) < 0)
        perror("asked");
}

static int begin(struct engine_job *j, const struct engine_request *r, struct err *e)
{
    struct itimerspec when = {
        .it_interval = {.tv_nsec = 10000000},
        .it_value = {.tv_sec = file_engine_faults.write_ms / 1000,
                     .tv_nsec = file_engine_faults.write_ms % 1000 * 1000000 + 1}};
    auto_free char *state = NULL;
    size_t size;

    note_request();
    if (file_engine_faults.momentary > 0) {
        file_engine_faults.momentary--;
        usleep(file_engine_faults.momentary_ms * 1000);
        err_set(e, ERR_REFUSED, "process 1: passes a descriptor");
        return err_momentary(e);
    }
    if (file_engine_faults.refuse)
        return err_set(e, ERR_REFUSED, "process 1: holds /dev/nvidia0");
    let_run(j, false);
    if (io_read_file(AT_FDCWD, "state", STATE_MAX, &state, &size, e) < 0 ||
        save(r->dirfd, "state", state, size, e) < 0 ||
        save(r->dirfd, "command", j->command, j->command_size, e) < 0) {
        let_run(j, true);
        return -1;
    }
    if (!r->stop)
        let_run(j, true);
    j->dirfd = r->dirfd;
    j->stop = r->stop;
    j->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    timerfd_settime(j->timer, 0, &when, NULL);
    return 0;
}

static int wait_fd(struct engine_job *j)
{
    return j->timer;
}

static bool is_finished(struct engine_job *j, struct engine_progress *p)
{
    uint64_t expirations;

    *p = (struct engine_progress){.bytes = 1, .total_bytes = 2};
    return read(j->timer, &expirations, sizeof(expirations)) > 0 &&
           is_there(file_engine_faults.write_until);
}

static int finish(struct engine_job *j, struct engine_stats *stats, struct err *e)
{
    close(j->timer);
    j->timer = -1;
    *stats = (struct engine_stats){
        .processes = 1, .threads = 1, .bytes = 4096, .stored_bytes = 5, .pause_us = 7};
    if (!file_engine_faults.finish_fails)
        return 0;
    return err_code(e, ENOSPC, "write state");
}

static void end(struct engine_job *j, bool kill_job)
{
    if (kill_job)
        kill(-j->root, SIGKILL);
    else
        let_run(j, true);
}

static enum engine_end reap(struct engine_job *j, int *status)
{
    int result;
    pid_t pid;

    while ((pid = waitpid(-1, &result, WNOHANG)) > 0)
        if (pid == j->root) {
            j->has_ended = true;
            *status = result;
            if (file_engine_faults.lost_status != 0 &&
                result == W_EXITCODE(file_engine_faults.lost_status, 0))
                return ENGINE_LOST;
            return ENGINE_ENDED;
        }
    return ENGINE_RUNS;
}

static int signal_group(struct engine_job *j, int signo)
{
    return kill(-j->root, signo);
}

static int stop_all(struct engine_job *j, bool stopped)
{
    let_run(j, !stopped);
    return 0;
}

static void kill_all(struct engine_job *j)
{
    kill(-j->root, SIGKILL);
    if (!j->has_ended)
        waitpid(j->root, NULL, 0);
    j->has_ended = true;
}

static void close_job(struct engine_job *j)
{
    if (j && j->timer >= 0)
        close(j->timer);
    free(j);
}

const struct engine file_engine = {.name = "file",
                                   .probe = probe,
                                   .launch = launch,
                                   .restart = restart,
                                   .begin = begin,
                                   .wait_fd = wait_fd,
                                   .is_finished = is_finished,
                                   .finish = finish,
                                   .end = end,
                                   .reap = reap,
                                   .signal_group = signal_group,
                                   .stop_all = stop_all,
                                   .kill = kill_all,
                                   .close = close_job};

const struct engine *engine_find(const char *name, struct err *e)
{
    if (strcmp(name, file_engine.name) == 0)
        return &file_engine;
    err_set(e, ERR_USAGE, "no engine is called %s", name);
    return NULL;
}
