#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# prepares
# needs: gcc
if [ "$1" = prepare ]; then
cat > o.c <<C
#include <stdio.h>
#include <omp.h>
int main(void) { static double a[1 << 18]; for (int it = 0; it < 400; it++) { 
#pragma omp parallel for num_threads(4) schedule(dynamic, 4096)
 for (int i = 0; i < 1 << 18; i++) a[i] = a[i] * 0.99 + (i ^ it) % 1001; if (it % 20 == 0) { double s = 0; for (int i = 0; i < 1 << 18; i++) s += a[i]; printf("%d %.6f\n", it, s); fflush(stdout); } } return 17; }
C
gcc -O2 -fopenmp o.c -o o; exit
fi
exec ./o
