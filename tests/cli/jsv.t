#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The job submission verifier, by its protocol (jsv(1)).
. "$(dirname "$0")/lib.sh"

ln -s "$QCKPT" qckpt-jsv

# job [LINE...]: one submission, without what every one begins and ends with
job() {
    printf '%s\n' START 'PARAM VERSION 1.0' 'PARAM CONTEXT client' "$@" BEGIN
}
# said OPTIONS... : the answer to stdin, without the handshake, in one line
said() {
    ./qckpt-jsv "$@" 2>&1 | grep -vx 'STARTED\|SEND ENV' | paste -sd '|'
}
ckpt='PARAM ckpt qckpt'
v3='ENV ADD QCKPT_CPU baseline=x86-64-v3'
correct='RESULT STATE CORRECT qckpt-jsv has raised the job'\''s requests'

is "the handshake asks for the environment" \
    "$(printf 'START\nQUIT\nSTART\n' | ./qckpt-jsv | paste -sd '|')" "SEND ENV|STARTED"
is "--no-baseline does not" \
    "$(printf 'START\n' | ./qckpt-jsv --no-baseline | paste -sd '|')" "STARTED"
is "a job without requests gets them" "$(job "$ckpt" | said --request cpu_level=3,cpuflag_aes)" \
    "PARAM l_hard cpu_level=3,cpuflag_aes=TRUE|$correct"
is "one without a checkpoint environment is left alone" \
    "$(job 'PARAM l_hard h_rt=60' | said --request cpu_level=3)" "RESULT STATE ACCEPT"
is "so is one of somebody else's environment" \
    "$(job 'PARAM ckpt blcr' | said --request cpu_level=3)" "RESULT STATE ACCEPT"
is "--ckpt says which are meant" \
    "$(job 'PARAM ckpt blcr' | said --ckpt 'b[lx]*' --request cpu_level=3)" \
    "PARAM l_hard cpu_level=3|$correct"
is "... and which are not" "$(job "$ckpt" | said --ckpt 'b[lx]*' --request cpu_level=3)" \
    "RESULT STATE ACCEPT"
is "what the job asks for stays as it is" \
    "$(job "$ckpt" 'PARAM l_hard h_rt=1:0:0,x=a=b;"c",cpu_level=2,h=n*' | said --request cpu_level=3)" \
    "PARAM l_hard h_rt=1:0:0,x=a=b;\"c\",cpu_level=3,h=n*|$correct"
is "a stricter request too" "$(job "$ckpt" 'PARAM l_hard cpu_lvl=4' | said --request cpu_level=3)" \
    "RESULT STATE ACCEPT"
for less in -1 1.5 0x2 +2 02 1e0 TRUE FALSE; do
    is "cpu_level=$less is less" "$(job "$ckpt" "PARAM l_hard cpu_level=$less" | said --request cpu_level=3)" \
        "PARAM l_hard cpu_level=3|$correct"
done
is "so is none at all" "$(job "$ckpt" "PARAM l_hard cpu_level,x=1" | said --request cpu_level=3)" \
    "PARAM l_hard cpu_level=3,x=1|$correct"
# What Grid Engine refuses is not to be mended here.
for kept in 2K 1e1 INFINITY 99999999999 abc 3x ''; do
    is "cpu_level=$kept stays" "$(job "$ckpt" "PARAM l_hard cpu_level=$kept" | said --request cpu_level=3)" \
        "RESULT STATE ACCEPT"
done
is "shortcuts are known" \
    "$(job "$ckpt" 'PARAM l_hard cpu_lvl=2,cf_aes=0' | said --request cpu_level=3,cpuflag_aes)" \
    "PARAM l_hard cpu_lvl=3,cf_aes=0|$correct"
is "a baseline of the job's own is a level" "$(job "$ckpt" "$v3" | said)" \
    "PARAM l_hard cpu_level=3|$correct"
is "... the higher one counts" "$(job "$ckpt" "$v3" | said --request cpu_level=4)" \
    "PARAM l_hard cpu_level=4|$correct"
is "... unless it is not to be looked at" "$(job "$ckpt" "$v3" | said --no-baseline)" \
    "RESULT STATE ACCEPT"
is "policies that depend on the host ask for nothing" \
    "$(job "$ckpt" 'ENV ADD QCKPT_CPU level' | said)" "RESULT STATE ACCEPT"
is "one job says nothing about the next" \
    "$({ job "$ckpt" "$v3"; job "$ckpt"; job "$v3"; } | said)" \
    "PARAM l_hard cpu_level=3|$correct|RESULT STATE ACCEPT|RESULT STATE ACCEPT"

### What is wrong costs no submission ##########################################

warned() {
    has "$1: the job is accepted" "$2" "RESULT STATE ACCEPT"
    has "... with a warning" "$2" "LOG WARNING qckpt-jsv: "
    has "... that says why" "$2" "$3"
}
warned "an odd QCKPT_CPU" "$(job "$ckpt" 'ENV ADD QCKPT_CPU x86-64-v9' | said)" \
    '"x86-64-v9" is none of'
warned "a line that is not known" "$(job "$ckpt" 'PARAMS x' | said --request cpu_level=2)" \
    '"PARAMS" is not known here'
warned "an option that is none" "$(job "$ckpt" | said --requests cpu_level=2)" requests
for level in v3 -1 5 31 99999999999 4294967299 ''; do
    warned "a site's level that is none, \"$level\"" "$(job "$ckpt" | said --request "cpu_level=$level")" \
        "cpu_level"
done
warned "no level at all" "$(job "$ckpt" | said --request cpu_lvl)" "cpu_lvl needs a number from 0 to 4"
warned "a request without a value" "$(job "$ckpt" | said --request x=)" "no value of a request"
warned "a request without a name" "$(job "$ckpt" | said --request 'a b=1')" "no name of a complex"
is "jobs that are not meant are not bothered" "$(job 'PARAM ckpt blcr' | said --request x=)" \
    "RESULT STATE ACCEPT"
{
    head -c 3000 /dev/urandom
    echo
    job "$ckpt"
} | said --request cpu_level=2 >out
has "noise is survived" "$(<out)" "PARAM l_hard cpu_level=2"

### The site's file #############################################################

printf 'jsv_ckpt = fast*\njsv_request = cpu_level=4\njsv_baseline = 0\n' >qckpt.conf
export QCKPT_CONFIG=$PWD/qckpt.conf
is "qckpt.conf can say all of it" "$(job 'PARAM ckpt fast1' "$v3" | said)" \
    "PARAM l_hard cpu_level=4|$correct"
is "... and the options come before it" \
    "$(job 'PARAM ckpt slow' | said --ckpt slow --request cpu_level=2)" \
    "PARAM l_hard cpu_level=2|$correct"
echo 'jsv_baseline = perhaps' >>qckpt.conf
warned "a mistake in it" "$(job 'PARAM ckpt fast1' | said)" qckpt.conf
done_testing
