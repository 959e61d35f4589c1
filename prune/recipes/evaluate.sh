#!/bin/sh
# SPDX-License-Identifier: MIT
# evaluate.sh MODEL FOLDER... - how good a model is on meetings with a reference: frame errors
# of the network offline and at blocks of 160, 320 and 1000 ms, beside the oracle that takes all
# speech for one person's (`antiphon evaluate`); then what a listener gets, `antiphon stream` at
# its defaults against the reference (`antiphon score`). A folder is Kaldi's (wav.scp, rttm,
# all.uem) or holds audio with NAME.rttm and NAME.uem beside it.
#
#   ANTIPHON=build/cli/antiphon sh prune/recipes/evaluate.sh mine.safetensors held-out/ real/
set -eu
antiphon=${ANTIPHON:-antiphon}
[ $# -ge 2 ] || { echo "usage: evaluate.sh MODEL FOLDER..." >&2; exit 2; }
model=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$antiphon" evaluate -m "$model" "$@"

for folder in "$@"; do
    rm -rf "$work/sys" "$work/ref.rttm" "$work/ref.uem"
    mkdir "$work/sys"
    if [ -f "$folder/wav.scp" ]; then
        cp "$folder/rttm" "$work/ref.rttm"
        [ ! -f "$folder/all.uem" ] || cp "$folder/all.uem" "$work/ref.uem"
        cat "$folder/wav.scp" >"$work/list"
    else # the reference names recordings as it likes: as their files are named, here
        find -L "$folder" -name '*.rttm' | sort | while read -r rttm; do
            stem=${rttm%.rttm} name=$(basename "$rttm" .rttm)
            awk -v n="$name" '$1 == "SPEAKER" { $2 = n; print }' "$rttm" >>"$work/ref.rttm"
            [ ! -f "$stem.uem" ] || awk -v n="$name" 'NF { $1 = n; print }' "$stem.uem" \
                >>"$work/ref.uem"
            for audio in "$stem".*; do
                case $audio in *.rttm | *.uem) ;; *) echo "$name $audio" ;; esac
            done | head -1
        done >"$work/list"
    fi
    while read -r name audio; do
        case $audio in /*) ;; *) [ -f "$audio" ] || audio=$folder/$audio ;; esac
        "$antiphon" stream --model "$model" --input "$audio" --fast --rttm "$work/one.rttm" \
            >/dev/null 2>"$work/talk" </dev/null || { cat "$work/talk" >&2; exit 1; }
        awk -v n="$name" '$1 == "SPEAKER" { $2 = n; print }' "$work/one.rttm" >"$work/sys/$name.rttm"
        rm -f "$work/one.rttm"
    done <"$work/list"
    uem=
    [ ! -f "$work/ref.uem" ] || uem="--uem $work/ref.uem"
    echo "$folder, as \`stream\` tells it, scored by time:"
    # $uem is two words or none.
    "$antiphon" score --ref "$work/ref.rttm" --sys "$work/sys" $uem
    echo
done
