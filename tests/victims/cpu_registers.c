/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Patterns in every vector register, x87 and MXCSR, while spinning without a call. */
#include <fenv.h>
#include <pthread.h>

#include "victim.h"

typedef unsigned char block[64];

static volatile int stop;
static block in[32], out[32];

static void *stopper(void *arg)
{
    victim_wait();
    /* Some more turns, so that the loop has really run after a restart. */
    victim_sleep_ms(30);
    stop = 1;
    return arg;
}

#define LOAD(insn, reg, n) insn " " #n "*64(%[in]), %%" reg #n "\n"
#define STORE(insn, reg, n) insn " %%" reg #n ", " #n "*64(%[out])\n"
#define SIXTEEN(m, insn, reg)                                                       \
    m(insn, reg, 0) m(insn, reg, 1) m(insn, reg, 2) m(insn, reg, 3) m(insn, reg, 4) \
        m(insn, reg, 5) m(insn, reg, 6) m(insn, reg, 7) m(insn, reg, 8)             \
            m(insn, reg, 9) m(insn, reg, 10) m(insn, reg, 11) m(insn, reg, 12)      \
                m(insn, reg, 13) m(insn, reg, 14) m(insn, reg, 15)
#define UPPER(m, insn, reg)                                                     \
    m(insn, reg, 16) m(insn, reg, 17) m(insn, reg, 18) m(insn, reg, 19)         \
        m(insn, reg, 20) m(insn, reg, 21) m(insn, reg, 22) m(insn, reg, 23)     \
            m(insn, reg, 24) m(insn, reg, 25) m(insn, reg, 26) m(insn, reg, 27) \
                m(insn, reg, 28) m(insn, reg, 29) m(insn, reg, 30) m(insn, reg, 31)
#define SPIN               \
    "1: pause\n"           \
    "cmpl $0, (%[stop])\n" \
    "je 1b\n"
#define OPERANDS                                                                  \
    [in] "r"(in), [out] "r"(out),                                                 \
        [stop] "r"(&stop)                                                         \
        : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", \
          "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

static void spin_sse(void)
{
    __asm__ volatile(SIXTEEN(LOAD, "movups", "xmm") SPIN SIXTEEN(STORE, "movups", "xmm")
                     :
                     : OPERANDS);
}

static void spin_avx(void)
{
    __asm__ volatile(SIXTEEN(LOAD, "vmovups", "ymm")
                         SPIN SIXTEEN(STORE, "vmovups", "ymm") "vzeroupper\n"
                     :
                     : OPERANDS);
}

__attribute__((target("avx512f"))) static uint64_t spin_avx512(void)
{
    uint64_t mask = 0xa5c3;

    __asm__ volatile("kmovw %k[mask], %%k5\n" SIXTEEN(LOAD, "vmovups", "zmm")
                         UPPER(LOAD, "vmovups", "zmm")
                             SPIN SIXTEEN(STORE, "vmovups", "zmm")
                                 UPPER(STORE, "vmovups", "zmm") "kmovw %%k5, %k[mask]\n"
                                                                "vzeroupper\n"
                     : [mask] "+r"(mask)
                     : OPERANDS, "k5", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20",
                       "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27",
                       "xmm28", "xmm29", "xmm30", "xmm31");
    return mask;
}

int main(void)
{
    size_t width = 16, count = 16;
    long double x = 1.0L / 3, y = x * 7 + 1e-19L;
    pthread_t t;
    int bad = 0;

    __builtin_cpu_init();
    victim_fill(in, sizeof(in), 5);
    NEED(fesetround(FE_UPWARD) == 0);
    feclearexcept(FE_ALL_EXCEPT);
    feraiseexcept(FE_DIVBYZERO);
    NEED(pthread_create(&t, NULL, stopper, NULL) == 0);
    if (__builtin_cpu_supports("avx512f")) {
        width = 64;
        count = 32;
        CHECK_INT("mask register", (long long)spin_avx512(), 0xa5c3);
    } else if (__builtin_cpu_supports("avx")) {
        width = 32;
        spin_avx();
    } else {
        spin_sse();
    }
    for (size_t i = 0; i < count; i++)
        bad += memcmp(in[i], out[i], width) != 0;
    CHECK_INT("vector registers that differ", bad, 0);
    CHECK_INT("rounding mode", fegetround(), FE_UPWARD);
    CHECK_INT("exception flags", fetestexcept(FE_DIVBYZERO | FE_OVERFLOW),
              FE_DIVBYZERO);
    CHECK("extended precision", y == x * 7 + 1e-19L);
    pthread_join(t, NULL);
    return victim_end();
}
