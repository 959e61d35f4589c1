#!/bin/sh
# SPDX-License-Identifier: MIT
# e2e_finetune.sh ANTIPHON TESTS - runs of a tiny model on real files: killed and resumed to the
# same bits, shared by ranks to the same losses, on data folders, and all that is refused.
set -u
antiphon=$1 here=$2
. "$here/e2e_lib.sh"

tiny_shape 8
tiny_speech

# start ...: in the background, so that $! is the program's own.
start() {
    log=$1
    shift
    (finetune_by exec "$@") 2>"$log" &
    job=$!
}

finetune() {
    finetune_by command "$@"
}

finetune_by() {
    by=$1
    shift
    $by "$antiphon" finetune --speech "$dir/speech" --config "$dir/tiny.json" --chunk 2 --batch 4 \
        --threads 2 --dev-speech "$dir/speech" --dev-clips 4 --validate-every 6 --save-every 4 \
        --average 2 --affinity 0.5 --vector 0.2 --ema 0.9 --lr 1e-3 "$@"
}

# Killed at any moment and begun again: the same file.
finetune -o "$dir/whole.safetensors" --steps 30 2>"$dir/talk" ||
    complain "finetune fails: $(cat "$dir/talk")"
for wait in 0.4 0.7 1.1 0.9; do
    start /dev/null -o "$dir/killed.safetensors" --steps 30
    sleep "$wait"
    kill -9 "$job" 2>/dev/null
    wait "$job" 2>/dev/null
done
: >"$dir/killed.safetensors.run/model-6.safetensors.1.0.tmp" # as a kill in mid-write leaves it
finetune -o "$dir/killed.safetensors" --steps 30 2>"$dir/talk" ||
    complain "a killed run does not go on: $(cat "$dir/talk")"
tail -c +4096 "$dir/whole.safetensors" >"$dir/a" # behind the header, where names stand
tail -c +4096 "$dir/killed.safetensors" >"$dir/b"
cmp "$dir/a" "$dir/b" || complain "a run that was killed makes another model"
[ "$(grep -c '"type":"step"' "$dir/killed.safetensors.run/log.jsonl")" -eq 30 ] ||
    complain "the log has not one line a step: $(cut -c1-40 "$dir/killed.safetensors.run/log.jsonl")"
ls "$dir/killed.safetensors.run" >"$dir/left"
[ "$(grep -c '^model-' "$dir/left")" -eq 2 ] && [ "$(wc -l <"$dir/left")" -eq 4 ] ||
    complain "not the two best models, the state and the log are kept: $(cat "$dir/left")"

# A signal: saved, stopped, and gone on with.
start "$dir/talk" -o "$dir/stopped.safetensors" --steps 100000
for i in $(seq 100); do
    [ -s "$dir/stopped.safetensors.run/log.jsonl" ] && break
    sleep 0.2
done
refused 1 "another run" "$antiphon" finetune --speech "$dir/speech" --config "$dir/tiny.json" \
    --chunk 2 --batch 4 -o "$dir/stopped.safetensors"
kill -TERM "$job"
wait "$job" || complain "SIGTERM fails the run: $(cat "$dir/talk")"
grep -q 'goes on from' "$dir/talk" || complain "SIGTERM: it says $(cat "$dir/talk")"
[ -s "$dir/stopped.safetensors.run/last.safetensors" ] || complain "SIGTERM: nothing is saved"

# What it made is a model, and a model can be trained on; a data folder too.
"$antiphon" info "$dir/whole.safetensors" >"$dir/out" 2>&1 || complain "info: $(cat "$dir/out")"
"$antiphon" stream --model "$dir/whole.safetensors" --input "$here/audio/ami_EN2004a_first30s.flac" \
    --fast --rttm "$dir/x.rttm" >/dev/null 2>"$dir/err" || complain "stream: $(cat "$dir/err")"
"$antiphon" simulate --speech "$dir/speech" --max-speakers 3 --minutes 0.5 -n 2 -o "$dir/data" \
    >/dev/null 2>&1 || complain "simulate fails"
"$antiphon" finetune --data "$dir/data" --dev "$dir/data" -m "$dir/whole.safetensors" --batch 2 \
    --chunk 2 --steps 3 --validate-every 3 --dev-clips 2 --block-ms 160,whole --freeze 'encoder.*' \
    -o "$dir/more.safetensors" 2>"$dir/err" || complain "finetune on a folder: $(cat "$dir/err")"
"$antiphon" plot "$dir/whole.safetensors.run/log.jsonl" -o "$dir/run.svg" 2>"$dir/err" ||
    complain "plot of a log: $(cat "$dir/err")"
