#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What Grid Engine is told about CPUs: the load sensor and the complexes.
. "$(dirname "$0")/lib.sh"

ln -s "$QCKPT" qckpt-sensor
# A host with another CPU: fake WORDS COMMAND...
fake() {
    env QCKPT_TESTING=1 QCKPT_FAKE_CPU="$1" "${@:2}"
}
sensor() {
    ./qckpt-sensor --host n1 "$@"
}
reports() {
    grep -cx begin "$1"
}

### The load sensor #############################################################

printf '\n\nquit\n\n' | sensor >report
is "each line is answered, until quit" "$(reports report) $(grep -cx end report)" "2 2"
is "a report begins and ends as Grid Engine has it" \
    "$(sed -n '1p' report) $(sed -n '$p' report)" "begin end"
is "everything between is host:name:value" \
    "$(grep -vcE '^(begin|end|n1:cpuflag_[a-z0-9_]+:[01]|n1:cpu_level:[0-4])$' report)" 0
printf '\n' | sensor >report
is "the end of the input ends it" "$? $(reports report)" "0 1"
sensor </dev/null >report
is "also without a line" "$? $(reports report)" "0 0"
printf 'quit' | sensor >report
is "a line that is cut off is no request" "$? $(reports report)" "0 0"
{
    head -c 100000 /dev/urandom | tr -d '\n'
    printf '\nhello\nquit now\n quit\nquit\n\n'
} | sensor >report
is "what else is in a line does not matter" "$? $(reports report)" "0 4"
sensor --once </dev/null >report
is "--once answers without being asked" "$? $(reports report)" "0 1"
has "the host's own name is the default" "$(./qckpt-sensor --once)" \
    "
$(uname -n):cpu_level:"

# Grid Engine waits for the answer: it must not stay in a buffer.
mkfifo questions answers
./qckpt-sensor --host n1 <questions >answers &
pid=$!
exec 3>questions 4<answers
for round in 1 2; do
    echo >&3
    got=
    while [ "$got" != end ] && IFS= read -r -t 60 got <&4; do :; done
    is "answer $round comes at once" "$got" end
done
exec 3>&-
ok "it ends with its daemon" wait_until 5 is_gone "$pid"
wait "$pid"
is "and that is no failure" $? 0
exec 4<&-

fake 'x86-64-v2 +aes' ./qckpt-sensor --host n2 --once >report
has "a level is reported" "$(<report)" "n2:cpu_level:2"
has "what is there" "$(<report)" "n2:cpuflag_aes:1"
has "what is not there" "$(<report)" "n2:cpuflag_avx512f:0"
has "SSE3 by both of its names" "$(grep -E 'pni|sse3:' report | tr '\n' ' ')" \
    "n2:cpuflag_pni:1 n2:cpuflag_sse3:1"
fake x86-64-v1 ./qckpt-sensor --host n2 --once >report
has "a host with SSE2 only" "$(grep -E 'level|pni' report | tr '\n' ' ')" \
    "n2:cpu_level:1 n2:cpuflag_pni:0"
is "--fixed prints what a host has, for complex_values" \
    "$(fake x86-64-v1 ./qckpt-sensor --fixed)" \
    "cpu_level=1,cpuflag_sse=TRUE,cpuflag_sse2=TRUE"

status_is "a host's name must be one" 2 ./qckpt-sensor --once --host a:b
has "and is named" "$err" '"a:b"'
is "without half a report" "$out" ""
status_is "an empty one is none" 2 ./qckpt-sensor --once --host ''
status_is "an unknown option" 2 ./qckpt-sensor --twice
has "is named" "$err" "qckpt-sensor: unknown option --twice"
status_is "words are not taken" 2 ./qckpt-sensor now
has "and named" "$err" '"now"'
status_is "a fake CPU is for tests only" 2 \
    env QCKPT_FAKE_CPU=x86-64-v4 ./qckpt-sensor --once
has "which is said" "$err" "QCKPT_TESTING=1"
status_is "and is read strictly" 2 fake x86-64-v9 ./qckpt-sensor --once
has "naming the word" "$err" '"x86-64-v9"'
printf '\n' >line
status_is "a reader that is gone is a failure" 1 \
    bash -c './qckpt-sensor --host n1 <line >/dev/full'
status_is "--help explains the options" 0 ./qckpt-sensor --help
for option in --once --fixed --host; do
    has "$option is one" "$out" "$option"
done

### Complexes ###################################################################

q complexes >all
columns() {
    awk '!/^#/ { print NF, $3, $4, $5, $6, $7, $8 }' "$1" | sort | uniq -c | awk '{$1 = ""; print}'
}
is "every line has its eight columns" "$(columns all)" \
    " 8 BOOL == YES NO 0 0
 8 INT <= YES NO 0 0"
