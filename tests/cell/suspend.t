#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Suspended with `qmod -sj`, each kind of job goes on elsewhere as if nothing had been.
. "${0%/*}/lib.sh"
cell_begin

declare -A id=()

reference threads $jobs/threads
reference binary $jobs/threads -s 7
reference pipeline $jobs/pipeline.sh
reference python $jobs/python.py
for task in 1 2 3; do
    reference "array.$task" $jobs/threads -s "$task" -t 2
done

printf '#!/bin/sh\n%s\necho status $?\n' $jobs/threads >"$shared/jobs/wrapped.sh"
reference wrapped sh $jobs/wrapped.sh
hold threads binary wrapped pipeline python array
id[threads]=$(submit_ckpt threads -b y $jobs/threads)
id[binary]=$(submit_ckpt binary -b y -shell n $jobs/threads -s 7)
id[wrapped]=$(submit_ckpt wrapped $jobs/wrapped.sh)
id[pipeline]=$(submit_ckpt pipeline $jobs/pipeline.sh)
id[python]=$(submit_ckpt python $jobs/python.py)
# shellcheck disable=SC2016
id[array]=$(cell as-user qsub -terse -N array -ckpt $ckpt_name "${engine_options[@]}" -t 1-3 -j y \
    -v HOLD=/srv/shared/hold.array -o '/srv/shared/array.$TASK_ID.out' $jobs/array.sh | sed 's/[.:].*//')

for name in threads binary wrapped pipeline python array.2; do
    ok "$name runs" steps "$name" 8
    cell as-user qmod -sj "${id[${name%.2}]}$([ "$name" = array.2 ] && echo .2)" >/dev/null
done
for name in threads binary wrapped pipeline python; do
    ok "$name is restarted from its checkpoint" wait_until 30 has_event "${id[$name]}" restarted
    is "$name has the engine under test" "$(engine_of "${id[$name]}")" $cell_engine
done
ok "array.2 is restarted from its checkpoint" wait_until 30 has_event "${id[array]}.2" restarted
for task in 1 3; do
    is "array.$task is left alone" "$(events "${id[array]}.$task" 'restarted|stopped')" ""
done

for name in threads binary wrapped pipeline python; do
    continued "$name" "${id[$name]}"
done
release array
ok "array ends" wait_until 60 is_gone "${id[array]}"
for task in 1 2 3; do
    same_output "array.$task"
done
is "nothing is left in ckpt_dir" "$(ls "$ckpt/geuser" 2>/dev/null)" ""
done_testing
