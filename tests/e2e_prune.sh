#!/bin/sh
# SPDX-License-Identifier: MIT
# e2e_prune.sh ANTIPHON TESTS - a tiny model pruned to half: all stages, killed and gone on with,
# what comes out, its report, and all that is refused.
set -u
antiphon=$1 here=$2
. "$here/e2e_lib.sh"

tiny_shape 8
tiny_speech
data="--speech $dir/speech --chunk 2 --batch 4 --threads 2"
"$antiphon" finetune $data --config "$dir/tiny.json" --steps 20 --lr 2e-3 -o "$dir/dense.safetensors" \
    2>"$dir/err" || complain "finetune: $(cat "$dir/err")"
how="$data -m $dir/dense.safetensors --sparsity 0.5 --steps 240 --distill-steps 10 --train-steps 10
    --distill-lr 1e-3 --reg-lr 0.1 --multiplier-lr 0.05 --save-every 5 --validate-every 40 --dev-clips 4
    --lr 1e-3 --lr-encoder 1e-3"

"$antiphon" prune $how -o "$dir/whole.safetensors" --report "$dir/report.svg" >"$dir/table" \
    2>"$dir/err" || complain "prune: $(cat "$dir/err")"
grep -q 'parameters, M' "$dir/table" || complain "the report says: $(cat "$dir/table")"
for file in report.svg report.map.svg; do
    grep -q '<svg' "$dir/$file" || complain "$file is no SVG"
done
parameters() {
    "$antiphon" info "$1" --json | tr ',' '\n' | sed -n 's/.*"encoder_parameters":[[:space:]]*\([0-9]*\).*/\1/p'
}
# A head is 5 % of this encoder, and relative positions, which no target counts, are 4 %.
before=$(parameters "$dir/dense.safetensors") after=$(parameters "$dir/whole.safetensors")
[ $((after * 100)) -lt $((before * 58)) ] && [ $((after * 100)) -gt $((before * 50)) ] ||
    complain "half of $before parameters is $after"
sparsity=$(sed -n 's/.*"type":"step","step":240.*"sparsity":\([0-9.]*\).*/\1/p' \
    "$dir/whole.safetensors.run/1-prune/log.jsonl")
awk "BEGIN { exit !($sparsity > 0.42 && $sparsity < 0.7) }" || # it swings before it settles
    complain "sparsity ends at $sparsity"
"$antiphon" stream --model "$dir/whole.safetensors" --fast --rttm "$dir/x.rttm" \
    --input "$here/audio/ami_EN2004a_first30s.flac" >/dev/null 2>"$dir/err" ||
    complain "stream: $(cat "$dir/err")"

# Killed at any moment and begun again: the same model.
for wait in 0.5 0.8 0.6 1.2; do
    (exec "$antiphon" prune $how -o "$dir/killed.safetensors") 2>/dev/null &
    job=$!
    sleep "$wait"
    kill -9 "$job" 2>/dev/null
    wait "$job" 2>/dev/null
done
"$antiphon" prune $how -o "$dir/killed.safetensors" 2>"$dir/err" || complain "prune: $(cat "$dir/err")"
tail -c +6000 "$dir/whole.safetensors" >"$dir/a"
tail -c +6000 "$dir/killed.safetensors" >"$dir/b"
cmp "$dir/a" "$dir/b" || complain "a pruning that was killed makes another model"


# However few the steps, the cut meets the target.
macs() {
    "$antiphon" info "$1" --json | tr ',' '\n' | sed -n 's/.*"encoder_macs_per_second":[[:space:]]*\([0-9]*\).*/\1/p'
}
"$antiphon" prune $how --steps 4 --stages 1 --target macs -o "$dir/few.safetensors" 2>"$dir/err" ||
    complain "4 steps: $(cat "$dir/err")"
all=$(macs "$dir/dense.safetensors") left=$(macs "$dir/few.safetensors.run/cut.safetensors")
[ $((left * 100)) -lt $((all * 57)) ] && [ $((left * 100)) -gt $((all * 45)) ] ||
    complain "half of $all MACs is $left"

