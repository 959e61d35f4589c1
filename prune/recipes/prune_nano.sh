#!/bin/sh
# SPDX-License-Identifier: MIT
# prune_nano.sh OUT DENSE HELD_OUT [PRUNE OPTION...] - what learned gates are worth: DENSE pruned to
# each of SPARSITIES, beside two other ways to models of the same size, for the same computing:
#
#   gates      prune: gates under distillation and the cut (S1 steps), distillation (S2), training (S3)
#   magnitude  the smallest weights cut at once; distillation takes the time that gates learned in
#   scratch    random weights of the pruned shape, trained by labels for all of it
#
# Time is the processors' (cpu_seconds of the logs), so that a busy machine favours nobody; a step of
# `magnitude` and `scratch` is taken to cost what a step of the same stage of `gates` cost. HELD_OUT
# is speech of people whom no training heard: meetings are simulated from it; further folders with a
# reference (REAL) are scored beside them. Options behind HELD_OUT say what to train on and how, for
# all ways; without --dev or --dev-speech every way ends with its last step's weights, which is fairer than
# to choose a step by a small validation (24 clips took one half way, a point and a half worse). What is
# made is kept in OUT and not made again; what was killed goes on.
#
#   ANTIPHON=build/cli/antiphon sh prune/recipes/prune_nano.sh out dense.safetensors held-out/ \
#       --speech train/ --noise noise/ --rir rir/ --chunk 8 --batch 16
#
# ANTIPHON    the program                SPARSITIES  in percent (50 80 90)
# S1 S2 S3    steps of the stages (4000 2000 2000)
# GATES       options of learning gates, as --masked-norms, --target macs, or --multiplier-lr 0.25 for
#             some hundred steps
# PRUNE       options of `prune` both ways, as --distill-lr 1e-3
# SCRATCH     options of training from nothing (--lr 1e-3 --schedule cosine --warmup 100 --ema 0.99)
# SHARED      options of training by labels, in stage 3 and from nothing, as --affinity 1
# MEETINGS    how many (24)              MINUTES     of each (0.5)
# SIMULATE    options of `antiphon simulate`, as --noise DIR          EVALUATE  of `antiphon evaluate`
# REAL        folders of recordings with a reference, apart by blanks
set -eu
antiphon=${ANTIPHON:-antiphon}
[ $# -ge 3 ] || { echo "usage: prune_nano.sh OUT DENSE HELD_OUT [OPTION...]" >&2; exit 2; }
out=$1 dense=$2 held_out=$3
shift 3
S1=${S1:-4000} S2=${S2:-2000} S3=${S3:-2000}
mkdir -p "$out"
if [ ! -d "$out/held-out" ]; then
    "$antiphon" simulate --speech "$held_out" -n "${MEETINGS:-24}" --minutes "${MINUTES:-0.5}" \
        --seed 4242 ${SIMULATE:-} -o "$out/held-out" >"$out/held-out.txt"
fi

# Seconds that the steps of a stage computed, a step: of LOG.
step_cost() {
    sed -n 's/.*"type":"step".*"cpu_seconds":\([0-9.e+-]*\).*/\1/p' "$1" |
        awk '{ sum += $1 } END { printf "%.9g", NR ? sum / NR : 0 }'
}

# MODEL NAME: frame errors, size and speed, once.
judge() {
    [ -f "$out/$2.txt" ] && return
    "$antiphon" evaluate -m "$1" ${EVALUATE:-} "$out/held-out" ${REAL:-} >"$out/$2.part" </dev/null
    {
        "$antiphon" info "$1" --json
        "$antiphon" bench -m "$1" --seconds 10 --json
    } | tr ',{}' '\n\n\n' | sed -n 's/^[[:space:]]*"\(encoder_parameters\|encoder_macs_per_second\|rtf\)":[[:space:]]*/\1 /p' |
        awk '!seen[$1]++' >>"$out/$2.part"
    mv "$out/$2.part" "$out/$2.txt"
}

prune() {
    name=$1
    shift
    [ -f "$out/$name.safetensors" ] || "$antiphon" prune -m "$dense" "$@" \
        -o "$out/$name.safetensors" </dev/null
}

judge "$dense" dense
for percent in ${SPARSITIES:-50 80 90}; do
    gates=$percent-gates
    prune "$gates" "$@" --sparsity "0.$percent" --steps "$S1" --distill-steps "$S2" \
        --train-steps "$S3" ${SHARED:-} ${PRUNE:-} ${GATES:-}
    judge "$out/$gates.safetensors" "$gates"

    run=$out/$gates.safetensors.run
    c1=$(step_cost "$run/1-prune/log.jsonl") c2=$(step_cost "$run/2-distill/log.jsonl")
    c3=$(step_cost "$run/3-train/log.jsonl")
    more=$(awk "BEGIN { printf \"%d\", $S2 + $S1 * $c1 / $c2 }")
    all=$(awk "BEGIN { printf \"%d\", $S3 + ($S1 * $c1 + $S2 * $c2) / $c3 }")
    echo "$percent %: a step computes $c1, $c2, $c3 s; magnitude distills $more steps, scratch trains $all" >&2

    prune "$percent-magnitude" "$@" --sparsity "0.$percent" --by magnitude --distill-steps "$more" \
        --train-steps "$S3" ${SHARED:-} ${PRUNE:-}
    judge "$out/$percent-magnitude.safetensors" "$percent-magnitude"
    scratch=$out/$percent-scratch.safetensors
    [ -f "$scratch" ] || "$antiphon" finetune --config "$out/$gates.safetensors" "$@" --steps "$all" \
        ${SHARED:-} ${SCRATCH:---lr 1e-3 --schedule cosine --warmup 100 --ema 0.99} -o "$scratch" </dev/null
    judge "$scratch" "$percent-scratch"
done

# The first folder's row "all", then what judge added.
row() {
    awk -v name="$1" '
        $1 == "all" && !seen++ { $1 = ""; errors = $0 }
        $1 == "encoder_parameters" { size = $2 / 1e6 }
        $1 == "encoder_macs_per_second" { macs = $2 / 1e9 }
        $1 == "rtf" { rtf = $2 }
        END { printf "%s %.3f %.3f %.4f%s\n", name, size, macs, rtf, errors }' "$out/$1.txt"
}
{
    awk 'NR == 1 { $1 = ""; print "model params,M GMAC/s rtf" $0 }' "$out/dense.txt" | sed 's/ ms/ms/g'
    row dense
    for percent in ${SPARSITIES:-50 80 90}; do
        for way in gates magnitude scratch; do
            row "$percent-$way"
        done
    done
} >"$out/table.txt"
awk '{ printf "%-16s", $1; for (i = 2; i <= NF; i++) printf " %10s", $i; print "" }' "$out/table.txt"
