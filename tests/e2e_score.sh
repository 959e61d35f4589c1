#!/bin/sh
# SPDX-License-Identifier: MIT
# e2e_score.sh ANTIPHON TESTS - score and plot as a user meets them: tables, JSON,
# other people's formats, warnings, exit statuses, and one clear line for what is wrong.
set -eu
antiphon=$1 scoring=$2/golden/scoring
. "$2/e2e_lib.sh"
ref=$dir/ami_test.rttm sys=$dir/diart_5.0s.rttm uem=$scoring/ami_test.uem
gzip -dc "$scoring/ami_test.rttm.gz" >"$ref"
gzip -dc "$scoring/diart_5.0s.rttm.gz" >"$sys"

# score ARGS...: into out and err, must succeed.
score() {
    "$antiphon" score "$@" >"$dir/out" 2>"$dir/err" || complain "score $*: $(cat "$dir/err")"
}

# says WORDS FILE
says() {
    grep -qF -- "$1" "$dir/$2" || complain "no \"$1\" in $2: $(cat "$dir/$2")"
}

# -- the published figures, as table and as JSON
score --ref "$ref" --sys "$sys" --uem "$uem"
grep -Eq '^overall +30713.92 +9.97 +5.05 +12.44 +27.46 +40.44$' "$dir/out" ||
    complain "the overall row: $(grep overall "$dir/out")"
[ "$(grep -cE '^(EN|ES|IS|TS)' "$dir/out")" -eq 16 ] || complain "not 16 rows"
says 'collar 0 s' out
[ -s "$dir/err" ] && complain "score says: $(cat "$dir/err")"
score --ref "$ref" --sys "$sys" --uem "$uem" --collar 0.25 --json
python3 - "$dir/out" <<'PY' || complain "score --json"
import json, sys
j = json.load(open(sys.argv[1]))
keys = {"name", "scored", "missed", "false_alarm", "confusion", "der", "jer"}
assert len(j["recordings"]) == 16 and all(keys <= set(r) for r in j["recordings"])
assert keys - {"name"} <= set(j["overall"])
assert abs(j["overall"]["der"] - 21.09) < 0.005 and abs(j["overall"]["scored"] - 23629.12) < 0.005
PY

# -- several files and folders, on either side, are the same as one
mkdir "$dir/ref" "$dir/sys"
awk -v dir="$dir/ref" '{ print > (dir "/" $2 ".rttm") }' "$ref"
awk -v dir="$dir/sys" '{ print > (dir "/" $2 ".rttm") }' "$sys"
score --ref "$ref" --sys "$sys" --json
cp "$dir/out" "$dir/whole"
score --ref "$dir/ref" --sys "$dir/sys" --json
cmp -s "$dir/out" "$dir/whole" || complain "folders score otherwise than files"
grep EN "$sys" >"$dir/en.rttm"
grep -v EN "$sys" >"$dir/rest.rttm"
score --ref "$dir/ref" --sys "$dir/en.rttm" --sys "$dir/rest.rttm" --json
cmp -s "$dir/out" "$dir/whole" || complain "two files score otherwise than one"

# -- recordings on one side only
score --ref "$ref" --sys "$dir/en.rttm"
says 'only in the reference, counted as missed: ES2004a' err
grep -Eq '^ES2004a +[0-9.]+ +100.00 +0.00 +0.00 +100.00 +100.00$' "$dir/out" || complain "ES2004a"
score --ref "$dir/en.rttm" --sys "$sys"
says "only in the system's output, left out: ES2004a, ES2004b, ES2004c, ES2004d, IS1009a and 7 more" err
grep EN "$uem" >"$dir/en.uem"
score --ref "$ref" --sys "$sys" --uem "$dir/en.uem"
says 'not in the UEM, left out' err

