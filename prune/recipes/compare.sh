#!/bin/sh
# SPDX-License-Identifier: MIT
# compare.sh OUT VARIANTS HELD_OUT HOURS [FINETUNE OPTION...] - which of several ways to train is
# better: each for the same hours of audio, from the same seeds, scored on the same meetings,
# simulated from speakers that none of them heard (HELD_OUT, speech as `simulate` takes it).
#
# VARIANTS has a line a variant, `NAME OPTION...`; # begins a comment. Options behind HOURS hold
# for all. What a run made is kept in OUT and not made again, a run that was killed goes on. The
# last column is the spread over the seeds (largest less smallest): a difference below it says
# nothing.
#
#   sh prune/recipes/compare.sh out variants.txt test_speech/ 2 \
#       --speech train/ --noise noise/ --rir rir/ --config shape.json --chunk 8 --batch 16
#
# ANTIPHON    the program            SEEDS     of the runs (1 2)
# MEETINGS    how many (24)          MINUTES   of each (0.5)
# SIMULATE    further options of `antiphon simulate`, such as --noise DIR
# EVALUATE    options of `antiphon evaluate`, such as --chunk 10
set -eu
antiphon=${ANTIPHON:-antiphon}
[ $# -ge 4 ] || { echo "usage: compare.sh OUT VARIANTS HELD_OUT HOURS [OPTION...]" >&2; exit 2; }
out=$1 variants=$2 held_out=$3 hours=$4
shift 4
mkdir -p "$out"
if [ ! -d "$out/held-out" ]; then
    "$antiphon" simulate --speech "$held_out" --voices 1 -n "${MEETINGS:-24}" \
        --minutes "${MINUTES:-0.5}" --seed 4242 ${SIMULATE:-} -o "$out/held-out" >"$out/held-out.txt"
fi
# Fields of the row "all" behind its name.
errors() {
    awk '$1 == "all" { $1 = ""; print }' "$1"
}

sed 's/#.*//' "$variants" | while read -r name options; do
    [ -n "$name" ] || continue
    for seed in ${SEEDS:-1 2}; do
        run=$out/$name-$seed
        # $options is a list of words.
        [ -f "$run.safetensors" ] || "$antiphon" finetune "$@" $options --audio "$hours" \
            --seed "$seed" -o "$run.safetensors" </dev/null
        [ -f "$run.txt" ] || "$antiphon" evaluate -m "$run.safetensors" ${EVALUATE:-} \
            "$out/held-out" >"$run.part" </dev/null
        [ ! -f "$run.part" ] || mv "$run.part" "$run.txt"
    done
done

awk 'NR == 1 { $1 = ""; print "variant" $0 " spread"; exit }' \
    "$out/$(sed 's/#.*//' "$variants" | awk 'NF { print $1; exit }')-$(set -- ${SEEDS:-1 2}; echo "$1").txt" \
    >"$out/table.txt"
sed 's/#.*//' "$variants" | while read -r name options; do
    [ -n "$name" ] || continue
    for seed in ${SEEDS:-1 2}; do
        errors "$out/$name-$seed.txt"
    done | awk -v name="$name" '
        { for (i = 1; i <= NF; i++) { sum[i] += $i
              if (NR == 1 || $i < low[i]) low[i] = $i
              if (NR == 1 || $i > high[i]) high[i] = $i }
          n = NF }
        END { printf "%s", name
              for (i = 1; i <= n; i++) {
                  printf " %.2f", sum[i] / NR
                  spread = high[i] - low[i] > spread ? high[i] - low[i] : spread
              }
              printf " %.2f\n", spread }'
done >>"$out/table.txt"
sed 's/ ms/ms/g' "$out/table.txt" | awk '
    { printf "%-24s", $1; for (i = 2; i <= NF; i++) printf " %9s", $i; print "" }'