# By multiply-accumulates, by time; other units; one stage; other layers.
for target in macs time; do
    "$antiphon" prune $how --steps 4 --stages 1 --target $target --units head,interm,ffnlayer \
        --epochs 4 --warmup-epochs 1 --layers 0,2 -o "$dir/$target.safetensors" 2>"$dir/err" ||
        complain "--target $target: $(cat "$dir/err")"
    [ -s "$dir/$target.safetensors.run/cut.safetensors" ] || complain "--target $target cuts nothing"
done
grep -q '"heads"' "$dir/time.safetensors.run/latency.json" || complain "--target time keeps no table"
"$antiphon" prune $how --steps 4 --stages 1 --target time --masked-norms \
    --latency "$dir/time.safetensors.run/latency.json" -o "$dir/table.safetensors" 2>"$dir/err" ||
    complain "--latency: $(cat "$dir/err")"
cmp "$dir/time.safetensors.run/latency.json" "$dir/table.safetensors.run/latency.json"

# By magnitude: at once, and as small.
"$antiphon" prune $how --by magnitude --stages 1,2 -o "$dir/small.safetensors" 2>"$dir/err" ||
    complain "--by magnitude: $(cat "$dir/err")"
[ ! -e "$dir/small.safetensors.run/1-prune" ] || complain "--by magnitude learns gates"
small=$(parameters "$dir/small.safetensors")
[ $((small * 100)) -lt $((before * 55)) ] && [ $((small * 100)) -gt $((before * 45)) ] ||
    complain "by magnitude half of $before parameters is $small"

# An encoder without a readout, made for whole windows: distilled block by block, it runs so.
"$antiphon" convert "$here/golden/wavlm_group_norm_tiny/model.pt" -o "$dir/bare.safetensors" 2>"$dir/err" ||
    complain "convert: $(cat "$dir/err")"
"$antiphon" prune --speech "$dir/speech" -m "$dir/bare.safetensors" --chunk 1 --batch 2 --steps 3 --max-speakers 3 \
    --distill-steps 2 --dev-clips 1 --sparsity 0.4 --block-ms 320 -o "$dir/bare-half.safetensors" \
    --report "$dir/bare.svg" >"$dir/out" 2>"$dir/err" || complain "a bare encoder: $(cat "$dir/err")"
"$antiphon" info "$dir/bare-half.safetensors" >"$dir/out" 2>"$dir/err"
grep -q 'representations only' "$dir/out" && ! grep -q 'whole windows' "$dir/out" ||
    complain "a bare encoder becomes $(cat "$dir/out")"
# What pruning left goes out as upstream loads it, and comes back in the same bits.
"$antiphon" convert "$dir/bare-half.safetensors" --to torch -o "$dir/half.pt" 2>"$dir/err" &&
    "$antiphon" convert "$dir/half.pt" -o "$dir/back.safetensors" 2>"$dir/err" ||
    complain "a pruned encoder does not go out and back: $(cat "$dir/err")"
for model in bare-half back; do
    "$antiphon" features "$dir/$model.safetensors" "$here/audio/ami_EN2004a_first30s.flac" \
        -o "$dir/$model.features" 2>"$dir/err" || complain "features: $(cat "$dir/err")"
done
cmp "$dir/bare-half.features" "$dir/back.features" || complain "a pruned encoder comes back as another"
"$antiphon" finetune $data --config "$dir/whole.safetensors" --steps 2 -o "$dir/fresh.safetensors" \
    2>"$dir/err" || complain "finetune of a model's shape: $(cat "$dir/err")"
[ "$(parameters "$dir/fresh.safetensors")" = "$after" ] || complain "a model's shape is another one"
"$antiphon" plot "$dir/whole.safetensors" "$dir/dense.safetensors" -o "$dir/map.svg" 2>"$dir/err" &&
    grep -q '<svg' "$dir/map.svg" || complain "plot of a model: $(cat "$dir/err")"

"$antiphon" prune --preset s90-base --reg-lr 0.03 --multiplier-lr 0.2 --print-config >"$dir/out" ||
    complain "--print-config fails"
grep -q 'sparsity 0.9 of params' "$dir/out" && grep -q "gates' lr 0.03, multipliers' 0.2" "$dir/out" ||
    complain "--print-config says $(cat "$dir/out")"

