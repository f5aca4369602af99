/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Looks as if it had been started on a CPU without AVX: the place into which ld.so
 * saves registers (lazy binding) is made as small as it would be there. Continued in
 * another process, it must be as large as this CPU needs.
 */
#include "victim.h"

#include <link.h>

enum { LESSER = 640 };

static uint64_t *place_size;

/* The operand of `and $-64,%rsp; sub SIZE(%rip),%rsp` in ld.so. */
static int look_for_place(struct dl_phdr_info *info, size_t size, void *arg)
{
    static const uint8_t code[] = {0x48, 0x83, 0xe4, 0xc0, 0x48, 0x2b, 0x25};

    (void)size;
    (void)arg;
    for (int i = 0; strstr(info->dlpi_name, "/ld-") && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        const char *text = (const char *)info->dlpi_addr + h->p_vaddr;
        const char *found = NULL;
        int32_t distance;

        if (h->p_type == PT_LOAD && (h->p_flags & PF_X))
            found = memmem(text, h->p_memsz, code, sizeof(code));
        if (!found)
            continue;
        memcpy(&distance, found + sizeof(code), sizeof(distance));
        place_size = (uint64_t *)(found + sizeof(code) + sizeof(distance) + distance);
    }
    return place_size != NULL;
}

static int set_place(uint64_t size)
{
    int mem = open("/proc/self/mem", O_WRONLY | O_CLOEXEC);
    ssize_t n = pwrite(mem, &size, sizeof(size), (off_t)(uintptr_t)place_size);

    close(mem);
    return n == sizeof(size) ? 0 : -1;
}

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
    uint64_t usual, now;
    struct self before = self_now(), after;

    dl_iterate_phdr(look_for_place, NULL);
    if (!place_size || !__builtin_cpu_supports("avx"))
        victim_skip("no AVX, or an ld.so that saves no registers with XSAVE");
    usual = *place_size;
    if (set_place(LESSER) < 0)
        victim_skip("/proc/self/mem cannot be written");
    victim_wait();
    after = self_now();
    now = *(volatile uint64_t *)place_size;
    set_place(usual);
    victim_check(same_self(&before, &after) ? now == LESSER : now >= usual,
                 "the place is as large as it must be", "%u", (unsigned)now);
    return victim_end();
}
