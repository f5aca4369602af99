#!/bin/dash
# SPDX-License-Identifier: GPL-3.0-or-later
i=0
while [ $i -lt 1200 ]; do
    i=$((i + 1))
    x=$(/bin/echo $i); [ "$x" = $i ] || echo "wrong $x"
    /bin/true; /bin/false && echo no
done
echo $i
set -- a b c
mkdir -p d1/d2 && cd d1/d2 && pwd | sed 's,.*/,,' && cd - > /dev/null
(sleep 0.2; exit 3) & wait $!; echo $?
