/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All general registers, the flags and the segment bases while spinning without a call.
 */
#include <asm/prctl.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "victim.h"

static volatile int stop;
static uint64_t want[12] = {0x1111111111111111, 0x2222222222222222, 0x3333333333333333,
                            0x4444444444444444, 0x5555555555555555, 0x6666666666666666,
                            0x7777777777777777, 0x8888888888888888, 0x9999999999999999,
                            0xaaaaaaaaaaaaaaaa, 0xbbbbbbbbbbbbbbbb, 0xcccccccccccccccc};
/* Named by the assembly, so the compiler must keep them as they are. */
__attribute__((used)) static uint64_t saw[12], flags;

static void *stopper(void *arg)
{
    victim_wait();
    victim_sleep_ms(30);
    stop = 1;
    return arg;
}

/* rax points at `want`, rdx at `stop`; everything else is a pattern. */
static void spin(void)
{
    __asm__ volatile(
        "lea -128(%%rsp), %%rsp\n"
        "push %%rbp\n"
        "mov 0(%%rax), %%rbx\n mov 8(%%rax), %%rcx\n mov 16(%%rax), %%rsi\n"
        "mov 24(%%rax), %%rdi\n mov 32(%%rax), %%r8\n mov 40(%%rax), %%r9\n"
        "mov 48(%%rax), %%r10\n mov 56(%%rax), %%r11\n mov 64(%%rax), %%r12\n"
        "mov 72(%%rax), %%r13\n mov 80(%%rax), %%r14\n mov 88(%%rax), %%rbp\n"
        "std\n stc\n"
        "1: pause\n"
        "mov (%%rdx), %%eax\n"
        /* dec leaves the carry and the direction alone. */
        "inc %%eax\n dec %%eax\n"
        "jz 1b\n"
        "mov %%rbx, saw(%%rip)\n mov %%rcx, saw+8(%%rip)\n"
        "mov %%rsi, saw+16(%%rip)\n mov %%rdi, saw+24(%%rip)\n"
        "mov %%r8, saw+32(%%rip)\n mov %%r9, saw+40(%%rip)\n"
        "mov %%r10, saw+48(%%rip)\n mov %%r11, saw+56(%%rip)\n"
        "mov %%r12, saw+64(%%rip)\n mov %%r13, saw+72(%%rip)\n"
        "mov %%r14, saw+80(%%rip)\n mov %%rbp, saw+88(%%rip)\n"
        "pop %%rbp\n"
        "pushf\n popq flags(%%rip)\n cld\n"
        "lea 128(%%rsp), %%rsp\n"
        :
        : "a"(want), "d"(&stop)
        : "memory", "cc", "rbx", "rcx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
          "r13", "r14");
}

int main(void)
{
    unsigned long fs = 0, fs_now = 0, gs_now = 0;
    pthread_t t;

    syscall(SYS_arch_prctl, ARCH_GET_FS, &fs);
    NEED(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x7f0012345000UL) == 0);
    NEED(pthread_create(&t, NULL, stopper, NULL) == 0);
    spin();
    for (int i = 0; i < 12; i++) {
        char what[24];

        snprintf(what, sizeof(what), "register %d", i);
        victim_check(saw[i] == want[i], what, "%llx", (unsigned long long)saw[i]);
    }
    CHECK("carry and direction flags", (flags & 1) && (flags & 1 << 10));
    syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_now);
    syscall(SYS_arch_prctl, ARCH_GET_GS, &gs_now);
    CHECK("fs base", fs_now == fs);
    CHECK("gs base", gs_now == 0x7f0012345000UL);
    pthread_join(t, NULL);
    return victim_end();
}
