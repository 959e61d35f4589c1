#!/bin/sh
# SPDX-License-Identifier: MIT
# e2e_grow.sh ANTIPHON TESTS - a grown model says what it said, and learns with what was added;
# what cannot be grown is refused.
set -u
antiphon=$1 here=$2
. "$here/e2e_lib.sh"

# Half of the tiny shape's heads and a few of its inner units, as pruning may leave them.
tiny_shape 4
sed -i 's/\[\[0,1,2,3\],\[0,1,2,3\]\]/[[1,3],[2]]/; s/\[32,24\]/[3,24]/' "$dir/tiny.json"
tiny_speech
train() {
    "$antiphon" finetune --speech "$dir/speech" --chunk 2 --batch 2 --threads 1 --steps 2 --warmup 0 \
        --validate-every 100 --average 1 --affinity 1 "$@" 2>"$dir/err" || complain "finetune: $(cat "$dir/err")"
}
train --config "$dir/tiny.json" -o "$dir/m.safetensors"
"$antiphon" grow -m "$dir/m.safetensors" --heads 3 --feed-forward 16 --conformer-layers 2 \
    -o "$dir/g.safetensors" >"$dir/out" 2>"$dir/err" || complain "grow: $(cat "$dir/err")"
[ -s "$dir/out" ] && complain "grow says on stdout: $(cat "$dir/out")"
grep -q 'g.safetensors: 0\.[0-9]* M parameters (0\.[0-9]* M before), .* MACs per second' "$dir/err" ||
    complain "grow says $(cat "$dir/err")"

"$antiphon" info "$dir/g.safetensors" >"$dir/info" || complain "info of a grown model"
for line in ' 0  *3/4  *##\.#  *16 ' ' 1  *3/4  *###\.  *24 ' 'conformer of 2 layers' '; grown'; do
    grep -q "$line" "$dir/info" || complain "info lacks '$line': $(cat "$dir/info")"
done

mkdir "$dir/real"
cp "$here/audio/ami_EN2004a_first30s.flac" "$here/audio/ami_EN2004a_first30s.rttm" "$dir/real"
for m in m g; do
    "$antiphon" evaluate -m "$dir/$m.safetensors" "$dir/real" >"$dir/$m.errors" 2>"$dir/err" ||
        complain "evaluate: $(cat "$dir/err")"
done
cmp -s "$dir/m.errors" "$dir/g.errors" || complain "grown, it errs otherwise: $(diff "$dir/m.errors" "$dir/g.errors")"

train -m "$dir/g.safetensors" -o "$dir/t.safetensors"
"$antiphon" info "$dir/t.safetensors" 2>&1 | grep -q 'conformer of 2 layers' || complain "training lost what was added"

# grow_refused STATUS WORDS OPTION...
grow_refused() {
    status=$1 words=$2
    shift 2
    refused "$status" "$words" "$antiphon" grow "$@"
    [ -e "$dir/x.safetensors" ] && complain "grow $* left an output"
    return 0
}
x=$dir/x.safetensors
grow_refused 2 'where to?' --heads 4
grow_refused 2 'by what?' -o "$x"
grow_refused 2 'feed-forward 100000: expected 0 to 65536' --feed-forward 100000 -o "$x"
grow_refused 1 'm.safetensors: --heads 5: layer 0 had 4' -m "$dir/m.safetensors" --heads 5 -o "$x"
grow_refused 1 'nothing to add' -m "$dir/m.safetensors" --conformer-layers 1 -o "$x"
grow_refused 1 'No such file' -m "$dir/none.safetensors" --heads 4 -o "$x"
head -c 3000 "$dir/m.safetensors" >"$dir/cut.safetensors"
grow_refused 1 'cut.safetensors' -m "$dir/cut.safetensors" --heads 4 -o "$x"
exit $bad
