#!/bin/sh
# SPDX-License-Identifier: MIT
# e2e_diarize.sh ANTIPHON TESTS - diarize as a user meets it: one file and many, every
# kind of output, silence, what is refused, and upstream's ways on request.
set -eu
antiphon=$1 tests=$2
audio=$tests/audio/ami_EN2004a_first30s.flac ref=$tests/audio/ami_EN2004a_first30s.rttm
. "$tests/e2e_lib.sh"
quick="--window 4 --step 2" # few windows: what is heard is not the question here

# diarize ARGS...: into out and err, must succeed and say nothing.
diarize() {
    "$antiphon" diarize "$@" >"$dir/out" 2>"$dir/err" || complain "diarize $*: $(cat "$dir/err")"
    [ -s "$dir/err" ] && complain "diarize $* says: $(cat "$dir/err")"
    return 0
}

# says WORDS FILE
says() {
    grep -qF -- "$1" "$dir/$2" || complain "no \"$1\" in $2: $(cat "$dir/$2")"
}

# -- one file to stdout: well-formed RTTM, named after the file, sorted, within the recording
diarize "$audio"
[ -s "$dir/out" ] || complain "nobody speaks in a meeting"
awk '$1 != "SPEAKER" || $2 != "ami_EN2004a_first30s" || $8 !~ /^speaker_[0-9]+$/ || $4 < last ||
     $4 + $5 > 30.001 || $5 <= 0 || NF != 10 { exit 1 } { last = $4 }' "$dir/out" ||
    complain "RTTM: $(head -3 "$dir/out")"
[ "$(awk 'NR == 1 { print $8 }' "$dir/out")" = speaker_1 ] || complain "who speaks first is not 1"
"$antiphon" score --ref "$ref" --sys "$dir/out" >"$dir/score" || complain "score does not read it"

# -- the same however many threads there are, and again
diarize $quick "$audio" --threads 1
cp "$dir/out" "$dir/whole"
diarize $quick "$audio" --threads 3
cmp -s "$dir/out" "$dir/whole" || complain "three threads hear otherwise"

# -- several files, to stdout, a file and a folder, one at a time and together
cp "$audio" "$dir/b c.flac"
diarize $quick "$dir/b c.flac" "$audio" --jobs 2
cp "$dir/out" "$dir/two"
[ "$(awk '{ print $2 }' "$dir/two" | uniq | tr '\n' ' ')" = "b_c ami_EN2004a_first30s " ] ||
    complain "two files: $(awk '{ print $2 }' "$dir/two" | uniq)"
diarize $quick "$dir/b c.flac" "$audio" -o "$dir/two.rttm"
cmp -s "$dir/two" "$dir/two.rttm" || complain "-o FILE differs from stdout"
diarize $quick "$dir/b c.flac" "$audio" -o "$dir/new/" --jobs 2
cat "$dir/new/b_c.rttm" "$dir/new/ami_EN2004a_first30s.rttm" | cmp -s - "$dir/two" ||
    complain "-o FOLDER differs from stdout"
diarize $quick "$audio" -o "$dir/new"
diarize $quick "$audio" -o "$dir/t.TextGrid"
"$antiphon" score --ref "$dir/new/ami_EN2004a_first30s.rttm" --sys "$dir/new/ami_EN2004a_first30s.rttm" \
    >"$dir/out" || complain "score of a folder's file"
says ooTextFile t.TextGrid

# -- how many speak
diarize $quick "$audio" --num-speakers 2
[ "$(awk '{ print $8 }' "$dir/out" | sort -u | wc -l)" -eq 2 ] || complain "--num-speakers 2"
diarize $quick "$audio" --max-speakers 1
[ "$(awk '{ print $8 }' "$dir/out" | sort -u | wc -l)" -eq 1 ] || complain "--max-speakers 1"
"$antiphon" diarize $quick "$audio" --num-speakers 99 >"$dir/out" 2>"$dir/err" || complain "99 speakers"
says 'speakers found, not 99' err
diarize $quick "$audio" --min-on 0.5
awk '$5 < 0.4995 { exit 1 }' "$dir/out" || complain "--min-on 0.5"

