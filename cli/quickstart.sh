#!/bin/sh
# SPDX-License-Identifier: MIT
# quickstart.sh - from a fresh machine to watching who is speaking: installs what is
# missing, builds, and listens to the microphone; without one, plays a recording.
set -eu
cd "$(dirname "$0")/.."

sh cli/packages.sh
if [ ! -f build/build.ninja ]; then
    echo "building antiphon (a minute) ..." >&2
    log=$(mktemp)
    if ! meson setup build >"$log" 2>&1; then
        cat "$log" >&2
        exit 1
    fi
    rm -f "$log"
fi
ninja -C build cli/antiphon >&2

antiphon=build/cli/antiphon
if $antiphon devices --json | grep '"index"' >/dev/null; then
    echo "Listening to the microphone; q or Ctrl-C ends." >&2
    exec $antiphon stream "$@"
fi
echo "No microphone here: playing a bundled recording, 30 s of a meeting of four (AMI EN2004a)." >&2
exec $antiphon stream --input tests/audio/ami_EN2004a_first30s.flac "$@"
