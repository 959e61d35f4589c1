#!/bin/sh
# SPDX-License-Identifier: MIT
# e2e_simulate.sh ANTIPHON TESTS - a data folder from recordings of single speakers: the same
# from the same seed, statistics, what score reads, and everything that is refused.
set -u
antiphon=$1 here=$2
. "$here/e2e_lib.sh"

# Any recording will do for speech: three people who say the same.
for speaker in ann ben cleo; do
    mkdir -p "$dir/speech/deep/$speaker"
    cp "$here/audio/ami_EN2004a_first30s.flac" "$dir/speech/deep/$speaker/1.flac"
done
mkdir "$dir/noise" "$dir/empty"
cp "$here/audio/ami_EN2004a_first30s.flac" "$dir/noise/n.flac"

simulate() {
    "$antiphon" simulate --speech "$dir/speech" --max-speakers 3 --minutes 0.5 "$@"
}

simulate -o "$dir/a" -n 3 --seed 5 --noise "$dir/noise" >"$dir/stats" 2>"$dir/talk" ||
    complain "simulate fails: $(cat "$dir/talk")"
for file in wav.scp rttm all.uem audio/meeting_0001.flac audio/meeting_0003.flac; do
    [ -s "$dir/a/$file" ] || complain "$file is missing or empty"
done
[ "$(wc -l <"$dir/a/wav.scp")" -eq 3 ] || complain "wav.scp has not three lines"
[ "$(cat "$dir/a/all.uem" | wc -l)" -eq 3 ] || complain "all.uem has not three lines"
grep -q "^meeting_0002 $dir/a/audio/meeting_0002.flac$" "$dir/a/wav.scp" ||
    complain "wav.scp says: $(cat "$dir/a/wav.scp")"
grep -q '^SPEAKER meeting_0001 1 [0-9.]* [0-9.]* <NA> <NA> [0-2]-[a-z]*' "$dir/a/rttm" ||
    complain "rttm says: $(head -2 "$dir/a/rttm")"
for words in 'overlap, % of the speech' 'silence, %' 'turn length, median' 'AMI'; do
    grep -q "$words" "$dir/stats" || complain "no \"$words\" in the statistics"
done
grep -q '3 speakers' "$dir/talk" || complain "stderr says: $(cat "$dir/talk")"
ls "$dir" | grep -q partial && complain "something partial was left behind"

# The same seed, another number of threads: the same bits. Another seed: others.
simulate -o "$dir/b" -n 3 --seed 5 --noise "$dir/noise" --threads 1 >/dev/null 2>&1 ||
    complain "simulate fails"
diff -r "$dir/a/audio" "$dir/b/audio" >&2 || complain "the same seed gives other audio"
cmp "$dir/a/rttm" "$dir/b/rttm" || complain "the same seed gives other turns"
simulate -o "$dir/c" -n 1 --seed 6 --format wav >/dev/null 2>&1 || complain "simulate fails"
[ -s "$dir/c/audio/meeting_0001.wav" ] || complain "no WAV"
cmp -s "$dir/a/rttm" "$dir/c/rttm" && complain "another seed gives the same turns"

# Another manner from turn to turn: other audio.
simulate -o "$dir/f" -n 1 --seed 5 --noise "$dir/noise" --manner 7 >/dev/null 2>&1 || complain "simulate fails"
cmp -s "$dir/a/audio/meeting_0001.flac" "$dir/f/audio/meeting_0001.flac" && complain "--manner changes nothing"

# What it writes, score reads: the reference against itself.
"$antiphon" score --ref "$dir/a/rttm" --sys "$dir/a/rttm" --uem "$dir/a/all.uem" >"$dir/out" 2>&1 ||
    complain "score fails: $(cat "$dir/out")"
grep -q '^overall .* 0.00 *0.00$' "$dir/out" || complain "score says: $(tail -3 "$dir/out")"

# No overlap is none.
simulate -o "$dir/d" -n 3 --min-speakers 3 --overlap 0 >"$dir/stats" 2>&1 || complain "simulate fails"
grep -q 'overlap, % of the speech *0\.[0-4] ' "$dir/stats" ||
    complain "overlap 0 gives: $(grep overlap "$dir/stats")"

# An hour and more of turns can be fitted to; half a minute cannot.
simulate -o "$dir/e" -n 2 --minutes 20 --min-speakers 3 --format wav >/dev/null 2>&1 ||
    complain "simulate fails"
"$antiphon" simulate --like "$dir/e/rttm" --uem "$dir/e/all.uem" --fit >"$dir/out" 2>"$dir/err" ||
    complain "--fit fails: $(cat "$dir/err")"
grep -q '^p_same 0\.[0-9]* ' "$dir/out" || complain "--fit says: $(cat "$dir/out")"
refused 1 'are needed to fit turn-taking' \
    "$antiphon" simulate --like "$here/audio/ami_EN2004a_first30s.rttm" --fit

refused 2 'wants --speech DIR and -o DIR' "$antiphon" simulate
refused 2 '--min-speakers 3, --max-speakers 2' simulate -o "$dir/x" --min-speakers 3 --max-speakers 2
refused 2 '--overlap 70' simulate -o "$dir/x" --overlap 70
refused 2 '--colour 30' simulate -o "$dir/x" --colour 30
refused 2 '--blows 61' simulate -o "$dir/x" --blows 61
refused 2 '--manner 30' simulate -o "$dir/x" --manner 30
refused 2 '--uem goes with --like' simulate -o "$dir/x" --uem "$dir/a/all.uem"
refused 2 'format "ogg"' simulate -o "$dir/x" --format ogg
refused 2 '0 meetings' simulate -o "$dir/x" -n 0
refused 2 'meetings of -1 minutes' "$antiphon" simulate --speech "$dir/speech" -o "$dir/x" --minutes -1
refused 1 'exists already' simulate -o "$dir/a"
refused 1 'no audio in this folder' "$antiphon" simulate --speech "$dir/empty" -o "$dir/x"
refused 1 'nowhere: cannot be read' "$antiphon" simulate --speech "$dir/nowhere" -o "$dir/x"
[ -e "$dir/x" ] && complain "a refused run left a folder"

# Where it cannot be written nothing is left: said after the bank was read, so two lines.
simulate -o "$dir/none/x" -n 1 >/dev/null 2>"$dir/err" && complain "wrote where there is no folder"
grep -q 'cannot be made' "$dir/err" || complain "says: $(cat "$dir/err")"
"$antiphon" simulate --speech "$dir/speech" -o "$dir/x" --max-speakers 9 >/dev/null 2>"$dir/err" &&
    complain "nine speakers of three"
grep -q 'the speech is of 3' "$dir/err" || complain "says: $(cat "$dir/err")"
exit $bad
