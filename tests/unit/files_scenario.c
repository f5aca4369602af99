/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "files_scenario.h"

#include "base/io.h"
#include "native/files/files.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_PROCESSES = 8, FIRST_OBJECT_FD = 500, FIRST_POOL_FD = 600 };

static struct shared {
    pid_t pids[MAX_PROCESSES];
    int n;
} * shared;

static const struct scenario *current;
static int my_number;

static char directory[PATH_MAX];

const char *scenario_dir(void)
{
    if (!directory[0]) {
        snprintf(directory, sizeof(directory), "/var/tmp/qckpt-files-XXXXXX");
        if (!mkdtemp(directory))
            abort();
    }
    return directory;
}

const char *scenario_path(const char *name)
{
    static char paths[4][PATH_MAX + 64];
    static int next;

    next = (next + 1) % 4;
    snprintf(paths[next], sizeof(paths[next]), "%s/%s", scenario_dir(), name);
    return paths[next];
}

void scenario_clean(void)
{
    struct err ignored;

    if (directory[0])
        io_remove_tree(AT_FDCWD, directory, &ignored);
    directory[0] = 0;
}

pid_t scenario_fork(void)
{
    int number = shared->n++;
    pid_t pid = fork();

    if (pid > 0)
        shared->pids[number] = pid;
    else
        my_number = number;
    return pid;
}

void scenario_stop(void)
{
    raise(SIGSTOP);
    if (current->live)
        current->check(my_number);
    fflush(stdout);
    _exit(tap_test_failed);
}

static void start(const struct scenario *s)
{
    pid_t pid;

    current = s;
    if (!shared)
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *shared = (struct shared){0};
    fflush(stdout);
    pid = scenario_fork();
    if (pid == 0) {
        syscall(SYS_close_range, 3, ~0U, 0);
        s->set_up();
        scenario_stop();
    }
}

static bool is_stopped(pid_t pid)
{
    char path[64], text[256] = {0};
    const char *state;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
        abort(); /* the set-up failed */
    close(fd);
    state = strrchr(text, ')');
    if (!state || state[2] == 'Z') {
        printf("Bail out! a set-up failed\n");
        exit(1);
    }
    return state[2] == 'T';
}

static void wait_until_all_stop(void)
{
    for (int i = 0; i < shared->n; i++)
        while (shared->pids[i] == 0 || !is_stopped(shared->pids[i]))
            usleep(500);
}

static int save_all(struct scenario *s, struct files_save *save)
{
    for (int i = 0; i < shared->n; i++) {
        struct image_process *p = IMAGE_APPEND(s->image, processes);

        p->pid = shared->pids[i];
        p->pgid = getpgid(p->pid);
        if (files_save_process(save, i, p->pid, &s->e) < 0)
            return -1;
    }
    return files_save_end(save, &s->e);
}

int scenario_save(struct scenario *s)
{
    struct files_save *save;
    int status, ended;

    start(s);
    wait_until_all_stop();
    s->image = image_new(&s->e);
    save = files_save_new(s->image, (const int[3]){0, 1, 2}, &s->e);
    status = save_all(s, save);
    if (status == 0 && !s->live)
        files_save_before_kill(save);
    for (int i = shared->n - 1; i >= 0; i--)
        kill(shared->pids[i], s->live && status == 0 ? SIGCONT : SIGKILL);
    while (wait(&ended) > 0)
        s->live_failed |= s->live && ended != 0;
    /* What objects contain is the writer's business; here it is copied at the end. */
    for (uint32_t i = 0; status == 0 && i < s->image->n_objects; i++)
        dup2(files_save_object_fd(save, i), FIRST_OBJECT_FD + i);
    files_save_free(save);
    return status;
}

static void copy_object(int from, int to, uint64_t size)
{
    static char buffer[1 << 16];

    for (uint64_t at = 0; at < size;) {
        ssize_t n = pread(from, buffer, sizeof(buffer), at);

        if (n <= 0 || pwrite(to, buffer, n, at) != n)
            abort();
        at += n;
    }
}