# -- the other formats, there and back
printf '0.5\t2.25\tanna\n1\t1.5\tbert\n3\t4\tanna\n' >"$dir/r.txt"
cat >"$dir/r.rttm" <<'RTTM'
SPEAKER r 1 0.5 1.75 <NA> <NA> x <NA> <NA>
SPEAKER r 1 1 0.5 <NA> <NA> y <NA> <NA>
SPEAKER r 1 3 1 <NA> <NA> x <NA> <NA>
RTTM
printf 'WEBVTT\n\n00:00.500 --> 00:02.250\n<v a>hello\n\n00:01.000 --> 00:01.500\n<v b>ho\n\n%s\n' \
    '00:00:03.000 --> 00:00:04.000
<v a>again' >"$dir/r.vtt"
cat >"$dir/r.TextGrid" <<'GRID'
"ooTextFile"
"TextGrid"
0 5 <exists> 2
"IntervalTier" "a" 0 5 3
0.5 2.25 "hello" 2.25 3 "" 3 4 "again"
"IntervalTier" "b" 0 5 1
1 1.5 "ho"
GRID
for f in r.txt r.vtt r.TextGrid; do
    score --ref "$dir/r.rttm" --sys "$dir/$f"
    grep -Eq '^overall +3.25 +0.00 +0.00 +0.00 +0.00 +0.00$' "$dir/out" || complain "$f: $(cat "$dir/out")"
done

# -- what is wrong
printf 'SPEAKER r 1 0 1 <NA> <NA> A <NA> <NA>\nSPEAKER r 1 x 1 <NA> <NA> A <NA> <NA>\n' >"$dir/b.rttm"
printf 'r 1 5 1\n' >"$dir/b.uem"
mkdir "$dir/none"
refused 1 "b.rttm: line 2: start \"x\" is not a number" "$antiphon" score --ref "$dir/b.rttm" --sys "$sys"
refused 1 "b.rttm: line 2" "$antiphon" score --ref "$ref" --sys "$dir/b.rttm"
refused 1 'b.uem: line 1: ends at 1 s' "$antiphon" score --ref "$ref" --sys "$sys" --uem "$dir/b.uem"
refused 1 'No such file' "$antiphon" score --ref "$dir/absent" --sys "$sys"
refused 1 'no .rttm file in this folder' "$antiphon" score --ref "$dir/none" --sys "$sys"
refused 1 'no turn in the reference' "$antiphon" score --ref /dev/null --sys "$sys"
refused 2 'wants --ref FILE and --sys FILE' "$antiphon" score --ref "$ref"
refused 2 'should be 0 to 60' "$antiphon" score --ref "$ref" --sys "$sys" --collar -1
refused 2 'unexpected argument' "$antiphon" score "$ref" "$sys"
refused 2 'did you mean --skip-overlap?' "$antiphon" score --skip-overlaps
if [ -c /dev/full ]; then
    status=0
    "$antiphon" score --ref "$ref" --sys "$sys" >/dev/full 2>"$dir/err" || status=$?
    [ "$status" -eq 1 ] || complain "a full disk behind stdout: exit $status"
fi

# -- plot
"$antiphon" plot "$ref" "$sys" --recording EN2002a -o "$dir/a.svg" || complain "plot of two"
"$antiphon" plot "$dir/r.TextGrid" -o - >"$dir/b.svg" || complain "plot of one"
"$antiphon" plot "$dir/r.rttm" "$dir/r.vtt" -o "$dir/c.svg" || complain "plot of two formats"
for f in a b c; do
    python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$dir/$f.svg" ||
        complain "$f.svg is no XML"
done
refused 2 'wants -o' "$antiphon" plot "$ref"
refused 2 'wants IN' "$antiphon" plot -o "$dir/x.svg"
refused 2 'should be after --from' "$antiphon" plot "$ref" -o "$dir/x.svg" --from 5 --to 4
refused 1 'say which with --recording' "$antiphon" plot "$ref" "$sys" -o "$dir/x.svg"
refused 1 'is not in the first file' "$antiphon" plot "$ref" --recording no -o "$dir/x.svg"
refused 1 'is not in the second file' "$antiphon" plot "$dir/r.rttm" "$sys" -o "$dir/x.svg"
refused 1 'line 2' "$antiphon" plot "$dir/b.rttm" -o "$dir/x.svg"
[ -e "$dir/x.svg" ] && complain "a refused plot left a file"
exit $bad
