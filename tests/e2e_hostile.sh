#!/bin/sh
# SPDX-License-Identifier: MIT
# e2e_hostile.sh ANTIPHON TESTS - every command that takes a file is given what is none:
# it exits 1 with one line and leaves nothing behind. Then outputs that cannot be.
set -eu
antiphon=$1 tests=$2
golden=$tests/golden
. "$tests/e2e_lib.sh"
audio=$tests/audio/ami_EN2004a_first30s.flac
model=$golden/wavlm_pruned_tiny/model.pt
bad_files=$dir/bad
here=$dir/here # where outputs would be
mkdir "$bad_files" "$here" "$bad_files/folder"

# -- the files
: >"$bad_files/empty"
printf 'x' >"$bad_files/one_byte"
awk 'BEGIN {srand(7); for (i = 0; i < 4000; i++) printf "%c", 1 + int(rand() * 255)}' >"$bad_files/garbage"
head -c 100000 /dev/zero >"$bad_files/zeros"
printf '<html><body>404</body></html>\n' >"$bad_files/page"
printf '\377\377\377\377\377\377\377\177{"a":' >"$bad_files/header_of_2_to_63"
printf '\112\000\000\000\000\000\000\000{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}' \
    >"$bad_files/absurd_shape"
awk 'BEGIN {for (i = 0; i < 100000; i++) printf "["}' >"$bad_files/brackets"
awk 'BEGIN {for (i = 0; i < 100000; i++) printf "a"; printf "\n"}' >"$bad_files/long_line"
head -c 3000 "$model" >"$bad_files/half.pt"
head -c 2000 "$audio" >"$bad_files/start.flac"
head -c 60 "$audio" >"$bad_files/header.flac"
printf 'RIFF\377\377\377\177WAVEfmt \020\000\000\000\001\000\377\377\377\377\377\177\000\000\000\000\000\000\020\000data\377\377\377\177' \
    >"$bad_files/absurd.wav"
printf '\200\002cos\nsystem\n(X\004\000\000\000truetR.' >"$bad_files/evil.pkl"
ln -s loop "$bad_files/loop"

