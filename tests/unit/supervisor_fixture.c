/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "supervisor_fixture.h"

#include "base/io.h"
#include "base/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char counter[] = "trap 'echo usr1 >> signals' USR1; n=$(wc -l < state);"
                       "while [ ! -e last ] || [ $n -lt $(cat last) ]; do"
                       "    n=$((n+1)); echo $n >> state; sleep 0.01;"
                       "done; exit 5";

struct job_config config;
struct store *store;
struct err e;

void nap_ms(long ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

void put(const char *name, const char *text)
{
    auto_fd int fd = -1;
    char new[32];

    /* A front may put something at the same time as the test. */
    snprintf(new, sizeof(new), "new.%d", getpid());
    fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    CHECK(rename(new, name) == 0);
}

const char *get(const char *name)
{
    static char text[1 << 20];
    auto_fd int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

const char *events(void)
{
    return get("job/log.jsonl");
}

bool wait_for(const char *name, const char *part)
{
    for (int i = 0; i < PATIENCE_MS / 10; i++) {
        if (strstr(get(name), part))
            return true;
        nap_ms(10);
    }
    printf("# waited in vain for '%s' in %s: %s\n", part, name, get(name));
    return false;
}

pid_t pid_in(const char *name)
{
    return (pid_t)strtol(get(name), NULL, 10);
}

bool is_gone(pid_t pid)
{
    for (int i = 0; i < PATIENCE_MS / 10; i++) {
        if (kill(pid, 0) < 0 && errno == ESRCH)
            return true;
        nap_ms(10);
    }
    return false;
}

void fresh(void)
{
    static int number;
    char name[32];
    struct err ignored = {0};

    if (store)
        store_close(store);
    snprintf(name, sizeof(name), "../%d", ++number);
    if (mkdir(name, 0700) < 0 || chdir(name) < 0)
        perror(name);
    put("state", "");
    store = store_open_dir("job", true, &ignored);
    CHECK(store != NULL);
    err_clear(&e);
    file_engine_faults = (struct file_engine_faults){0};
    config = (struct job_config){
        .store = store, .engine = &file_engine, .envp = environ, .may_launch = true};
}

pid_t front(const char *script)
{
    static char *argv[] = {"sh", "-c", NULL, NULL};
    enum job_outcome outcome;
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid != 0)
        return pid;
    setpgid(0, 0);
    argv[2] = (char *)script;
    config.path = "sh";
    config.argv = argv;
    config.envp = environ; /* which setenv may have moved */
    if (job_run(&config, &status, &outcome, &e) < 0) {
        put("why", e.text);
        _exit(NOT_STARTED);
    }
    if (outcome == JOB_SUPERSEDED)
        _exit(SUPERSEDED);
    if (outcome == JOB_LOST)
        _exit(LOST);
    job_exit_as(outcome == JOB_STOPPED ? W_EXITCODE(JOB_EXIT_STOPPED, 0) : status);
}

int end_of(pid_t pid)
{
    int status;

    for (int i = 0; i < PATIENCE_MS / 10; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
        nap_ms(10);
    }
    printf("# process %d does not end\n", pid);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -1;
}

int run(const char *script)
{
    int status = end_of(front(script));

    if (status == W_EXITCODE(NOT_STARTED, 0))
        printf("# not started: %s\n", get("why"));
    return status;
}

pid_t counting(void)
{
    pid_t pid = front(counter);

    CHECK(wait_for("state", "\n3\n"));
    return pid;
}

static int lines(const char *text)
{
    int n = 0;

    for (; (text = strchr(text, '\n')); text++)
        n++;
    return n;
}

void enough(void)
{
    char last[16];

    snprintf(last, sizeof(last), "%d", lines(get("state")) + 3);
    put("last", last);
}

int counted(pid_t pid)
{
    enough();
    return end_of(pid);
}

bool ask(bool stop, struct job_checkpoint *result)
{
    err_clear(&e);
    return job_request_checkpoint(store, stop, PATIENCE_MS / 1000, NULL, NULL, result,
                                  &e) == 0;
}

bool count_is_whole(void)
{
    int last = (int)strtol(get("last"), NULL, 10);
    const char *at = get("state");
    int n = lines(at);
    char *end;

    for (int i = 1; i <= n; i++) {
        if (strtol(at, &end, 10) != i)
            return false;
        at = end;
    }
    return last > 0 && n >= last && strcmp(at, "\n") == 0;
}

static char top[64] = "/tmp/test-supervisor-XXXXXX";

int fixture_begin(void)
{
    return mkdtemp(top) && chdir(top) == 0 && mkdir("0", 0700) == 0 && chdir("0") == 0
               ? 0
               : -1;
}

int fixture_end(void)
{
    store_close(store);
    io_remove_tree(AT_FDCWD, top, &e);
    return tap_done();
}