grep -q '<svg' "$dir/run.svg" || complain "the plot of a log is no SVG"

# Ranks: the same losses as one process with as large a batch.
if command -v mpirun >/dev/null 2>&1; then
    losses() {
        sed -n 's/.*"type":"step".*"'"${2:-loss}"'":\([0-9.]*\).*/\1/p' "$1.run/log.jsonl"
    }
    # Open MPI leaves memory of its own behind, which LeakSanitizer would hold against us.
    launch="env ASAN_OPTIONS=detect_leaks=0 mpirun --allow-run-as-root --oversubscribe -q"
    common="--speech $dir/speech --config $dir/tiny.json --chunk 2 --threads 1 --dropout 0 --steps 4
        --save-every 2 --affinity 0.5 --vector 0.2 --clip 1 --lr 1e-3"
    "$antiphon" finetune $common --batch 8 -o "$dir/one" 2>"$dir/err" || complain "one: $(cat "$dir/err")"
    for ranks in 2 4; do
        $launch -n $ranks "$antiphon" finetune $common --batch $((8 / ranks)) -o "$dir/ranks$ranks" \
            2>"$dir/err" || complain "$ranks ranks: $(cat "$dir/err")"
        losses "$dir/one" vector >"$dir/a"
        losses "$dir/ranks$ranks" vector >"$dir/b"
        paste "$dir/a" "$dir/b" | awk '
            { d = $1 - $2; if (d < 0) d = -d; if (d > 2e-4 * $1) bad = 1; sum += $1 }
            END { if (NR != 4 || bad || sum < 1) exit 1 }' ||
            complain "$ranks ranks: losses of vectors are $(paste "$dir/a" "$dir/b")"
        losses "$dir/one" >"$dir/a"
        losses "$dir/ranks$ranks" >"$dir/b"
        paste "$dir/a" "$dir/b" | awk -v n="$ranks" '
            { d = $1 - $2; if (d < 0) d = -d; if (d > 2e-4 * $1) bad = 1 }
            END { if (NR != 4 || bad) exit 1 }' ||
            complain "$ranks ranks: losses are $(paste "$dir/a" "$dir/b")"
    done
    # Gone on with by another number of ranks.
    $launch -n 2 "$antiphon" finetune $common --batch 4 -o "$dir/mixed" --hours 1e-9 2>"$dir/err" ||
        complain "2 ranks: $(cat "$dir/err")"
    "$antiphon" finetune $common --batch 8 -o "$dir/mixed" 2>"$dir/err" ||
        complain "1 rank after 2: $(cat "$dir/err")"
    losses "$dir/mixed" >"$dir/b"
    paste "$dir/a" "$dir/b" | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 2e-4 * $1) exit 1 }' ||
        complain "2 ranks, then 1: losses are $(cat "$dir/b")"
    # One rank's failure ends all, with a message.
    mkdir -p "$dir/rank/speech/ann"
    if timeout 60 $launch -n 2 sh -c 'cd "$1/rank"; [ "$OMPI_COMM_WORLD_RANK" = 1 ] || cd ..
        exec "$2" finetune --speech speech --config "$1/tiny.json" --chunk 2 --batch 4 --threads 1 \
            --steps 100000 -o "$1/failing"' sh "$dir" "$(realpath "$antiphon")" >/dev/null 2>"$dir/err"; then
        complain "a rank without audio does not fail the run"
    fi
    grep -q 'rank 1: .*no audio' "$dir/err" || complain "a failing rank says: $(cat "$dir/err")"
    # So does one in the midst of the run: its audio ends before its header says.
    cp -r "$dir/data" "$dir/cut"
    for file in "$dir"/cut/audio/*; do
        head -c "$(($(wc -c <"$file") / 2))" "$file" >"$dir/half" && mv "$dir/half" "$file"
    done
    sed "s|$dir/data|$dir/cut|" "$dir/data/wav.scp" >"$dir/cut/wav.scp"
    if timeout 120 $launch -n 2 sh -c '[ "$OMPI_COMM_WORLD_RANK" = 1 ] && data=cut || data=data
        exec "$2" finetune --data "$1/$data" --config "$1/tiny.json" --chunk 2 --batch 4 --threads 1 \
            --steps 100000 -o "$1/failing"' sh "$dir" "$(realpath "$antiphon")" >/dev/null 2>"$dir/err"; then
        complain "a rank with broken audio does not fail the run"
    fi
    grep -q 'rank 1: step [0-9]*: .*cut/audio' "$dir/err" ||
        complain "a rank that fails in the midst says: $(cat "$dir/err")"
fi

# Refused at the start.
empty="$dir/empty"
mkdir "$empty"
ok="--config $dir/tiny.json -o $dir/no.safetensors --steps 1"
refused 1 "--data and --speech" "$antiphon" finetune $ok
refused 1 "no audio" "$antiphon" finetune --speech "$empty" $ok
refused 1 "wav.scp" "$antiphon" finetune --data "$empty" $ok
refused 1 "--tracts goes with --speech" "$antiphon" finetune --data "$empty" $ok --tracts 3
refused 1 "--manner goes with --speech" "$antiphon" finetune --data "$empty" $ok --manner 7
refused 1 "--colour goes with --speech" "$antiphon" finetune --data "$empty" $ok --colour 4
refused 1 "--blows goes with --speech" "$antiphon" finetune --data "$empty" $ok --blows 2
refused 1 "--excerpts goes with --speech" "$antiphon" finetune --data "$empty" $ok --excerpts 2
refused 1 "--model, --arch and --config" "$antiphon" finetune --speech "$dir/speech" -o "$dir/no"
refused 2 "multiple of 20 ms" "$antiphon" finetune --speech "$dir/speech" $ok --block-ms 150
refused 2 "constant, cosine or plateau" "$antiphon" finetune --speech "$dir/speech" $ok --schedule x
sed 's/,"embedding_dim":8//' "$dir/tiny.json" >"$dir/mute.json"
refused 1 "no embedding readout" "$antiphon" finetune --speech "$dir/speech" --config "$dir/mute.json" \
    --vector 1 --chunk 2 -o "$dir/no"
for bad_option in "--max-speakers -3" "--layer-drop 2" "--dropout nan" "--vector -1" "--clip -3" \
    "--threads 999" "--voices 8" "--manner 21" "--excerpts 9" "--colour 21" "--blows 61"; do
    refused 2 "${bad_option%% *} ${bad_option##* }: expected" "$antiphon" finetune \
        --speech "$dir/speech" --config "$dir/tiny.json" --chunk 2 -o "$dir/no" $bad_option
done
refused 1 "no tensor of the model has a name like encodr" "$antiphon" finetune \
    --speech "$dir/speech" --config "$dir/tiny.json" --chunk 2 --freeze 'encodr.*' -o "$dir/no"
LC_ALL=C sed 's/"classifier.weight"/"classifier.weigth"/' "$dir/whole.safetensors" >"$dir/lacks.safetensors"
refused 1 "begin with: tensor classifier.weight is missing" "$antiphon" finetune --speech "$dir/speech" \
    -m "$dir/lacks.safetensors" --chunk 2 -o "$dir/no"
refused 1 "take a multiple" "$antiphon" finetune --speech "$dir/speech" --config "$dir/tiny.json" --chunk 2 \
    --excerpts 2 --batch 3 -o "$dir/no"
refused 1 "nothing is left to learn" "$antiphon" finetune --speech "$dir/speech" \
    --config "$dir/tiny.json" --chunk 2 --freeze '*' -o "$dir/no"
refused 2 "-o FILE" "$antiphon" finetune --speech "$dir/speech" --config "$dir/tiny.json"
cp -r "$dir/data" "$dir/unknown"
echo 'SPEAKER nowhere 1 0 1 <NA> <NA> x <NA> <NA>' >>"$dir/unknown/rttm"
refused 1 "nowhere" "$antiphon" finetune --data "$dir/unknown" $ok
cp -r "$dir/data" "$dir/beyond"
sed 's/ 0[.0]* [0-9.]*$/ 0 4000/' "$dir/data/all.uem" >"$dir/beyond/all.uem"
refused 1 "all.uem" "$antiphon" finetune --data "$dir/beyond" $ok
sed 's/"encoder_embed_dim":16/"encoder_embed_dim":32/; s/"wavlm_feat_dim":16/"wavlm_feat_dim":32/' \
    "$dir/tiny.json" >"$dir/other.json"
refused 1 "not a run of this model" "$antiphon" finetune --speech "$dir/speech" \
    --config "$dir/other.json" --chunk 2 --batch 4 -o "$dir/whole.safetensors" --steps 40
# A full disk in mid-checkpoint: the last good state stays.
if [ -w /dev/shm ] && mount -t tmpfs -o size=600k none "$empty" 2>/dev/null; then
    refused 1 "No space" "$antiphon" finetune --speech "$dir/speech" $ok --chunk 2 --batch 4 \
        --run "$empty/run" --steps 2000 --save-every 2 --validate-every 100000
    umount "$empty"
fi
exit $bad
