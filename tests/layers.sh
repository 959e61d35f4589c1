#!/bin/sh
# SPDX-License-Identifier: MIT
# layers.sh ROOT - the include directions: model knows nobody, stream knows model,
# prune knows model and, of stream, audio files, RTTM and scoring; cli knows all.
set -eu
cd "$1"
bad=0

# forbid FOLDER PATTERN: no file of the folder may include a path that matches.
forbid() {
    [ -d "$1" ] || return 0
    if found=$(grep -rnE --include='*.[ch]' "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($2)" "$1"); then
        echo "$1/ must not include:" "$found" >&2
        bad=1
    fi
}

forbid model '(stream|prune|cli|tests)/|\.\./'
forbid stream '(prune|cli|tests)/|\.\./'
forbid prune '(cli|tests)/|stream/(engine|source|capture|device|sink|sinks|control|view|decode|track|ring|report)[./_]|\.\./'
forbid cli 'tests/|\.\./'

# Libraries do not speak or end the program: that is cli's.
if found=$(grep -nE '(^|[^a-z_])(printf|puts|perror|exit|abort)[[:space:]]*\(' model/*.c); then
    echo "model/ must not print or exit: $found" >&2
    bad=1
fi

# Every file says its licence; no file is longer than 500 lines.
for f in model/*.[ch] prune/*.[ch] stream/*.[ch] cli/*.[ch] tests/*.[ch]; do
    [ -f "$f" ] || continue
    head -n 1 "$f" | grep -q 'SPDX-License-Identifier: MIT' || { echo "$f: no licence line" >&2; bad=1; }
    [ "$(wc -l < "$f")" -le 500 ] || { echo "$f: longer than 500 lines" >&2; bad=1; }
    if grep -nE '[[:blank:]]$|	' "$f" >/dev/null; then
        echo "$f: a tab or a trailing blank" >&2
        bad=1
    fi
done
exit $bad
