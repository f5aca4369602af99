#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# needs: parallel
mkdir -p t; for i in {1..200}; do echo $i > t/$i; done
find t -type f -print0 | sort -z | xargs -0 -n 5 -P 3 sh -c 'sleep 0.02; cat "$@" > /dev/null; exit 0' _ ; echo $?
find t -type f | sort | xargs -n 10 md5sum | md5sum
parallel --will-cite -k -j 3 'sleep 0.05; echo p{} $(({} * {}))' ::: {1..40}
timeout 100 sh -c 'sleep 0.5; echo in time'; timeout 0.3 sleep 10; echo "timeout $?"
nice -n 5 sh -c 'nice; sleep 0.2'; script -qec 'tty > /dev/null && echo on a terminal; stty size; sleep 0.4; exit 3' /dev/null < /dev/null | tr -d '\r'; echo "${PIPESTATUS[0]}"
flock l sh -c 'sleep 0.3; echo locked'; (flock 9; sleep 0.3; echo got) 9> l2; setsid -w sh -c 'sleep 0.3; echo own session'; nohup sh -c 'sleep 0.2; echo nohup' 2> /dev/null
env -i /bin/sh -c 'sleep 0.2; echo bare'; stdbuf -oL sh -c 'echo a; sleep 0.2; echo b'; sudo -n true 2> /dev/null; sh -c 'cd t && cd .. && rm -rf t && sleep 0.3 && ls -d t 2> /dev/null'; echo $?
