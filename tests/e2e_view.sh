#!/bin/sh
# SPDX-License-Identifier: MIT
# e2e_view.sh ANTIPHON TESTS - the live view in a real terminal, tmux: what is on the
# screen, after a resize, and that q gives the terminal back.
set -eu
antiphon=$1 tests=$2
command -v tmux >/dev/null || { echo "no tmux"; exit 77; }
dir=$(mktemp -d)
tmux="tmux -S $dir/socket -f /dev/null"
trap '$tmux kill-server 2>/dev/null || true; rm -rf "$dir"' EXIT
bad=0

shows() {
    $tmux capture-pane -p -t v >"$dir/screen"
    grep -q -- "$1" "$dir/screen" || { echo "no \"$1\" on the screen:"; cat "$dir/screen"; bad=1; }
}

$tmux -u new-session -d -s v -x 100 -y 20 "env LC_ALL=C.UTF-8 TERM=screen-256color PS1='ready> ' sh"
sleep 1
$tmux send-keys -t v "$antiphon stream --local --input $tests/audio/ami_EN2004a_first30s.flac" Enter
sleep 4
shows antiphon
shows 'speaker 1'
shows 'latency'
shows 'now'
shows 'q quits'
$tmux resize-window -t v -x 40 -y 8
sleep 1
shows 'speaker 1'
$tmux resize-window -t v -x 12 -y 3
sleep 1
$tmux resize-window -t v -x 120 -y 30
sleep 1
shows 'speaker 1'
$tmux send-keys -t v q
sleep 2
$tmux send-keys -t v 'stty -a | tr " ;" "\n\n" | grep -x -e echo -e icanon | tr "\n" " "; echo back' Enter
sleep 1
shows 'icanon echo back'
shows 'real-time factor'
# Ctrl-C
$tmux send-keys -t v "$antiphon stream --input $tests/audio/ami_EN2004a_first30s.flac; echo status \$?" Enter
sleep 2
$tmux send-keys -t v C-c
sleep 2
shows 'status 0'
exit $bad
