#!/bin/sh
# SPDX-License-Identifier: MIT
# e2e_capture.sh JACK_PLAY E2E_CAPTURE - a capture device without hardware: a JACK
# server with its dummy driver, a client that plays noise, and our source, which
# opens that client as a device by its name. Every sample must come through.
# Exit status 77 (skipped) where there is no jackd.
set -u
jack_play=$1
capture=$2

if ! command -v jackd >/dev/null; then
    echo "skipped: no jackd on this machine (Debian: jackd2)" >&2
    exit 77
fi

folder=$(mktemp -d)
export JACK_DEFAULT_SERVER="antiphon-$$"
export JACK_NO_AUDIO_RESERVATION=1
# libjack's thread outlives a server that ended; that is not ours to join.
export TSAN_OPTIONS="report_thread_leaks=0 ${TSAN_OPTIONS:-}"
server=
player=

end() {
    for pid in $player $server; do
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    rm -f /dev/shm/jack*"$JACK_DEFAULT_SERVER"* # what a server leaves whose clients live on
    server=
    player=
}
trap 'end; rm -rf "$folder"' EXIT

# Asks for a line in a file, for ten seconds.
await() {
    for _ in $(seq 100); do
        grep -q "$1" "$2" && return 0
        sleep 0.1
    done
    echo "no '$1':" >&2
    cat "$2" >&2
    return 1
}

begin() {
    # -r: no real-time rights needed; -S: a late client is waited for, not passed over.
    jackd -r -S -t 5000 -n "$JACK_DEFAULT_SERVER" -d dummy -r 48000 -p 1024 \
        >"$folder/jackd.log" 2>&1 &
    server=$!
    # The server is there when the client finds it.
    for _ in $(seq 50); do
        "$jack_play" wavsrc "$folder/noise.wav" >"$folder/play.log" 2>"$folder/play.err" &
        player=$!
        sleep 0.2
        if kill -0 "$player" 2>/dev/null; then
            await ready "$folder/play.log"
            return
        fi
    done
    echo "jackd does not start:" >&2
    cat "$folder/jackd.log" "$folder/play.err" >&2
    return 1
}

"$capture" write "$folder/noise.wav" || exit 1

# On a busy machine JACK may run late; that is fine when it is said, which is status 3.
status=3
for try in 1 2 3 4 5; do
    begin || exit 1
    timeout 60 "$capture" check "$folder/noise.wav" wavsrc 2>"$folder/noise.txt"
    status=$?
    cat "$folder/noise.txt" >&2
    if [ "$status" = 0 ] && [ -s "$folder/noise.txt" ]; then
        echo "the sound systems' noise came through" >&2
        status=1
    fi
    end
    [ "$status" = 3 ] || break
done
[ "$status" = 0 ] || exit 1

# The device goes while we listen to it.
begin || exit 1
timeout 60 "$capture" gone "$folder/noise.wav" wavsrc >"$folder/gone.log" 2>"$folder/gone.err" &
listener=$!
await capturing "$folder/gone.log" || exit 1
kill "$server"
wait "$listener"
status=$?
cat "$folder/gone.log" "$folder/gone.err"
exit "$status"
