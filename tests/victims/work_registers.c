/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Floating point in x87, SSE and, where there is one, AVX registers over long spins. */
#include <math.h>

#include "victim.h"

#define ROUNDS 60

static double scalar(double x)
{
    double a = x, b = 1, c = 0.5;

    for (int i = 0; i < 60000; i++) {
        a = a * 0.999 + b * 0.001;
        b = b - c * 1e-6;
        c = c + (a - b) * 1e-7;
    }
    return a + b + c;
}

static long double extended(long double x)
{
    for (int i = 0; i < 60000; i++)
        x = x * 0.99999L + 1.0L / (i + 3);
    return x;
}

#ifdef __clang__
#define VECTORISED
#else
#define VECTORISED __attribute__((optimize("O3")))
#endif

VECTORISED static float vectors(float seed)
{
    float v[64];
    float sum = 0;

    for (int i = 0; i < 64; i++)
        v[i] = seed + (float)i;
    for (int k = 0; k < 4000; k++)
        for (int i = 0; i < 64; i++)
            v[i] = v[i] * 0.9995f + 0.25f;
    for (int i = 0; i < 64; i++)
        sum += v[i];
    return sum;
}

#ifndef __clang__
__attribute__((target("avx2,fma"))) VECTORISED static double wide(double seed)
{
    double v[32];
    double sum = 0;

    for (int i = 0; i < 32; i++)
        v[i] = seed * i;
    for (int k = 0; k < 6000; k++)
        for (int i = 0; i < 32; i++)
            v[i] = v[i] * 0.99975 + 0.125;
    for (int i = 0; i < 32; i++)
        sum += v[i];
    return sum;
}
#else
static double wide(double seed)
{
    return seed;
}
#endif

int main(void)
{
    double x = 3, w = 0;
    long double l = 1;
    float f = 2;

    victim_ready();
    for (int round = 0; round < ROUNDS; round++) {
        x = scalar(x);
        l = extended(l);
        f = vectors(f / 100);
        if (__builtin_cpu_supports("avx2"))
            w = wide(w + 1);
        victim_say("round %d %a %La %a %a", round, x, l, (double)f, w);
        victim_sleep_ms(20);
    }
    return 0;
}
