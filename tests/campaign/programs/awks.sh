#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# needs: gawk mawk
for a in gawk mawk; do $a 'BEGIN { srand(3); for (i = 0; i < 1500000; i++) x[i % 9973] += i * i % 17; for (k = 0; k < 9973; k++) s += x[k] * k; printf "%.0f\n", s; while (("seq 1 2000" | getline l) > 0) t += l; print t; print "b\na" | "sort"; close("sort") }'; done
gawk 'BEGIN { c = "cat"; for (i = 0; i < 500; i++) { print i |& c; c |& getline r; if (r != i) print "bad" }; close(c); print r }'
