#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh - installs, builds and runs all tests: with gcc, with clang, under the address
# and undefined-behaviour sanitizers, what has threads under the thread
# sanitizer, and the fuzz targets for seconds.
# Ends with the line "N passed, N failed".
set -eu
cd "$(dirname "$0")/.."
sh cli/packages.sh tests

passed=0
failed=0

# suite FOLDER COMPILER TESTS [MESON-OPTION...]: builds a folder and runs its tests.
suite() {
    folder=$1 compiler=$2 tests=$3
    shift 3
    echo "== $folder"
    again= # a folder that quickstart made has no tests yet
    [ -f "$folder/build.ninja" ] && again=--reconfigure
    # shellcheck disable=SC2086 # may be no word at all
    if ! CC=$compiler meson setup $again "$folder" -Dtests=enabled "$@"; then
        failed=$((failed + 1))
        return 0
    fi
    if ! ninja -C "$folder"; then
        failed=$((failed + 1))
        return 0
    fi
    status=0
    rm -f "$folder/meson-logs/testlog.txt"
    # shellcheck disable=SC2086 # names are words
    meson test -C "$folder" --no-rebuild --print-errorlogs --num-processes 2 $tests || status=$?
    log=$folder/meson-logs/testlog.txt
    ok=$(awk '/^Ok:/ {n = $2} END {print n + 0}' "$log")
    bad=$(awk '/^(Fail|Unexpected Pass|Timeout):/ {n += $NF} END {print n + 0}' "$log")
    [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
    [ $((ok + bad)) -eq 0 ] && bad=1
    passed=$((passed + ok))
    failed=$((failed + bad))
}

suite build gcc ""
suite build-clang clang ""
suite build-asan gcc "" -Db_sanitize=address,undefined -Db_lundef=false --buildtype=debugoptimized
suite build-tsan gcc "ring source sinks osc control capture engine hear reader speech_bank simulate \
    trainer" -Db_sanitize=thread -Db_lundef=false --buildtype=debugoptimized
suite build-fuzz clang "fuzz_config fuzz_hf fuzz_lists fuzz_npy fuzz_osc fuzz_pickle fuzz_rttm \
    fuzz_safetensors fuzz_speakers fuzz_toml fuzz_torch" -Dfuzz=true --buildtype=debugoptimized

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
