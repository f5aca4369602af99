/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Calls what the C library chooses by the CPU, between two breakpoints, for
 * test_cpu_baseline. Built without optimisation of these calls, and bound lazily.
 */
#include <math.h>
#include <string.h>
#include <strings.h>
#include <wchar.h>

enum { SIZE = 700 };

static char from[SIZE], to[2 * SIZE];
static wchar_t wide[SIZE];
static volatile double number = 1.7;
static volatile float single = 0.7f;

static unsigned long strings(void)
{
    unsigned long sum = 0;

    memset(from, 'a', SIZE - 1);
    memcpy(to, from, SIZE);
    memmove(to + 1, to, SIZE - 2);
    sum += strlen(to) + strnlen(from, 300);
    sum += memcmp(from, to, SIZE - 1) + strcmp(from, to) + strncmp(from, to, 300);
    sum += strcasecmp(from, to) + strncasecmp(from, to, 300);
    sum += (memchr(from, 'b', SIZE - 1) == NULL) + (memrchr(from, 'a', 90) != NULL);
    sum += (strchr(from, 'b') == NULL) + (strrchr(from, 'a') != NULL);
    sum += strspn(from, "abc") + strcspn(from, "xyz") + (strpbrk(from, "xyz") != NULL);
    sum += strstr(from, "aab") == NULL;
    strcpy(to, from);
    sum += stpcpy(to, from) - to;
    strncpy(to, from, 300);
    strcat(to, "more");
    sum += (rawmemchr(from, '\0') != NULL) + (strchrnul(from, 'b') != NULL);
    return sum;
}

static unsigned long wide_strings(void)
{
    wmemset(wide, L'a', SIZE - 1);
    return wcslen(wide) + wcsnlen(wide, 90) + (wcschr(wide, L'b') == NULL) +
           (wmemchr(wide, L'b', SIZE - 1) == NULL) + wcscmp(wide, wide + 1);
}

static double mathematics(void)
{
    double sum = sin(number) + cos(number) + tan(number) + atan(number) + exp(number) +
                 log(number) + pow(number, number) + atan2(number, number);

    sum += floor(number) + ceil(number) + rint(number) + trunc(number) +
           nearbyint(number) + fma(number, number, number);
    return sum + sinf(single) + cosf(single) + expf(single) + logf(single) +
           powf(single, single) + floorf(single) + ceilf(single);
}

int main(void)
{
    unsigned long sum;

    __asm__ volatile("int3");
    sum = strings() + wide_strings() + (unsigned long)mathematics();
    __asm__ volatile("int3");
    return sum > 0 ? 0 : 1;
}
