/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What programs have of CPUs that are not here: protection keys, the tiles of AMX. */
#include "native/save/features.h"

#include "base/err.h"
#include "native/arch/x86_64/permit.h"
#include "tap.h"

#include <sys/mman.h>

/* As Linux 6.1 prints it on a CPU with protection keys, shortened. */
static const char smaps[] = "00400000-00401000 r-xp 00000000 08:01 131 /bin/program\n"
                            "Size:                  4 kB\n"
                            "THPeligible:            0\n"
                            "ProtectionKey:         0\n"
                            "VmFlags: rd ex mr mw me sd \n"
                            "7f0000000000-7f0000001000 --xp 00000000 00:00 0 \n"
                            "Size:                  4 kB\n"
                            "ProtectionKey:         1\n"
                            "VmFlags: ex mr mw me sd \n"
                            "7f0000002000-7f0000003000 rw-p 00000000 00:00 0 \n"
                            "Size:                  4 kB\n"
                            "ProtectionKey:        12\n"
                            "VmFlags: rd wr mr mw me ac sd \n"
                            "7f0000004000-7f0000005000 rw-p 00000000 00:00 0 \n"
                            "Size:                  4 kB\n"
                            "VmFlags: rd wr mr mw me lo ac sd \n";

struct seen {
    struct proc_vm vm[8];
    char flags[8][64];
    int n;
    int last; /* the result for this one is not 0 */
};

static int see(void *arg, const struct proc_vm *vm, struct err *e)
{
    struct seen *s = arg;

    (void)e;
    s->vm[s->n] = *vm;
    snprintf(s->flags[s->n], sizeof(s->flags[0]), "%s", vm->flags);
    return s->n++ == s->last ? 5 : 0;
}

static int parse(struct seen *s)
{
    struct err e = {0};
    char text[sizeof(smaps)];

    memcpy(text, smaps, sizeof(smaps));
    return proc_vm_parse(text, see, s, &e);
}

static void keys_and_flags_are_those_of_their_mapping(void)
{
    struct seen s = {.last = -1};

    CHECK_INT(parse(&s), 0);
    CHECK_INT(s.n, 4);
    CHECK(s.vm[0].start == 0x400000 && s.vm[0].end == 0x401000);
    CHECK_INT(s.vm[0].key, 0);
    CHECK_INT(s.vm[1].key, 1);
    CHECK_INT(s.vm[2].key, 12);
    CHECK(s.vm[3].start == 0x7f0000004000);
    CHECK_INT(s.vm[3].key, 0);
    CHECK_HAS(s.flags[3], " lo ");
}

static void reading_ends_when_it_is_told_to(void)
{
    struct seen s = {.last = 1};

    CHECK_INT(parse(&s), 5);
    CHECK_INT(s.n, 2);
}

static void a_mapping_with_a_key_is_refused_by_name(void)
{
    struct proc_vm vm = {.start = 0x7f0000002000, .end = 0x7f0000003000, .key = 12};
    struct err e = {0};

    CHECK_INT(features_check_key(&vm, PROT_READ | PROT_WRITE, 4711, &e), -1);
    CHECK_INT(e.kind, ERR_REFUSED);
    CHECK_HAS(e.text, "process 4711 ");
    CHECK_HAS(e.text, "0x7f0000002000");
    CHECK_HAS(e.text, "protection key 12");
}

static void the_kernels_own_key_is_no_reason_to_refuse(void)
{
    struct proc_vm vm = {.start = 0x7f0000000000, .end = 0x7f0000001000, .key = 1};
    struct err e = {0};

    CHECK_INT(features_check_key(&vm, PROT_EXEC, 4711, &e), 0);
    vm.key = 0;
    CHECK_INT(features_check_key(&vm, PROT_READ, 4711, &e), 0);
}

static void tiles_that_were_asked_for_are_refused_by_name(void)
{
    enum { WITHOUT = 0x202e7, TILES = 1 << 18 };
    struct err e = {0};

    CHECK_INT(permit_check(WITHOUT, 4711, &e), 0);
    CHECK_INT(permit_check(WITHOUT | TILES, 4711, &e), -1);
    CHECK_INT(e.kind, ERR_REFUSED);
    CHECK_HAS(e.text, "process 4711 ");
    CHECK_HAS(e.text, "AMX");
}

int main(void)
{
    RUN(keys_and_flags_are_those_of_their_mapping);
    RUN(reading_ends_when_it_is_told_to);
    RUN(a_mapping_with_a_key_is_refused_by_name);
    RUN(the_kernels_own_key_is_no_reason_to_refuse);
    RUN(tiles_that_were_asked_for_are_refused_by_name);
    return tap_done();
}