# -- ways of clustering: a calibrated model's voices by default, AHC if it is asked for
diarize $quick "$audio" --clustering voices
cmp -s "$dir/out" "$dir/whole" || complain "--clustering voices is not what the built-in model does"
diarize $quick "$audio" --clustering ahc
cp "$dir/out" "$dir/ahc"
diarize $quick "$audio" --min-size 6
cmp -s "$dir/out" "$dir/ahc" || complain "--min-size is not of ahc"
diarize $quick "$audio" --threshold 2
[ "$(awk '{ print $8 }' "$dir/out" | sort -u | wc -l)" -eq 1 ] || complain "--threshold 2 is not of ahc"
diarize $quick "$audio" --threshold 0.2 --min-size 1
[ "$(awk '{ print $8 }' "$dir/out" | sort -u | wc -l)" -gt 3 ] || complain "--threshold 0.2 joins all"
refused 2 'calibrated vectors' "$antiphon" diarize --clustering voices --threshold 0.5 "$audio"
refused 2 'calibrated vectors' "$antiphon" diarize --clustering voices --compat diarizen "$audio"

# -- people who are known: by their names, whoever else by numbers; and no others
"$antiphon" enroll 'Ada L' "$audio" -o "$dir/people.json" >"$dir/log" 2>&1 || complain "enroll: $(cat "$dir/log")"
for way in voices ahc online; do
    case $way in online) how="" ;; *) how=$quick ;; esac
    diarize $how --clustering $way --speakers "$dir/people.json" "$audio"
    awk '$8 != "Ada_L" && $8 !~ /^speaker_[1-9]$/ { exit 1 }' "$dir/out" || complain "--speakers: $(cat "$dir/out")"
    [ "$(grep -c ' Ada_L ' "$dir/out")" -gt 2 ] || complain "$way does not know who has been enrolled"
done
diarize $quick --speakers "$dir/people.json" "$audio"
sed 's/ Ada_L / X /; s/ speaker_[0-9]* / X /' "$dir/out" >"$dir/named"
sed 's/ speaker_[0-9]* / X /' "$dir/whole" | cmp -s - "$dir/named" || complain "names change who speaks when"
"$antiphon" diarize $quick --speakers "$dir/people.json" --num-speakers 99 "$audio" >"$dir/out" 2>"$dir/err" ||
    complain "99 speakers, one known"
says "$(awk '{ print $8 }' "$dir/out" | sort -u | wc -l) speakers found, not 99" err
printf '{"format": "antiphon speakers", "version": 1, "model": 1, "width": 64, "speakers": []}' >"$dir/other.json"
refused 1 "other.json" "$antiphon" diarize $quick --speakers "$dir/other.json" "$audio"
refused 1 "nowhere.json" "$antiphon" diarize $quick --speakers "$dir/nowhere.json" "$audio"
refused 2 'known again' "$antiphon" diarize --speakers "$dir/people.json" --compat diarizen "$audio"

# -- a speaker network's vectors
diarize $quick "$audio" --embedding "$tests/golden/resnet34_tiny/pytorch_model.bin"
[ -s "$dir/out" ] || complain "--embedding: nobody speaks"
refused 1 'made for vectors of 256 numbers; here they have 64' "$antiphon" diarize $quick "$audio" \
    --clustering vbx --embedding "$tests/golden/resnet34_tiny/pytorch_model.bin" \
    --plda "$tests/golden/offline/scene_a/plda"
refused 1 'absent.bin' "$antiphon" diarize $quick "$audio" --embedding "$dir/absent.bin"

# -- the live tracker over the file
diarize "$audio" --clustering online
[ -s "$dir/out" ] || complain "online hears nobody"
"$antiphon" stream --input "$audio" --fast --rttm "$dir/told.rttm" --jsonl "$dir/told.jsonl" \
    >/dev/null 2>&1 </dev/null
# Who turned out to be somebody else has been that one all along online: here, too.
sed -n 's/.*"speaker_merge","speaker":\([0-9]*\),"merged":\([0-9]*\).*/speaker_\2 speaker_\1/p' \
    "$dir/told.jsonl" >"$dir/merges"
awk 'FILENAME == ARGV[1] { n++; from[n] = $1; into[n] = $2; next }
    { for (i = 1; i <= n; i++) if ($8 == from[i]) $8 = into[i]; print }' \
    "$dir/merges" "$dir/told.rttm" >"$dir/live.rttm"
# A speaker's turns that touch, from two slots of the model, are one turn online: here, too, but for the
# millisecond to which RTTM rounds their ends.
sort -k 8,8 -k 4,4n "$dir/live.rttm" | awk '
    function tell() { if (who != "") printf "SPEAKER %s 1 %.3f %.3f <NA> <NA> %s <NA> <NA>\n", of, start, end - start, who }
    $8 == who && $4 <= end + 0.0015 { end = $4 + $5 > end ? $4 + $5 : end; next }
    { tell(); of = $2; who = $8; start = $4; end = $4 + $5 }
    END { tell() }' >"$dir/joined.rttm"
