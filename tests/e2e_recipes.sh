#!/bin/sh
# SPDX-License-Identifier: MIT
# e2e_recipes.sh ANTIPHON TESTS - evaluate and the recipes' scripts: tables that are right where
# one knows what is right, variants compared, and what is refused.
set -u
antiphon=$1 here=$2
. "$here/e2e_lib.sh"
recipes=$here/../prune/recipes
export ANTIPHON="$antiphon"

cat >"$dir/tiny.json" <<'JSON'
{"wavlm":{"extractor_mode":"fbank","fbank_bins":24,"fbank_half_bins":8,"encoder_embed_dim":16,
"encoder_pos_conv_kernel":0,"encoder_pos_conv_groups":4,"encoder_num_layers":1,
"encoder_use_attention":[true],"encoder_use_feed_forward":[true],"encoder_total_num_heads":[2],
"encoder_remaining_heads":[[0,1]],"encoder_ff_interm_features":[32],"encoder_num_buckets":32,
"encoder_max_distance":64,"encoder_layer_norm_first":true},
"readout":{"wavlm_layer_num":2,"wavlm_feat_dim":16,"attention_in":16,"ffn_hidden":32,"num_head":2,
"num_layer":1,"kernel_size":7,"dropout":0.1,"max_speakers_per_chunk":3,
"max_speakers_per_frame":2,"embedding_dim":8,"chunk_size":2}}
JSON
tiny_speech

# One person's recording: the oracle is right, and the table says so.
mkdir "$dir/one"
cp "$here/audio/ami_EN2004a_first30s.flac" "$dir/one/talk.flac"
printf 'SPEAKER talk 1 2 4 <NA> <NA> a <NA> <NA>\nSPEAKER talk 1 9 1 <NA> <NA> a <NA> <NA>\n' \
    >"$dir/one/talk.rttm"
printf 'talk 1 0 12\n' >"$dir/one/talk.uem"
"$antiphon" evaluate --block-ms 320,whole "$dir/one" >"$dir/out" 2>"$dir/err" ||
    complain "evaluate: $(cat "$dir/err")"
grep -q '^talk *0.00 ' "$dir/out" || complain "the oracle errs on one speaker: $(cat "$dir/out")"
grep -q '^seconds of speech *5.0$' "$dir/out" || complain "evaluate counts: $(cat "$dir/out")"
"$antiphon" evaluate --block-ms 320 --json "$dir/one" >"$dir/json" 2>"$dir/err" ||
    complain "evaluate --json: $(cat "$dir/err")"
want=$(awk '$1 == "all" { printf "%g", $3 }' "$dir/out") # as JSON writes numbers
grep -q '"der":[[:space:]]*'"$want" "$dir/json" || complain "--json says $(cat "$dir/json"), not $want"

# Frame errors are those of frames, by another program's count, on another folder's kind.
"$antiphon" simulate --speech "$dir/speech" --max-speakers 3 --minutes 0.2 -n 1 --voices 1 \
    -o "$dir/data" >/dev/null 2>&1 || complain "simulate fails"
grep -q '@' "$dir/data/rttm" && complain "--voices 1 gives other voices"
sh "$recipes/evaluate.sh" built-in "$dir/data" "$dir/one" >"$dir/out" 2>"$dir/err" ||
    complain "evaluate.sh: $(cat "$dir/err")"
[ "$(grep -c 'as `stream` tells it' "$dir/out")" -eq 2 ] || complain "evaluate.sh says: $(cat "$dir/out")"
[ "$(grep -c '^overall' "$dir/out")" -eq 2 ] || complain "evaluate.sh scores not: $(cat "$dir/out")"

# The table of results: a row a recording and one of all, as score has them.
mkdir "$dir/two"
for name in first second; do
    cp "$dir/one/talk.flac" "$dir/two/$name.flac"
    sed "s/talk/$name/" "$dir/one/talk.rttm" >"$dir/two/$name.rttm"
done
sh "$recipes/results.sh" "$here/../model/nano.safetensors" "$dir/two" >"$dir/out" 2>"$dir/err" ||
    complain "results.sh: $(cat "$dir/err")"
[ "$(wc -l <"$dir/out")" -eq 5 ] || complain "results.sh prints $(cat "$dir/out")"
awk -F'|' 'NF != 11 { exit 1 }' "$dir/out" || complain "results.sh prints $(cat "$dir/out")"
"$antiphon" stream --fast --input "$dir/one/talk.flac" --rttm "$dir/talk.rttm" >/dev/null 2>&1
want=$("$antiphon" score --ref "$dir/one/talk.rttm" --sys "$dir/talk.rttm" 2>/dev/null | awk '$1 == "overall" { print $6 }')
awk -F'|' -v want="$want" '/^. (first|second|overall)/ { n++; bad += $10 + 0 != want + 0 }
    END { exit bad || n != 3 }' "$dir/out" ||
    complain "results.sh prints $(cat "$dir/out") where score says $want"

# Variants: one that learns and one that cannot.
cat >"$dir/variants" <<'TEXT'
learns --lr 1e-3
stays --lr 0 # nothing moves
TEXT
SEEDS="1 2" MEETINGS=1 MINUTES=0.2 SIMULATE="--max-speakers 3" sh "$recipes/compare.sh" "$dir/compared" "$dir/variants" "$dir/speech" 0.01 \
    --speech "$dir/speech" --config "$dir/tiny.json" --chunk 2 --batch 4 --threads 1 \
    >"$dir/out" 2>"$dir/err" || complain "compare.sh: $(cat "$dir/err")"
[ "$(wc -l <"$dir/out")" -eq 3 ] || complain "compare.sh prints $(cat "$dir/out")"
grep -q '^variant *oracle *whole *160ms *320ms *1000ms *spread$' "$dir/out" || complain "compare.sh heads $(head -1 "$dir/out")"
awk 'NR > 1 && NF != 7 { exit 1 }' "$dir/out" || complain "compare.sh prints $(cat "$dir/out")"
steps=$(grep -c '"type":"step"' "$dir/compared/learns-1.safetensors.run/log.jsonl")
[ "$steps" -eq 5 ] || complain "0.01 h in batches of 4 x 2 s are $steps steps"

refused 2 "wants FOLDER" "$antiphon" evaluate
refused 1 "no audio" "$antiphon" evaluate "$dir/compared/learns-1.safetensors.run"
refused 2 "multiple of 20" "$antiphon" evaluate --left-ms 33 "$dir/one"
rm "$dir/one/talk.rttm"
refused 1 "talk.rttm beside it" "$antiphon" evaluate "$dir/one"
exit $bad