# Ranks: the same losses, sparsity and cut as one process with as large a batch.
if command -v mpirun >/dev/null 2>&1; then
    numbers() { # loss and sparsity
        sed -n 's/.*"type":"step".*"loss":\([-0-9.e]*\).*"sparsity":\([-0-9.e]*\).*/\1 \2/p' "$1.run/1-prune/log.jsonl"
    }
    common="--speech $dir/speech -m $dir/dense.safetensors --chunk 2 --threads 1 --dropout 0 --steps 12
        --epochs 12 --warmup-epochs 6 --distill-steps 2 --stages 1,2 --sparsity 0.5 --reg-lr 0.05
        --validate-every 3 --dev-clips 4 --average 2"
    "$antiphon" prune $common --batch 4 -o "$dir/one" 2>"$dir/err" || complain "one: $(cat "$dir/err")"
    # Open MPI leaves memory of its own behind, which LeakSanitizer would hold against us.
    env ASAN_OPTIONS=detect_leaks=0 mpirun --allow-run-as-root --oversubscribe -q -n 2 "$antiphon" prune $common --batch 2 \
        -o "$dir/two" 2>"$dir/err" || complain "two ranks: $(cat "$dir/err")"
    numbers "$dir/one" >"$dir/a"
    numbers "$dir/two" >"$dir/b"
    paste "$dir/a" "$dir/b" | awk '
        function off(x, y) { return x > y ? x - y : y - x }
        { if (off($1, $3) > 2e-4 || off($2, $4) > 1e-5) bad = 1 }
        END { if (NR != 12 || bad) exit 1 }' ||
        complain "two ranks: losses and sparsities are $(paste "$dir/a" "$dir/b")"
    [ "$(parameters "$dir/one")" = "$(parameters "$dir/two")" ] || complain "two ranks cut otherwise"
fi
[ "$(ls "$dir/one.run/1-prune" | grep -c '^model-')" -le 2 ] ||
    complain "more than the best models are kept: $(ls "$dir/one.run/1-prune")"

refused 1 "cannot be reached" "$antiphon" prune $how --sparsity 0.99 -o "$dir/no.safetensors"
refused 1 "cannot be reached" "$antiphon" prune $how --sparsity 0.9 --units head -o "$dir/no2.safetensors"
refused 1 "another pruning" "$antiphon" prune $how --sparsity 0.6 -o "$dir/whole.safetensors"
refused 1 "stage 1 makes it" "$antiphon" prune $how --stages 2 -o "$dir/no3.safetensors"
refused 1 "the model has 0 to 2" "$antiphon" prune $how --layers 0,3 -o "$dir/no4.safetensors"
refused 2 "head" "$antiphon" prune $how --units heads -o "$dir/no.safetensors"
refused 2 "params, macs or time" "$antiphon" prune $how --target size -o "$dir/no.safetensors"
refused 2 "gates or magnitude" "$antiphon" prune $how --by luck -o "$dir/no.safetensors"
refused 2 "between 0 and 1" "$antiphon" prune $how --sparsity 80 -o "$dir/no.safetensors"
refused 2 "ema 2: expected 0 to" "$antiphon" prune $how --ema 2 -o "$dir/no.safetensors"
refused 2 "voices 9: expected 0 to" "$antiphon" prune $how --voices 9 -o "$dir/no.safetensors"
refused 2 "a weight above 0" "$antiphon" prune $how --l1 0 --cos 0 -o "$dir/no.safetensors"
refused 2 "--stages" "$antiphon" prune $how --stages 1,4 -o "$dir/no.safetensors"
refused 2 "--stages" "$antiphon" prune $how --stages distill -o "$dir/no.safetensors"
refused 2 "--layers" "$antiphon" prune $how --layers 4,2 -o "$dir/no.safetensors"
refused 2 "--model" "$antiphon" prune --speech "$dir/speech" -o "$dir/no.safetensors"
refused 2 "s80-nano" "$antiphon" prune $how --preset s85 -o "$dir/no.safetensors"
refused 1 "latency" "$antiphon" prune $how --target time --latency "$dir/tiny.json" -o "$dir/no5.safetensors"
mkdir "$dir/empty"
refused 1 "no audio" "$antiphon" prune --speech "$dir/empty" -m "$dir/dense.safetensors" \
    -o "$dir/no.safetensors"
exit $bad
