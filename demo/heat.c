/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The demo's OpenMP program: heat spreading over a plate, with a line for every second
 * or so of work. It knows nothing of checkpoints.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SIZE = 1024, LINES = 40 };

static double plate[2][SIZE][SIZE];

static double step(double (*from)[SIZE], double (*to)[SIZE])
{
    double sum = 0;

#pragma omp parallel for
    for (int i = 1; i < SIZE - 1; i++)
        for (int k = 1; k < SIZE - 1; k++)
            to[i][k] =
                (from[i - 1][k] + from[i + 1][k] + from[i][k - 1] + from[i][k + 1]) / 4;
    /* In one order, whatever the number of threads: the digits must be the same. */
    for (int i = 0; i < SIZE; i++)
        sum += to[i][SIZE / 2];
    return sum;
}

int main(void)
{
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < SIZE; i++)
            plate[side][0][i] = plate[side][i][0] = 100;
    for (int line = 1; line <= LINES; line++) {
        double sum = 0;

        for (int n = 0; n < 40; n++) {
            sum = step(plate[n % 2], plate[(n + 1) % 2]);
            nanosleep(&(struct timespec){0, 15000000}, NULL);
        }
        printf("step %d of %d: %.12f\n", line, LINES, sum);
        fflush(stdout);
    }
    return 0;
}
