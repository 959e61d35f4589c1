#!/bin/sh
# SPDX-License-Identifier: MIT
# expected.sh - makes der.tsv with NIST's md-eval, of Debian's package sctk.
set -eu
cd "$(dirname "$0")"
eval=/usr/lib/sctk/bin/md-eval.pl
printf 'collar\tskip_overlap\trecording\tscored\tmissed\tfalse_alarm\tconfusion\n' > der.tsv
for protocol in "0 0" "0 1" "0.25 0" "0.25 1"; do
    # shellcheck disable=SC2086 # two words
    set -- $protocol
    one=
    [ "$2" = 1 ] && one=-1
    # shellcheck disable=SC2086 # no word or one
    perl $eval -af -r ami_test.rttm -s diart_5.0s.rttm -u ami_test.uem -c "$1" $one |
        awk -v collar="$1" -v skip="$2" '
            /Performance analysis for Speaker Diarization for/ {
                sub(/.*Diarization for /, ""); sub(/c=1 /, ""); sub(/f=/, ""); name = $1 }
            /SCORED SPEAKER TIME/ { scored = $(NF - 1); sub(/.*=/, "", scored) }
            match($0, /(SCORED|MISSED|FALARM) SPEAKER TIME = *[0-9.]+|SPEAKER ERROR TIME = *[0-9.]+/) {
                part = substr($0, RSTART, RLENGTH); value = part; sub(/.*= */, "", value)
                kind = part ~ /SCORED/ ? 1 : part ~ /MISSED/ ? 2 : part ~ /FALARM/ ? 3 : 4
                v[kind] = value
                if (kind == 4)
                    printf "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", collar, skip, name, v[1], v[2], v[3], v[4]
            }' >> der.tsv
done