"$antiphon" score --ref "$dir/joined.rttm" --sys "$dir/out" >"$dir/score" || complain "score of online"
grep -Eq '^overall +[0-9.]+ +0.00 +0.00 +0.00 ' "$dir/score" || complain "online hears otherwise than live"

# -- silence: empty RTTM; upstream stops
python3 - "$dir/silence.wav" <<'PY'
import struct, sys
data = bytes(2 * 16000 * 5)
with open(sys.argv[1], "wb") as f:
    f.write(b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " +
            struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16) + b"data" + struct.pack("<I", len(data)) + data)
PY
diarize $quick "$dir/silence.wav"
[ -s "$dir/out" ] && complain "somebody speaks in silence: $(cat "$dir/out")"
diarize "$dir/silence.wav" -o "$dir/new"
[ -e "$dir/new/silence.rttm" ] && [ ! -s "$dir/new/silence.rttm" ] || complain "no empty silence.rttm"
refused 1 'nobody speaks: DiariZen stops' "$antiphon" diarize $quick --compat diarizen "$dir/silence.wav"

# -- upstream's ways: bare numbers, time stamps of middles, names up to the first dot
cp "$audio" "$dir/x.y.flac"
diarize $quick --compat diarizen "$dir/x.y.flac"
awk '$2 != "x" || $8 !~ /^[0-9]+$/ || sprintf("%.0f", $4 * 1000) % 10 !~ /[23]/ { exit 1 }' "$dir/out" ||
    complain "compat: $(head -3 "$dir/out")"
refused 2 'refuses blanks in a name' "$antiphon" diarize --compat diarizen "$dir/b c.flac"

# -- what is wrong with one does not stop the others
printf 'no audio' >"$dir/bad.wav"
status=0
"$antiphon" diarize $quick "$dir/bad.wav" "$audio" "$dir/absent.wav" >"$dir/out" 2>"$dir/err" || status=$?
[ "$status" -eq 1 ] || complain "a bad file among others: exit $status"
says 'bad.wav: not an audio file' err
says 'absent.wav: cannot be read: No such file' err
[ "$(wc -l <"$dir/err")" -eq 2 ] || complain "two bad files say: $(cat "$dir/err")"
[ "$(awk '{ print $2 }' "$dir/out" | sort -u)" = ami_EN2004a_first30s ] || complain "the good file is missing"
refused 1 'bad.wav: not an audio file' "$antiphon" diarize "$dir/bad.wav" -o "$dir/new"
[ -e "$dir/new/bad.rttm" ] && complain "a bad file left RTTM"

# -- misuse
refused 2 'wants AUDIO' "$antiphon" diarize
refused 2 'are both called' "$antiphon" diarize "$audio" "$audio"
refused 2 'should be voices, ahc, vbx or online' "$antiphon" diarize --clustering kmeans "$audio"
refused 2 'wants --plda' "$antiphon" diarize --clustering vbx "$audio"
refused 2 'only goes with' "$antiphon" diarize --plda x "$audio"
refused 2 'leave out --min-speakers' "$antiphon" diarize --num-speakers 2 --min-speakers 1 "$audio"
refused 2 'is more than' "$antiphon" diarize --min-speakers 3 --max-speakers 2 "$audio"
refused 2 'should be diarizen' "$antiphon" diarize --compat pyannote "$audio"
refused 2 'should be 1 to' "$antiphon" diarize --jobs 0 "$audio"
refused 2 'above 0 and at most 2' "$antiphon" diarize --threshold 3 "$audio"
refused 2 'only --speakers' "$antiphon" diarize --clustering online --num-speakers 2 "$audio"
refused 2 'did you mean --num-speakers?' "$antiphon" diarize --num-speaker 2 "$audio"
refused 2 'this format is of one recording' "$antiphon" diarize "$audio" "$dir/silence.wav" -o "$dir/x.vtt"
refused 1 'a window of 100 s' "$antiphon" diarize --window 100 "$audio"
refused 1 'xvec_transform.npz: cannot be read' "$antiphon" diarize --clustering vbx --plda "$dir" "$audio"
refused 1 'made for vectors of 256 numbers' "$antiphon" diarize --clustering vbx \
    --plda "$tests/golden/offline/scene_a/plda" "$audio"
if [ -c /dev/full ]; then
    status=0
    "$antiphon" diarize $quick "$audio" >/dev/full 2>"$dir/err" || status=$?
    [ "$status" -eq 1 ] || complain "a full disk behind stdout: exit $status"
fi
exit $bad