is "names and shortcuts are unique" \
    "$(awk '!/^#/ { print $1; print $2 }' all | sort | uniq -d)" ""
grep '^cpuflag_.* BOOL ' "${MAN_DIR:?}/../../tests/cell/enable-dmtcp.sh" >original
is "the original's seven are as they were" \
    "$(sed 's/  */ /g' all | grep -Fxf original | wc -l)" 7
same_file "the template in share/ is the same" "${MAN_DIR:?}/../../share/qckpt.complexes" all
is "the sensor reports exactly these" \
    "$(sensor --once | grep : | cut -d: -f2 | sort)" \
    "$(awk '!/^#/ { print $1 }' all | sort)"

# As `qconf -sc` prints them.
cat >conf <<'E'
#name               shortcut   type      relop requestable consumable default  urgency 
#--------------------------------------------------------------------------------------
arch                a          RESTRING  ==    YES         NO         NONE     0
h_vmem              h_vmem     MEMORY    <=    YES         NO         0        0
# >#< starts a comment but comments are not saved across edits --------
E
status_is "what is missing is printed" 0 q complexes --merge conf
is "to a list without any: all" "$out" "$(grep -v '^#' all)"
echo "$out" >>conf
status_is "after that nothing is missing" 0 q complexes --merge conf
is "so nothing is printed" "$out" ""
{
    sed -n 1,3p conf
    cat original
} >conf2
q complexes --merge - <conf2 >more
is "a site of the original's gets the others" \
    "$(cut -d' ' -f1 more | sort)" "$(grep -v '^#' all | grep -vFf <(cut -d' ' -f1 original | sed 's/$/ /') | cut -d' ' -f1 | sort)"
{
    sed -n 1,3p conf
    echo 'feature cfs STRING == YES NO NONE 0'
    echo 'cf_aes cf_fma INT <= YES NO 0 0'
} >conf3
status_is "shortcuts of others are kept out of" 0 q complexes --merge conf3
is "by other shortcuts" \
    "$(echo "$out" | awk '$1 ~ /^cpuflag_(sse|aes|fma)$/ { print $1, $2 }' | sort)" \
    "cpuflag_aes qcf_aes
cpuflag_fma qcf_fma
cpuflag_sse qcfs"
is "and none is there twice then" \
    "$({ cat conf3; echo "$out"; } | awk '!/^#/ { print $1; if ($2 != $1) print $2 }' | sort | uniq -d)" ""

bad_merge() {
    { sed -n 1,3p conf; echo "$3"; } >bad
    status_is "$1" "${4:-1}" q complexes --merge bad
    has "$1: says so" "$err" "$2"
    is "$1: prints nothing" "$out" ""
}
bad_merge "a complex of another type" "bad: cpuflag_avx2 is INT ==, and must be BOOL ==" \
    "cpuflag_avx2 x INT == YES NO 0 0"
bad_merge "one that cannot be asked for" "cpu_level is INT <=, not requestable" \
    "cpu_level x INT <= NO NO 0 0"
bad_merge "a level compared the wrong way" "must be INT <=" \
    "cpu_level x INT >= YES NO 0 0"
bad_merge "a name that is another's shortcut" "cpu_level is the shortcut of feature" \
    "feature cpu_level STRING == YES NO NONE 0"
bad_merge "a line that is no complex" 'bad: line 4 of the complexes, "denied:", has 7 words' \
    "denied: host n1 is no admin host"
: >empty
status_is "an empty list is no answer of qconf" 1 q complexes --merge empty
has "which is said" "$err" "qconf -sc"
status_is "a file that is not there" 1 q complexes --merge nowhere
has "is named" "$err" "nowhere"
status_is "another architecture has its own" 0 q complexes --arch aarch64
has "SVE among them" "$out" "cpuflag_sve "
status_is "an unknown one has none" 2 q complexes --arch sparc
has "which is said" "$err" "--arch sparc"
status_is "words are not taken by complexes" 2 q complexes conf

### The manual ##################################################################

q complexes --help | grep -o -- '--[a-z]*' | sort -u >in-help
sed -n '/^\*qckpt complexes\*/,/^\*qckpt help/p' "$MAN_DIR/qckpt.1.scd" |
    grep -o -- '--[a-z]*' | sort -u >in-man
same_file "the man page has the options of complexes" in-man in-help
./qckpt-sensor --help | grep -o -- '--[a-z]*' | grep -v help | sort -u >in-help
grep -o -- '\*--[a-z]*' "$MAN_DIR/qckpt-sensor.8.scd" | tr -d '*' | sort -u >in-man
same_file "the man page has the options of the sensor" in-man in-help
done_testing
