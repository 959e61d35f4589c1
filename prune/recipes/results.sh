#!/bin/sh
# SPDX-License-Identifier: MIT
# results.sh MODEL FOLDER - the table of diarization errors in the README: for each recording of a
# folder (NAME.rttm, and NAME.uem if there is one, beside NAME.flac or the like) what `diarize` makes
# of it and what `stream` says of it live, both at their defaults, as `score` counts: no collar,
# overlap scored. Prints Markdown.
#
#   ANTIPHON=build/cli/antiphon sh prune/recipes/results.sh mine.safetensors recordings/
set -eu
antiphon=${ANTIPHON:-antiphon}
[ $# -eq 2 ] || { echo "usage: results.sh MODEL FOLDER" >&2; exit 2; }
model=$1 folder=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/offline" "$work/live"

find -L "$folder" -name '*.rttm' | sort >"$work/list"
while read -r rttm; do
    stem=${rttm%.rttm} name=$(basename "$rttm" .rttm) audio=
    for file in "$stem".*; do
        case $file in *.rttm | *.uem) ;; *) audio=$file ;; esac
    done
    [ -n "$audio" ] || { echo "results.sh: $stem: no audio beside the turns" >&2; exit 1; }
    awk -v n="$name" '$1 == "SPEAKER" { $2 = n; print }' "$rttm" >>"$work/ref.rttm"
    [ ! -f "$stem.uem" ] || awk -v n="$name" 'NF { $1 = n; print }' "$stem.uem" >>"$work/ref.uem"
    "$antiphon" diarize -m "$model" "$audio" -o "$work/one.rttm" </dev/null 2>"$work/talk" ||
        { cat "$work/talk" >&2; exit 1; }
    awk -v n="$name" '$1 == "SPEAKER" { $2 = n; print }' "$work/one.rttm" >"$work/offline/$name.rttm"
    "$antiphon" stream -m "$model" --input "$audio" --fast --rttm "$work/two.rttm" </dev/null \
        >/dev/null 2>"$work/talk" || { cat "$work/talk" >&2; exit 1; }
    awk -v n="$name" '$1 == "SPEAKER" { $2 = n; print }' "$work/two.rttm" >"$work/live/$name.rttm"
    rm -f "$work/one.rttm" "$work/two.rttm"
done <"$work/list"

uem=
[ ! -f "$work/ref.uem" ] || uem="--uem $work/ref.uem"
for how in offline live; do # $uem is two words or none
    "$antiphon" score --ref "$work/ref.rttm" --sys "$work/$how" $uem >"$work/$how.txt"
done
echo "| recording | \`diarize\`: missed | false alarm | confused | DER | \`stream\`: missed | false alarm | confused | DER |"
echo "|---|---|---|---|---|---|---|---|---|"
awk 'FNR == NR { if (NF >= 6 && $2 + 0 == $2) offline[$1] = $3 " | " $4 " | " $5 " | " $6; next }
     $1 in offline { print "| " $1 " | " offline[$1] " | " $3 " | " $4 " | " $5 " | " $6 " |" }' \
    "$work/offline.txt" "$work/live.txt"
