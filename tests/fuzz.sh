#!/bin/sh
# SPDX-License-Identifier: MIT
# fuzz.sh PROGRAM WORDS SECONDS SEEDS... - runs a fuzz target with its dictionary; what
# it finds stays in a folder that is named, the rest is thrown away.
set -eu
program=$1 words=$2 seconds=$3
shift 3
dir=$(mktemp -d)
mkdir "$dir/corpus" "$dir/found"
for seeds in "$@"; do # libFuzzer takes folders only
    shift
    if [ -f "$seeds" ]; then
        mkdir -p "$dir/seeds"
        cp "$seeds" "$dir/seeds"
        seeds=$dir/seeds
    fi
    set -- "$@" "$seeds"
done
if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -dict="$words" -print_final_stats=1 \
    -artifact_prefix="$dir/found/" "$dir/corpus" "$@" >"$dir/log" 2>&1; then
    grep -E 'number_of_executed_units|cov:' "$dir/log" | tail -n 2
    rm -rf "$dir"
    exit 0
fi
tail -n 40 "$dir/log" >&2
echo "found: $(ls "$dir/found")  in $dir/found" >&2
exit 1
