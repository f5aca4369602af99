/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Looks as if it had been started on a CPU without AVX: the place into which ld.so
 * saves registers (lazy binding) is made as small as it would be there. Continued in
 * another process, it must be as large as this CPU needs.
 */
#include "place_of_registers.h"
#include "victim.h"

/* What a restart changes: the process itself, and with the native engine its
 * namespaces. Both: in a time namespace that goes on from the checkpoint, a process of
 * the same number may have begun in the same tick (proc_pid_stat(5),
 * time_namespaces(7)). */
struct self {
    unsigned long long began_ticks;
    char pid_namespace[64];
};

static struct self self_now(void)
{
    struct self self = {0};
    char text[1024] = "";
    FILE *f = fopen("/proc/self/stat", "re");
    const char *p;

    if (!f || !fgets(text, sizeof(text), f) || !(p = strrchr(text, ')')))
        _exit(3);
    fclose(f);
    for (int field = 3; field < 22 && p; field++)
        p = strchr(p + 2, ' ');
    if (!p || sscanf(p, "%llu", &self.began_ticks) != 1 ||
        readlink("/proc/self/ns/pid", self.pid_namespace,
                 sizeof(self.pid_namespace) - 1) < 0)
        _exit(3);
    return self;
}

static bool same_self(const struct self *a, const struct self *b)
{
    return a->began_ticks == b->began_ticks &&
           strcmp(a->pid_namespace, b->pid_namespace) == 0;
}

int main(void)
{
    const uint64_t *place = find_place();
    uint64_t usual, now;
    struct self before = self_now(), after;

    if (!place)
        victim_skip("no AVX, or an ld.so that saves no registers with XSAVE");
    usual = *place;
    if (set_place(getpid(), place, LESSER) < 0)
        victim_skip("/proc/self/mem cannot be written");
    victim_wait();
    after = self_now();
    now = *(const volatile uint64_t *)place;
    set_place(getpid(), place, usual);
    victim_check(same_self(&before, &after) ? now == LESSER : now >= usual,
                 "the place is as large as it must be", "%u", (unsigned)now);
    return victim_end();
}
