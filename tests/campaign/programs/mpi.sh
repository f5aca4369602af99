#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# prepares
# needs: mpirun mpicc
# ignores: ompi*
if [ "$1" = prepare ]; then
cat > m.c <<C
#include <mpi.h>
#include <stdio.h>
#include <unistd.h>
int main(int c, char **v) { int r, n; MPI_Init(&c, &v); MPI_Comm_rank(MPI_COMM_WORLD, &r); MPI_Comm_size(MPI_COMM_WORLD, &n); static double a[50000], b[50000];
 for (int i = 0; i < 50000; i++) a[i] = r + i; for (int it = 0; it < 150; it++) { MPI_Allreduce(a, b, 50000, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD); for (int i = 0; i < 50000; i++) a[i] = b[i] / n + (i * it + r) % 7;
  int t = r; MPI_Sendrecv_replace(&t, 1, MPI_INT, (r + 1) % n, 0, (r + n - 1) % n, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE); if (r == 0 && it % 10 == 0) { printf("%d %d %.6f\n", it, t, a[77]); fflush(stdout); } usleep(5000); }
 MPI_Finalize(); return 0; }
C
mpicc -O2 m.c -o m; exit
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mpirun --oversubscribe -n 2 ./m; echo $?
