# SPDX-License-Identifier: MIT
# e2e_lib.sh - for the scripts that try the commands: a folder of their own ($dir), and
# what to say when something is wrong. They end with `exit $bad`.
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0

complain() {
    echo "FAILED: $*" >&2
    bad=1
}

# refused STATUS WORDS COMMAND...: exits so, says so in one line on stderr, nothing on stdout.
refused() {
    want=$1 words=$2
    shift 2
    status=0
    "$@" >"$dir/out" 2>"$dir/err" </dev/null || status=$?
    [ "$status" -eq "$want" ] || complain "$* exits $status instead of $want: $(cat "$dir/err")"
    [ "$(wc -l <"$dir/err")" -eq 1 ] || complain "$* says: $(cat "$dir/err")"
    grep -qF -- "$words" "$dir/err" || complain "$* says \"$(cat "$dir/err")\" without \"$words\""
    [ -s "$dir/out" ] && complain "$* printed on stdout: $(head -3 "$dir/out")"
    return 0
}