static void be_process(const struct scenario *s, const struct files_restore *r, int i)
{
    struct err e;

    if (files_restore_install(r, i, NULL, &e) < 0) {
        printf("# install: %s\n", e.text);
        fflush(stdout);
        _exit(2);
    }
    raise(SIGSTOP);
    s->check(i);
    fflush(stdout);
    _exit(tap_test_failed);
}

static int run_processes(const struct scenario *s, struct files_restore *r)
{
    pid_t pids[MAX_PROCESSES];
    int status, failed = 0;
    struct err e;

    for (uint32_t i = 0; i < s->image->n_processes; i++) {
        pids[i] = fork();
        s->image->processes[i].pid = pids[i];
        if (pids[i] == 0) {
            s->image->processes[i].pid = getpid();
            be_process(s, r, i);
        }
        waitpid(pids[i], &status, WUNTRACED);
        if (!WIFSTOPPED(status))
            return 1;
    }
    if (files_restore_commit(r, &e) < 0) {
        printf("# commit: %s\n", e.text);
        failed = 1;
    }
    files_restore_close(r);
    for (uint32_t i = 0; i < s->image->n_processes; i++)
        kill(pids[i], failed ? SIGKILL : SIGCONT);
    for (uint32_t i = 0; i < s->image->n_processes; i++) {
        waitpid(pids[i], &status, 0);
        failed |= status != 0;
    }
    return failed;
}

static int restore(const struct scenario *s)
{
    struct files_restore r = {
        .img = s->image, .stdio = {0, 1, 2}, .first_fd = FIRST_POOL_FD};
    struct err e;

    if (files_restore_open(&r, &e) < 0) {
        printf("# restore: %s\n", e.text);
        return 1;
    }
    for (uint32_t i = 0; i < s->image->n_objects; i++)
        copy_object(FIRST_OBJECT_FD + i, r.objects[i], s->image->objects[i].size);
    return run_processes(s, &r);
}

bool scenario_run(struct scenario *s)
{
    int status;
    pid_t pid;

    if (scenario_save(s) < 0) {
        printf("# save: %s\n", s->e.text);
        image_free(s->image);
        return false;
    }
    if (s->live) {
        image_free(s->image);
        return !s->live_failed;
    }
    if (s->meanwhile)
        s->meanwhile();
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        status = restore(s);
        fflush(stdout);
        _exit(status);
    }
    waitpid(pid, &status, 0);
    image_free(s->image);
    syscall(SYS_close_range, FIRST_OBJECT_FD, FIRST_POOL_FD - 1, 0);
    return status == 0;
}

void put(int at, int fd)
{
    if (fd < 0 || dup2(fd, at) < 0)
        abort();
    if (fd != at)
        close(fd);
}

const char *read_fd(int fd)
{
    static char text[256];
    ssize_t n = read(fd, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = 0;
    return n < 0 ? strerrorname_np(errno) : text;
}

void say(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
}

void run(void (*set_up)(void), void (*check)(int), void (*meanwhile)(void))
{
    struct scenario s = {.set_up = set_up, .check = check, .meanwhile = meanwhile};

    scenario_dir();
    CHECK(scenario_run(&s));
    scenario_clean();
}

void run_twice(void (*set_up)(void), void (*check)(int))
{
    struct scenario s = {.set_up = set_up, .check = check, .live = true};

    run(set_up, check, NULL);
    scenario_dir();
    CHECK(scenario_run(&s));
    scenario_clean();
}

void refuse(void (*set_up)(void), const char *part)
{
    struct scenario s = {.set_up = set_up};

    scenario_dir();
    CHECK_INT(scenario_save(&s), -1);
    CHECK_INT(s.e.kind, ERR_REFUSED);
    CHECK_HAS(s.e.text, "process ");
    CHECK_HAS(s.e.text, " descriptor 10 is ");
    CHECK_HAS(s.e.text, part);
    image_free(s.image);
    scenario_clean();
}
