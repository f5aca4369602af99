/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A job that lives on the C library's string functions, whose code is chosen by the CPU
 * when the program starts: each step moves, searches and compares text and prints a
 * digest of it.
 *
 *   strings [-n STEPS]
 *   strings -k          prints "vector" when the code chosen for memmove and strlen
 * uses 256-bit registers, else "plain"
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 1 << 16, CODE_SIZE = 256 };

/* vmovdqu, vmovdqa, vpxor, vpcmpeqb of ymm registers; and what EVEX encodes. */
static bool is_vector(const unsigned char *code)
{
    static const unsigned char patterns[][3] = {
        {0xc5, 0xfe, 0x6f}, {0xc5, 0xfd, 0x6f}, {0xc5, 0xfd, 0x74}, {0xc5, 0xf5, 0x74},
        {0x62, 0xe1, 0x7e}, {0x62, 0xe1, 0xfe}, {0x62, 0xb1, 0x7d}, {0x62, 0xf1, 0x7d}};

    for (int i = 0; i < CODE_SIZE; i++)
        for (size_t k = 0; k < sizeof patterns / sizeof patterns[0]; k++)
            if (memcmp(code + i, patterns[k], 3) == 0)
                return true;
    return false;
}

static int print_kind(void)
{
    void *(*volatile move)(void *, const void *, size_t) = memmove;
    size_t (*volatile length)(const char *) = strlen;
    bool vector = is_vector((const unsigned char *)(uintptr_t)move) ||
                  is_vector((const unsigned char *)(uintptr_t)length);

    puts(vector ? "vector" : "plain");
    return 0;
}

static uint64_t step(char *text, char *other, int number)
{
    uint64_t sum = 0;
    char *at;

    snprintf(text + number % 97, 32, "step %d ", number);
    text[strlen(text)] = (char)('a' + number % 26);
    memmove(other + number % 31, text, SIZE / 2);
    for (at = other; (at = strchr(at, 'a' + number % 26)) != NULL; at++)
        sum = sum * 31 + (uint64_t)(at - other);
    sum = sum * 31 + (uint64_t)(memcmp(text, other, SIZE / 2) > 0);
    return sum * 31 + strlen(other);
}

static void wait_for_the_test(void)
{
    const char *hold = getenv("HOLD");
    struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};

    while (hold && access(hold, F_OK) == 0)
        nanosleep(&pause, NULL);
}

int main(int argc, char **argv)
{
    struct timespec pause = {.tv_nsec = 200 * 1000 * 1000};
    char *text = calloc(1, SIZE), *other = calloc(1, SIZE);
    int steps = 60, option;

    while ((option = getopt(argc, argv, "kn:")) != -1) {
        if (option == 'k')
            return print_kind();
        steps = (int)strtol(optarg, NULL, 10);
    }
    if (!text || !other)
        return 1;
    memset(text, 'x', SIZE / 2);
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("begin strings");
    for (int i = 0; i < steps; i++) {
        printf("step %d %016" PRIx64 "\n", i, step(text, other, i));
        nanosleep(&pause, NULL);
    }
    wait_for_the_test();
    puts("end");
    return 0;
}
