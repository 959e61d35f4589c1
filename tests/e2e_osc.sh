#!/bin/sh
# SPDX-License-Identifier: MIT
# e2e_osc.sh ANTIPHON TESTS - other people's receivers: oscdump over UDP, and a headless
# Pure Data, both at once, while a file plays.
set -eu
antiphon=$1 tests=$2
command -v oscdump >/dev/null && command -v pd >/dev/null || { echo "no oscdump or pd"; exit 77; }
dir=$(mktemp -d)
dump= patch=
trap 'kill $dump $patch 2>/dev/null || true; rm -rf "$dir"' EXIT
bad=0

oscdump -L 57234 >"$dir/dump" 2>&1 &
dump=$!
pd -nogui -noaudio -nomidi -stderr -open "$tests/receive.pd" >"$dir/pd" 2>&1 &
patch=$!
for port in DF91 DF92; do # both listen: 57233 and 57234, as the system writes them
    for _ in $(seq 100); do
        grep -q ":$port " /proc/net/udp /proc/net/udp6 2>/dev/null && break
        sleep 0.1
    done
done
[ -e /proc/net/udp ] || sleep 3

"$antiphon" stream --fast --input "$tests/audio/ami_EN2004a_first30s.flac" \
    --osc 127.0.0.1:57234 --osc 127.0.0.1:57233 --jsonl "$dir/events" >/dev/null 2>"$dir/err"
sleep 1

for message in 'hello sii' 'activity i' 'speaker/new is' 'speaker/on isf' 'speaker/off isff' \
    'overlap i' 'level f' 'status fiif'; do
    grep -q "/antiphon/$message" "$dir/dump" || { echo "oscdump heard no $message"; bad=1; }
done
events=$(grep -c '"type":"activity"' "$dir/events")
heard=$(grep -c '/antiphon/activity' "$dir/dump")
[ "$events" -eq "$heard" ] || { echo "$events blocks, oscdump heard $heard"; bad=1; }
on=$(grep -c '"type":"speaker_on"' "$dir/events")
heard=$(grep -c '/antiphon/speaker/on' "$dir/dump")
[ "$on" -eq "$heard" ] || { echo "$on turns, oscdump heard $heard"; bad=1; }
# Pd prints the address as words: "osc: list antiphon activity 3 0.5 0.2"
heard=$(grep -c 'osc: list antiphon activity' "$dir/pd" || true)
[ "$events" -eq "$heard" ] || { echo "$events blocks, Pd heard $heard"; tail -5 "$dir/pd"; bad=1; }
grep -q 'osc: list antiphon status' "$dir/pd" || { echo "Pd heard no status"; bad=1; }

# At its own pace: tags 0.32 s apart and not in the future, or oscdump would hold them back.
: >"$dir/dump"
timeout -s INT 5 "$antiphon" stream --input "$tests/audio/ami_EN2004a_first30s.flac" \
    --osc osc.udp://127.0.0.1:57234/ >/dev/null 2>"$dir/err" || true
sleep 1
awk '/\/antiphon\/activity/ {print $1}' "$dir/dump" | awk -F. '
    {s = 0; f = 0
     for (i = 1; i <= 8; i++) {s = s * 16 + index("0123456789abcdef", substr($1, i, 1)) - 1
                               f = f * 16 + index("0123456789abcdef", substr($2, i, 1)) - 1}
     t = s % 100000 + f / 4294967296 # of 1900: a double holds it, a float would not
     if (NR > 2 && (t - last < 0.319 || t - last > 0.321)) wrong++
     last = t}
    END {exit NR < 12 || wrong}' || { echo "time tags are not 0.32 s apart"; head -40 "$dir/dump"; bad=1; }
exit $bad
