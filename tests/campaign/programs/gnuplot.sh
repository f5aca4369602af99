#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# needs: gnuplot
for i in 1 2 3 4; do gnuplot -e "set terminal svg; set output 'p$i.svg'; set isosamples 150; splot sin(x) * cos(y) * $i"; md5sum < p$i.svg; done; gnuplot -e 'set print "-"; s = 0; do for [i = 1:400000] { s = s + sin(i) }; print s'
