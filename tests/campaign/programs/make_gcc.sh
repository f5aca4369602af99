#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# modes: stop often
# needs: make gcc
# ignores: *.o
for i in {1..12}; do printf '#include <stdio.h>\n#include <math.h>\n#include <stdlib.h>\ndouble f%d(double x) { for (int i = 0; i < %d; i++) x = sin(x) + i; return x; }\n' $i $i > f$i.c; done
{ echo '#include <stdio.h>'; for i in {1..12}; do echo "double f$i(double);"; done; echo 'int main(void) { double x = 0;'; for i in {1..12}; do echo "x += f$i(x);"; done; echo 'printf("%.9f\n", x); }'; } > m.c
printf 'O = $(patsubst %%.c,%%.o,$(wildcard *.c))\nprog: $(O)\n\tgcc -o $@ $^ -lm\n%%.o: %%.c\n\tgcc -O2 -pipe -c -o $@ $<\n' > Makefile
make -s -j2 && ./prog