# hostile COMMAND...: with each bad file in the place of FILE; the words after "not" are names
# of files that this command may well take, or may not be able to tell.
hostile() {
    for file in "$bad_files"/* /dev/zero /dev/null "$dir/absent"; do
        case " $not " in *" ${file##*/} "*) continue ;; esac
        status=0
        # shellcheck disable=SC2046 # no name has blanks
        timeout 100 "$antiphon" $(echo "$*" | sed "s|FILE|$file|g") >"$dir/out" 2>"$dir/err" \
            </dev/null || status=$?
        told=$(head -c 600 "$dir/err")
        [ "$status" -eq 1 ] || complain "$* with ${file##*/} exits $status: $told"
        [ "$(wc -l <"$dir/err")" -eq 1 ] || complain "$* with ${file##*/} says: $told"
        [ -s "$dir/out" ] && complain "$* with ${file##*/} printed: $(head -c 300 "$dir/out")"
        if [ -n "$(ls -A "$here")" ]; then
            complain "$* with ${file##*/} left $(ls -A "$here" | head -n 3)"
            rm -rf "${here:?}"/*
        fi
    done
}

not=
hostile info FILE
hostile convert FILE -o "$here/m"
hostile features FILE "$audio" -o "$here/f"
hostile features built-in FILE -o "$here/f"
hostile stream --fast --input "$audio" --model FILE --rttm "$here/r"
hostile stream --fast --input FILE --rttm "$here/r" --jsonl "$here/j"
hostile bench --model FILE --seconds 1
hostile diarize FILE -o "$here/d.rttm"
hostile diarize FILE -o "$here/d.TextGrid"
hostile diarize "$audio" -m FILE -o "$here/d.rttm"
hostile diarize "$audio" -e FILE -o "$here/d.rttm"
hostile diarize "$audio" --clustering vbx --plda FILE -o "$here/d.rttm"
hostile evaluate FILE
hostile evaluate -m FILE "$tests/audio"
hostile calibrate --speech FILE -o "$here/m"
hostile calibrate -m FILE --speech "$tests" -o "$here/m"
hostile finetune --data FILE --arch nano --steps 1 -o "$here/m"
hostile finetune --speech FILE --arch nano --steps 1 -o "$here/m"
hostile finetune --data "$tests" --config FILE --steps 1 -o "$here/m"
hostile finetune --data "$tests" --model FILE --steps 1 -o "$here/m"
hostile prune --model FILE --data "$tests" --sparsity 0.5 -o "$here/m"
hostile simulate --speech FILE -o "$here/d"
not="empty null" # a list without a turn is a list
rttm=$tests/audio/ami_EN2004a_first30s.rttm
hostile score --ref FILE --sys "$rttm"
hostile score --ref "$rttm" --sys FILE
hostile plot FILE -o "$here/p.svg"
hostile plot "$rttm" FILE -o "$here/p.svg"
hostile score --ref "$rttm" --sys "$rttm" --uem FILE

# -- a header that promises more than a hundred days, in a file that has them: zeros, sparse
printf '.snd\000\000\000\030\377\377\377\377\000\000\000\002\000\000\003\350\000\000\000\001' >"$dir/days.au"
if truncate -s 9000000000 "$dir/days.au" 2>/dev/null; then
    refused 1 'days of audio' "$antiphon" features built-in "$dir/days.au" -o "$here/f"
    refused 1 'days of audio' "$antiphon" stream --fast --input "$dir/days.au" --rttm "$here/r"
    rm "$dir/days.au"
fi

# -- data folders: one list of three is bad
mkdir "$dir/data"
for list in wav.scp rttm all.uem; do
    printf 'r %s\n' "$audio" >"$dir/data/wav.scp"
    printf 'SPEAKER r 1 0.5 2.0 <NA> <NA> A <NA> <NA>\n' >"$dir/data/rttm"
    printf 'r 1 0.0 29.0\n' >"$dir/data/all.uem"
    for file in garbage zeros page brackets long_line folder; do
        rm "$dir/data/$list"
        cp -r "$bad_files/$file" "$dir/data/$list"
        refused 1 "$dir/data/$list" "$antiphon" finetune --data "$dir/data" --arch nano --steps 1 \
            -o "$here/m"
        rm -r "$dir/data/$list"
        : >"$dir/data/$list"
    done
done
[ -z "$(ls -A "$here")" ] || complain "finetune left $(ls -A "$here")"

# -- logs that cannot be drawn, and those that can in part
log() {
    printf '%b\n' "$1" >"$dir/log.jsonl"
}
line='{"type":"step","step":1,"loss":1.5,"der":50,"lr":1e-3,"norm":2}'
while read -r text; do
    log "$line\n$text"
    refused 1 'line 2: not a line of a training log' "$antiphon" plot "$dir/log.jsonl" -o "$here/l.svg"
done <<'END'
garbage
{"type":"step"}
{"type":"step","step":"2"}
{"type":"step","step":2,"step":3}
{"type":"step","step":1e999}
{"type":"step","step":nan,"loss":1}
{"type":7,"step":2}
{"type":"step","step":2
[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
END
log "$line\n{\"type\":\"step\",\"step\":2,\"loss\":1e999,\"der\":-1e308}"
"$antiphon" plot "$dir/log.jsonl" -o "$dir/l.svg" || complain "plot of a log with infinite numbers"
grep -qi 'nan\|inf' "$dir/l.svg" && complain "the picture has coordinates that are no numbers"

# -- what a run reads back: its state and its log
speech=$dir/speech
mkdir -p "$speech/a" "$dir/run"
cp "$audio" "$speech/a/1.flac"
train() {
    "$antiphon" finetune --data "$dir/data" --arch nano --steps 1 --batch 1 --chunk 1 -o "$here/m" \
        --run "$dir/run" "$@"
}
printf 'r %s\n' "$audio" >"$dir/data/wav.scp"
printf 'SPEAKER r 1 0.5 2.0 <NA> <NA> A <NA> <NA>\n' >"$dir/data/rttm"
printf 'r 1 0.0 29.0\n' >"$dir/data/all.uem"
for file in empty one_byte garbage header_of_2_to_63 absurd_shape half.pt folder; do
    rm -rf "$dir/run"
    mkdir "$dir/run"
    cp -r "$bad_files/$file" "$dir/run/last.safetensors"
    refused 1 "$dir/run/last.safetensors" train
done
rm -rf "$dir/run"
mkdir "$dir/run"
for file in garbage page long_line zeros; do # somebody's file, which happens to have that name
    cp "$bad_files/$file" "$dir/run/log.jsonl"
    refused 1 'is no log of a run' train
    cmp "$bad_files/$file" "$dir/run/log.jsonl" || complain "a file that is no log was changed"
done
rm "$dir/run/log.jsonl"
ln -s /dev/zero "$dir/run/log.jsonl"
refused 1 'is no regular file' train
[ -z "$(ls -A "$here")" ] || complain "a refused run left $(ls -A "$here")"

# -- outputs: a file that may not grow, a folder that takes none, a folder in a file's place
full() {
    status=0
    (ulimit -f 8 && "$antiphon" "$@") >"$dir/out" 2>"$dir/err" </dev/null || status=$?
    [ "$status" -eq 1 ] || complain "$* on a full disk exits $status: $(cat "$dir/err")"
    grep -q 'too large\|No space\|disk full' "$dir/err" || complain "$* on a full disk: $(cat "$dir/err")"
    [ -z "$(ls -A "$here")" ] || complain "$* on a full disk left $(ls -A "$here")"
    rm -rf "${here:?}"/*
}
full convert "$model" -o "$here/m"
full features built-in "$audio" -o "$here/f"
full simulate --speech "$speech" --minutes 0.5 --meetings 1 --max-speakers 1 -o "$here/d"
for output in / "$here" /dev/null/x "$dir/absent/x"; do
    refused 1 "$output" "$antiphon" convert "$model" -o "$output"
    refused 1 "$output" "$antiphon" features built-in "$audio" -o "$output"
    refused 1 "$output" "$antiphon" plot "$rttm" -o "$output"
    refused 1 "$output" "$antiphon" stream --fast --input "$audio" --rttm "$output"
done
if [ "$(id -u)" -eq 0 ] && mkdir "$dir/disk" && mount -t tmpfs -o size=32k none "$dir/disk" 2>/dev/null; then
    here=$dir/disk
    trap 'umount "$dir/disk"; rm -rf "$dir"' EXIT
    for what in "convert $model -o" "features built-in $audio -o"; do
        # shellcheck disable=SC2086 # words
        refused 1 'No space left' "$antiphon" $what "$here/x"
        [ -z "$(ls -A "$here")" ] || complain "$what left $(ls -A "$here") on a full disk"
    done
fi
exit $bad
