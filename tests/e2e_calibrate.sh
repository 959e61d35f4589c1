#!/bin/sh
# SPDX-License-Identifier: MIT
# e2e_calibrate.sh ANTIPHON TESTS - a tiny model's vectors are calibrated, from a run's state as
# from a model; training takes the threshold away again; what cannot be done is refused.
set -u
antiphon=$1 here=$2
. "$here/e2e_lib.sh"

tiny_shape 4
tiny_speech
train() {
    "$antiphon" finetune --speech "$dir/speech" --chunk 2 --batch 2 --threads 1 --steps 2 \
        --validate-every 100 --average 1 --affinity 1 "$@" 2>"$dir/err" || complain "finetune: $(cat "$dir/err")"
}
calibrate() {
    "$antiphon" calibrate --speech "$dir/speech" --clips 12 --rooms 60 --dev-clips 4 --chunk 20 --threads 1 "$@"
}

train --config "$dir/tiny.json" --ema 0.9 -o "$dir/m.safetensors"
calibrate -m "$dir/m.safetensors" -o "$dir/c.safetensors" >"$dir/out" 2>"$dir/err" ||
    complain "calibrate: $(cat "$dir/err")"
grep -q '^equal error of one second against a speaker: .* at distance [01]\.[0-9]*$' "$dir/out" ||
    complain "calibrate says $(cat "$dir/out")"
grep -aq 'embedding_threshold' "$dir/c.safetensors" || complain "no threshold in the model"
grep -aq 'vectors calibrated on' "$dir/c.safetensors" || complain "no provenance in the model"
"$antiphon" stream -m "$dir/c.safetensors" --input "$here/audio/ami_EN2004a_first30s.flac" --fast \
    --rttm "$dir/c.rttm" >/dev/null 2>"$dir/err" || complain "stream: $(cat "$dir/err")"

# Vectors of the feature projection, too: grown they are none yet, calibrated they are; and they learn.
"$antiphon" grow -m "$dir/c.safetensors" --embedding-projection 3 -o "$dir/p.safetensors" 2>"$dir/err" ||
    complain "grow: $(cat "$dir/err")"
grep -aq 'embedding_threshold' "$dir/p.safetensors" && complain "grown by random numbers, and calibrated"
calibrate -m "$dir/p.safetensors" -o "$dir/pc.safetensors" >"$dir/outp" 2>"$dir/err" ||
    complain "calibrate with a projection: $(cat "$dir/err")"
grep -aq 'embedding_threshold' "$dir/pc.safetensors" || complain "no threshold in the model with a projection"
"$antiphon" features "$dir/pc.safetensors" "$here/audio/ami_EN2004a_first30s.flac" --block 320 \
    -o "$dir/pc.features" 2>"$dir/err" || complain "features: $(cat "$dir/err")"
head -c 4000 "$dir/pc.features" | grep -aq '"vectors":{[^}]*"shape":\[[0-9]*,7\]' ||
    complain "vectors of seven numbers: $(head -c 1000 "$dir/pc.features" | tr -cd '[:print:]')"
train -m "$dir/pc.safetensors" -o "$dir/pt.safetensors"

# A run's state is the model that the run would write: the mean of its weights.
state=$dir/m.safetensors.run/last.safetensors
"$antiphon" info "$state" >"$dir/info" 2>&1 || complain "a run's state is no model: $(cat "$dir/info")"
calibrate -m "$state" -o "$dir/s.safetensors" >"$dir/out2" 2>"$dir/err" ||
    complain "calibrate a state: $(cat "$dir/err")"
cmp -s "$dir/out" "$dir/out2" || complain "a state gives $(cat "$dir/out2"), the model $(cat "$dir/out")"
mkdir "$dir/real"
cp "$here/audio/ami_EN2004a_first30s.flac" "$here/audio/ami_EN2004a_first30s.rttm" "$dir/real"
for m in m.safetensors m.safetensors.run/last.safetensors; do
    "$antiphon" evaluate -m "$dir/$m" "$dir/real" 2>"$dir/err" || complain "evaluate: $(cat "$dir/err")"
done >"$dir/both"
n=$(wc -l <"$dir/both")
[ "$(head -$((n / 2)) "$dir/both")" = "$(tail -$((n / 2)) "$dir/both")" ] ||
    complain "evaluate tells a state from its model: $(cat "$dir/both")"
for m in m.safetensors m.safetensors.run/last.safetensors; do # begun with, no step kept
    train -m "$dir/$m" --lr 0 --weight-decay 0 -o "$dir/from.safetensors"
    tail -c 200 "$dir/from.safetensors" | cksum
    rm -r "$dir/from.safetensors.run"
done >"$dir/both"
[ "$(uniq "$dir/both" | wc -l)" = 1 ] || complain "finetune begins elsewhere with a state"

# Voices are clustered where vectors are calibrated, and not elsewhere.
audio=$here/audio/ami_EN2004a_first30s.flac
"$antiphon" diarize -m "$dir/c.safetensors" --clustering voices "$audio" >/dev/null 2>"$dir/err" ||
    complain "diarize: $(cat "$dir/err")"
"$antiphon" diarize -m "$dir/m.safetensors" "$audio" >/dev/null 2>"$dir/err" || complain "diarize: $(cat "$dir/err")"
refused 1 'm.safetensors: its vectors are not calibrated' "$antiphon" diarize -m "$dir/m.safetensors" \
    --clustering voices "$audio"

# Trained on, the vectors are no longer what the threshold was measured for.
train -m "$dir/c.safetensors" -o "$dir/t.safetensors" --chunk 1.5
"$antiphon" info "$dir/t.safetensors" | grep -q 'windows *1.5 s offline' ||
    complain "a model does not say what it was trained on: $("$antiphon" info "$dir/t.safetensors")"
grep -aq 'embedding_threshold' "$dir/t.safetensors" && complain "training kept the threshold"

sed 's/"embedding_dim":4,//' "$dir/tiny.json" >"$dir/none.json"
"$antiphon" finetune --speech "$dir/speech" --config "$dir/none.json" --chunk 2 --batch 2 --threads 1 \
    --steps 1 --average 1 -o "$dir/none.safetensors" 2>"$dir/err" || complain "$(cat "$dir/err")"
refused 1 'without speaker vectors' "$antiphon" calibrate -m "$dir/none.safetensors" \
    --speech "$dir/speech" -o "$dir/x"
refused 1 'take more clips' "$antiphon" calibrate -m "$dir/m.safetensors" --speech "$dir/speech" \
    --clips 1 --chunk 20 -o "$dir/x"
refused 1 'one of --data and --speech' "$antiphon" calibrate -m "$dir/m.safetensors" -o "$dir/x"
refused 2 'where to?' "$antiphon" calibrate -m "$dir/m.safetensors" --speech "$dir/speech"
refused 2 'rooms 0: expected 1 to' "$antiphon" calibrate -m "$dir/m.safetensors" --rooms 0 -o "$dir/x"
refused 2 'clips 0: expected 1 to' "$antiphon" calibrate -m "$dir/m.safetensors" --clips 0 -o "$dir/x"
refused 2 'expected 0 to 100' "$antiphon" calibrate -m "$dir/m.safetensors" --ridge -1 -o "$dir/x"
[ -e "$dir/x" ] && complain "a refused command left a file"
exit $bad
