#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
trap 'echo trap usr1' USR1
trap 'echo at exit' EXIT
echo "pid same: $(($$ == BASHPID))"
for i in {1..12}; do
    (sleep 0.05; kill -USR1 $$) &
    wait $!; wait
    n=$(seq 1 3000 | awk '{s += $1} END {print s}' | tr 0-9 a-j)
    read -r a b < <(echo "$i $n"; sleep 0.05)
    cat <<HERE | tee log.$i | rev
here $a $b
HERE
    diff <(seq 1 $i; sleep 0.02) <(seq 2 $((i + 1))) | wc -l
    paste <(seq 1 2000) <(seq 2 2001) | md5sum
    exec 5<> <(:); exec 5>&-
    printf '%s\n' x y z | while read -r l; do echo "l $l"; sleep 0.01; done
done
coproc BC { while read -r x; do echo $((x * x)); done; }
for i in {1..60}; do echo $i >&"${BC[1]}"; read -r r <&"${BC[0]}"; echo "sq $r"; sleep 0.01; done
exec 7>&"${BC[1]}" 7>&-; eval "exec ${BC[1]}>&-"; wait
set -m
sleep 0.3 & sleep 0.4 & jobs -r | wc -l; wait %1 %2
(exit 7) & wait $!; echo "status $?"
(kill -9 $BASHPID) & wait $! 2>/dev/null; echo "status $?"
exit 42
