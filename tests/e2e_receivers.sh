#!/bin/sh
# SPDX-License-Identifier: MIT
# e2e_receivers.sh OSC_SEND_REPORTS ANTIPHON TESTS - receivers that other people wrote hear
# what we say, value by value: liblo's oscdump over UDP and TCP, Pure Data without a
# window; and the whole program obeys liblo's oscsend. Exit status 77 (skipped) where
# none of them is.
set -u
send=$1
antiphon=$2
here=$3

if ! command -v oscdump >/dev/null && ! command -v pd >/dev/null; then
    echo "skipped: neither oscdump nor pd here (Debian: liblo-tools, puredata-core)" >&2
    exit 77
fi

folder=$(mktemp -d)
receiver=
program=

end() {
    for pid in $receiver $program; do
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    receiver=
    program=
}
trap 'end; rm -rf "$folder"' EXIT

# A port that nobody has now, counted up from one that depends on the process.
next_port=$((20000 + $$ % 20000))
free_port() {
    while
        next_port=$((next_port + 1))
        grep -qi ":$(printf %04X "$next_port") " /proc/net/udp /proc/net/tcp /proc/net/udp6 \
            /proc/net/tcp6 2>/dev/null
    do
        :
    done
    echo "$next_port"
}

# await_port PORT udp|tcp: until somebody listens there, for ten seconds.
await_port() {
    for _ in $(seq 100); do
        grep -qi ":$(printf %04X "$1") " "/proc/net/$2" "/proc/net/${2}6" && return 0
        sleep 0.1
    done
    echo "nobody listens on $2 port $1" >&2
    return 1
}

# expect FILE PATTERN...: each pattern stands in a line, for ten seconds.
expect() {
    file=$1
    shift
    for pattern; do
        for _ in $(seq 100); do
            grep -qE -- "$pattern" "$file" && continue 2
            sleep 0.1
        done
        echo "no '$pattern' in:" >&2
        cat "$file" >&2
        return 1
    done
}

# The conversation of osc_send_reports, as oscdump and as Pure Data print it.
dumped='/antiphon/hello sii "[0-9.]+" 16000 320
/antiphon/speaker/new is 1 "speaker 1"
/antiphon/speaker/on isf 1 "speaker 1" 0.75
/antiphon/speaker/off isff 1 "Ada" 0.75[0]* 2.5
/antiphon/speaker/merge ii 2 3
/antiphon/activity i 1$
/antiphon/activity iff 9 0.75[0]* 0.125
/antiphon/overlap i 1
/antiphon/level f -20.5
/antiphon/status fiif 3.2[0-9]* 320 1 0.25'
printed='osc: list antiphon hello [0-9.]+ 16000 320
antiphon speaker new 1 speaker.* 1$
antiphon speaker on 1 speaker.* 1 0.75
antiphon speaker off 1 Ada 0.75 2.5
antiphon speaker merge 2 3
antiphon activity 9 0.75 0.125
antiphon overlap 1
antiphon level -20.5
antiphon status 3.2 320 1 0.25'

# check_all FILE PATTERNS, one a line.
check_all() {
    file=$1
    old_ifs=$IFS
    IFS='
'
    set -f
    # shellcheck disable=SC2086 # a word is a line
    set -- $2
    set +f
    IFS=$old_ifs
    expect "$file" "$@"
}

try_oscdump() {
    port=$(free_port)
    next_port=$port
    oscdump -L "osc.$1://:$port/" >"$folder/$1.log" 2>&1 &
    receiver=$!
    await_port "$port" "$1" && "$send" "osc.$1://127.0.0.1:$port/" &&
        check_all "$folder/$1.log" "$dumped" || return 1
    [ "$(grep -c /antiphon/activity "$folder/$1.log")" -eq 10 ] || return 1
    end
    echo "oscdump over $1: heard all"
}

try_pd() {
    port=$(free_port)
    next_port=$port
    pd -nogui -noaudio -nomidi -stderr -send "listen $port" "$here/receive.pd" \
        >"$folder/pd.log" 2>&1 &
    receiver=$!
    await_port "$port" udp && "$send" "127.0.0.1:$port" &&
        check_all "$folder/pd.log" "$printed" || return 1
    end
    echo "Pure Data: heard all"
}

# The program plays a recording at its own pace; we name a speaker, ping and reset.
try_control() {
    port=$(free_port)
    control=$((port + 1))
    next_port=$control
    oscdump -L "osc.udp://:$port/" >"$folder/stream.log" 2>&1 &
    receiver=$!
    await_port "$port" udp || return 1
    "$antiphon" stream --local \
        --input "$here/audio/ami_EN2004a_first30s.flac" --osc "127.0.0.1:$port" \
        --osc-port "$control" --jsonl "$folder/stream.jsonl" >"$folder/out.log" 2>&1 &
    program=$!
    await_port "$control" udp && expect "$folder/stream.log" '/antiphon/speaker/on' || return 1
    oscsend localhost "$control" /antiphon/name is 1 'Ada L'
    oscsend localhost "$control" /antiphon/ping
    oscsend localhost "$control" /antiphon/nonsense i 1
    expect "$folder/stream.log" '/antiphon/speaker/o.* is[f]* 1 "Ada L"' || return 1
    oscsend localhost "$control" /antiphon/reset
    for _ in $(seq 150); do # speaker 1 is new again
        [ "$(grep -c '/antiphon/speaker/new is 1 ' "$folder/stream.log")" -eq 2 ] && break
        sleep 0.1
    done
    kill -INT "$program"
    wait "$program" || { cat "$folder/out.log" >&2; return 1; }
    program=
    grep -q '1 OSC messages ignored' "$folder/out.log" || { cat "$folder/out.log" >&2; return 1; }
    [ "$(grep -c /antiphon/hello "$folder/stream.log")" -eq 2 ] || return 1
    tail -n 1 "$folder/stream.jsonl" | grep -q '"type":"end"' || return 1 # whole, after Ctrl-C
    if [ "$(grep -c '"speaker_new","speaker":1,' "$folder/stream.jsonl")" -ne 2 ]; then
        echo "after a reset, speaker 1 was not new again" >&2
        return 1
    fi
    end
    echo "oscsend: obeyed"
}

failed=0
if command -v oscdump >/dev/null; then
    try_oscdump udp || failed=1
    end
    try_oscdump tcp || failed=1
    end
    try_control || failed=1
    end
fi
if command -v pd >/dev/null; then
    try_pd || failed=1
fi
exit $failed
