#!/bin/sh
# SPDX-License-Identifier: MIT
# e2e_cli.sh ANTIPHON FRAME_ERROR TESTS - the commands as a user meets them: results,
# exit statuses, and one clear line for everything that is wrong.
set -eu
antiphon=$1 frame_error=$2 tests=$3
audio=$tests/audio/ami_EN2004a_first30s.flac
golden=$tests/golden
. "$tests/e2e_lib.sh"

# -- misuse
refused 2 'did you mean stream?' "$antiphon" strem
refused 2 'unknown option' "$antiphon" stream --bloc 320
refused 2 'multiple of 20 ms' "$antiphon" stream --block 330
refused 2 'multiple of 20 ms' "$antiphon" stream --block 0
refused 2 'one or the other' "$antiphon" stream --device x --input y
refused 2 'stdout can only be one' "$antiphon" stream --rttm - --jsonl -
refused 2 'probability' "$antiphon" stream --onset 1.5
refused 2 '--steady -1: 0 to 60' "$antiphon" stream --steady -1
refused 2 '--steady nan: 0 to 60' "$antiphon" stream --steady nan
refused 2 'at most the onset' "$antiphon" stream --onset 0.4 --offset 0.6
refused 2 'MODEL|ARCH' "$antiphon" info
refused 2 'where to?' "$antiphon" convert x
refused 2 'unexpected argument' "$antiphon" devices x
refused 2 'only formats' "$antiphon" convert x --to onnx -o y
refused 2 'f32, f16 or bf16' "$antiphon" convert x --dtype f8 -o y
[ "$("$antiphon" --version | cut -d' ' -f1)" = antiphon ] || complain "--version"
for command in stream enroll devices score plot info convert features bench; do
    "$antiphon" help $command | grep "antiphon $command" >/dev/null || complain "help $command"
done

# -- models
printf 'not a model at all' >"$dir/foreign"
: >"$dir/empty"
head -c 3000 "$golden/wavlm_pruned_tiny/model.pt" >"$dir/cut.pt"
head -c 30000 "$golden/wavlm_pruned_large_tiny/model.safetensors" >"$dir/cut.safetensors"
refused 1 'is no model file' "$antiphon" info "$dir/foreign"
refused 1 'is empty' "$antiphon" info "$dir/empty"
refused 1 'No such file' "$antiphon" info "$dir/absent"
refused 1 'is not a whole zip' "$antiphon" info "$dir/cut.pt"
refused 1 'conv_layers.3.conv.weight' "$antiphon" info "$dir/cut.safetensors"
refused 1 'is a folder' "$antiphon" info "$dir"
refused 1 'no config' "$antiphon" info "$golden/wavlm_pruned_large_tiny/model.safetensors"
refused 1 'config: "extractor_mode"' "$antiphon" info "$golden/pickle/edge_legacy_nonzip.pt"
refused 1 'config: "extractor_mode" is missing' "$antiphon" convert "$golden/pickle/edge.pt" -o "$dir/x"
[ -e "$dir/x" ] && complain "convert left a file behind"
refused 1 'without a readout' "$antiphon" stream --fast --input "$audio" \
    --model "$golden/wavlm_pruned_tiny/model.pt" --rttm "$dir/none.rttm"
[ -e "$dir/none.rttm" ] && complain "a refused stream left a file behind"
refused 1 'unknown architecture' "$antiphon" bench --arch huge

# -- audio
printf 'RIFFxxxxWAVE' >"$dir/short.wav"
refused 1 'No such file' "$antiphon" stream --fast --input "$dir/absent.wav" --rttm -
refused 1 "$dir/foreign" "$antiphon" stream --fast --input "$dir/foreign" --rttm -
refused 1 "$dir/short.wav" "$antiphon" stream --fast --input "$dir/short.wav" --rttm -
printf '\1\0\1\0\1\0' >"$dir/tiny.raw"
status=0
"$antiphon" stream --input - --jsonl - <"$dir/tiny.raw" >"$dir/out" 2>"$dir/err" || status=$?
[ "$status" -eq 1 ] && grep -q 'too short' "$dir/err" || complain "three samples: $(cat "$dir/err")"
refused 1 "$dir/foreign" "$antiphon" features built-in "$dir/foreign" -o "$dir/f"
refused 1 'no channel 3' "$antiphon" stream --fast --input "$audio" --channel 3 --rttm -
refused 1 's99be' "$antiphon" stream --input - --format s99be --rttm -
refused 1 'no capture device' "$antiphon" stream --device no-such-device --rttm -

# -- outputs
refused 1 'cannot write' "$antiphon" stream --fast --input "$audio" --rttm /nonexistent/x.rttm
refused 1 '/nonexistent/x: cannot be made' "$antiphon" features built-in "$audio" -o /nonexistent/x
refused 1 'expected a host and a port' "$antiphon" stream --fast --input "$audio" --osc nowhere --rttm -
status=0
"$antiphon" stream --fast --input "$audio" --rttm /dev/full 2>"$dir/err" >"$dir/out" || status=$?
[ "$status" -eq 1 ] && grep -q 'No space left' "$dir/err" || complain "a full disk: $(cat "$dir/err")"
status=0
"$antiphon" info built-in 2>"$dir/err" >/dev/full || status=$?
[ "$status" -eq 1 ] || complain "stdout on a full disk exits $status"

# -- a model's own left context: info says it, features take it
left=$golden/wavlm_pruned_tiny/model.pt
"$antiphon" convert "$left" --left 640 -o "$dir/left.safetensors" 2>/dev/null
"$antiphon" info "$dir/left.safetensors" --json | grep -q '"left_ms":.640,' || complain "info does not know --left"
"$antiphon" info "$left" --json | grep -q '"left_ms":.8000,' || complain "a left context that nobody set"
"$antiphon" features "$dir/left.safetensors" "$audio" --block 320 -o "$dir/a"
"$antiphon" features "$left" "$audio" --block 320 --left 640 -o "$dir/b"
cmp "$dir/a" "$dir/b" || complain "features do not take the model's left context"
"$antiphon" features "$left" "$audio" --block 320 -o "$dir/b"
cmp -s "$dir/a" "$dir/b" && complain "a left context changes nothing"
# -- and its own horizon
"$antiphon" info "$left" | grep -q 'live of the last 60 s' || complain "a horizon that nobody set"
"$antiphon" convert "$left" --horizon 1 -o "$dir/short.safetensors" 2>/dev/null
"$antiphon" info "$dir/short.safetensors" --json | grep -q '"horizon_seconds":.1,' || complain "info does not know --horizon"
"$antiphon" features "$dir/short.safetensors" "$audio" --block 320 -o "$dir/a"
"$antiphon" features "$left" "$audio" --block 320 --horizon 1 -o "$dir/c"
cmp "$dir/a" "$dir/c" || complain "features do not take the model's horizon"
cmp -s "$dir/a" "$dir/b" && complain "a horizon changes nothing"
refused 2 '--horizon -1' "$antiphon" convert "$left" --horizon -1 -o "$dir/x"
refused 2 'go with --to antiphon' "$antiphon" convert "$left" --horizon 5 --to torch -o "$dir/x"
refused 2 'multiple of 20 ms' "$antiphon" convert "$left" --left 30 -o "$dir/x"
refused 2 'go with --to antiphon' "$antiphon" convert "$left" --left 640 --to torch -o "$dir/x"
refused 2 'go with --to antiphon' "$antiphon" convert "$left" --chunk 20 --to torch -o "$dir/x"
refused 2 'expected 1 to 60' "$antiphon" convert "$left" --chunk 100 -o "$dir/x"
"$antiphon" convert built-in --chunk 7 -o "$dir/seven.safetensors" 2>/dev/null
"$antiphon" info "$dir/seven.safetensors" | grep -q 'windows *7 s offline' || complain "info does not know --chunk"
"$antiphon" diarize -m "$dir/seven.safetensors" "$audio" >"$dir/a" 2>/dev/null
"$antiphon" diarize --window 7 "$audio" >"$dir/b" 2>/dev/null
cmp "$dir/a" "$dir/b" || complain "diarize does not take the model's window"

# -- convert, info, features: the same numbers by every way
"$antiphon" convert "$golden/wavlm_pruned_tiny/model.pt" -o "$dir/m.safetensors" 2>/dev/null
"$antiphon" info "$dir/m.safetensors" --json >"$dir/info.json"
grep -q '"encoder_parameters":' "$dir/info.json" || complain "info --json"
"$antiphon" info nano --json --block 160 --left 2000 >"$dir/info.json"
for key in parameters encoder_parameters macs_per_second encoder_macs_per_second live_macs_per_second \
    sparsity layers; do
    grep -q "\"$key\":" "$dir/info.json" || complain "info --json has no $key"
done
grep -q '"block_ms":.160' "$dir/info.json" || complain "info does not take --block"
refused 2 'multiple of 20 ms' "$antiphon" info nano --block 30
"$antiphon" features "$golden/wavlm_pruned_tiny/model.pt" "$audio" --block 320 -o "$dir/a"
"$antiphon" features "$dir/m.safetensors" "$audio" --block 320 -o "$dir/b"
cmp "$dir/a" "$dir/b" || complain "features of a converted model differ"
"$antiphon" convert "$dir/m.safetensors" -o "$dir/m2.safetensors" 2>/dev/null
cmp "$dir/m.safetensors" "$dir/m2.safetensors" || complain "converting twice changes the file"
"$antiphon" convert "$dir/m.safetensors" --to torch -o "$dir/m.pt" 2>/dev/null
"$antiphon" features "$dir/m.pt" "$audio" --block 320 -o "$dir/b"
cmp "$dir/a" "$dir/b" || complain "features of a model written as torch differ"
refused 1 'layer 0 is pruned' "$antiphon" convert "$dir/m.pt" --to hf -o "$dir/hf"
hf=$golden/hf-wavlm-large-tiny/hf-wavlm-large-tiny
"$antiphon" convert "$hf" --to hf -o "$dir/hf" 2>/dev/null
"$antiphon" features "$hf" "$audio" -o "$dir/a"
"$antiphon" features "$dir/hf" "$audio" -o "$dir/b"
cmp "$dir/a" "$dir/b" || complain "features of a model written as hf differ"
# The built-in model in two bytes a weight; a pruned one as DiariZen's folder.
"$antiphon" convert built-in --dtype bf16 -o "$dir/b16" 2>/dev/null
"$antiphon" info "$dir/b16" >/dev/null
"$antiphon" convert "$dir/b16" -o "$dir/b32" 2>/dev/null
[ $(($(wc -c <"$dir/b16") * 100)) -lt $(($(wc -c <"$dir/b32") * 53)) ] || complain "bf16 saves nothing"
"$antiphon" convert base-s80 --to torch -o "$dir/diarizen/" 2>/dev/null
grep -q '^wavlm_src = "wavlm_base_s80_md"$' "$dir/diarizen/config.toml" || complain "config.toml has no shape"
"$antiphon" info "$dir/diarizen" | grep -q 'made for *whole windows\|made for *block-causal' ||
    complain "a folder written for DiariZen is not read again"
rm -r "$dir/diarizen"

# -- a speaker network: converted, described, and told apart from a diarization model
"$antiphon" convert "$golden/resnet34_tiny/pytorch_model.bin" -o "$dir/voice.safetensors" 2>/dev/null
"$antiphon" info "$dir/voice.safetensors" >"$dir/info.txt"
grep -q '64 numbers' "$dir/info.txt" || complain "info of a speaker network"
"$antiphon" info resnet34 --json >"$dir/info.json"
grep -q '"parameters":	6634336' "$dir/info.json" || complain "info resnet34 --json"
"$antiphon" convert "$dir/voice.safetensors" -o "$dir/voice2.safetensors" 2>/dev/null
cmp "$dir/voice.safetensors" "$dir/voice2.safetensors" || complain "converting a speaker network twice"
refused 1 'is a speaker network' "$antiphon" features "$dir/voice.safetensors" "$audio" -o "$dir/f"
refused 1 'is a speaker network' "$antiphon" stream --fast --input "$audio" --rttm - \
    --model "$golden/resnet34_tiny/pytorch_model.bin"
refused 1 'is a speaker network' "$antiphon" finetune --speech "$dir" -o "$dir/f" \
    --model "$golden/resnet34_tiny/pytorch_model.bin"
refused 1 'is a speaker network' "$antiphon" prune --speech "$dir" -o "$dir/f" \
    --model "$golden/resnet34_tiny/pytorch_model.bin"

# -- the built-in model is pruned and grown again, with a left context of its own
"$antiphon" info built-in >"$dir/info.txt"
grep -q 'sparsity *32\.8 %' "$dir/info.txt" && grep -q 'with 12 s before' "$dir/info.txt" &&
    grep -q 'windows *20 s offline' "$dir/info.txt" ||
    complain "info built-in: $(cat "$dir/info.txt")"

# -- the built-in model's frame error on this recording: another one is another model
"$antiphon" stream --local --fast --input "$audio" --rttm "$dir/a.rttm" --jsonl "$dir/a.jsonl" \
    >/dev/null 2>&1
set -- $("$frame_error" "$tests/audio/ami_EN2004a_first30s.rttm" "$dir/a.rttm" 30.0)
awk "BEGIN { exit !($1 > 41.6 && $1 < 42.6) }" ||
    complain "frame error $1 (missed $2, false alarm $3, confusion $4), expected 42.1"
grep -q '"type":"end"' "$dir/a.jsonl" || complain "the JSON lines have no end"

# -- who speaks lasts, unless every frame is asked for
"$antiphon" stream --local --fast --steady 0 --input "$audio" --rttm "$dir/frames.rttm" >/dev/null 2>&1
[ "$(wc -l <"$dir/frames.rttm")" -gt $((3 * $(wc -l <"$dir/a.rttm") / 2)) ] ||
    complain "$(wc -l <"$dir/frames.rttm") turns frame by frame, $(wc -l <"$dir/a.rttm") steadied"

# -- live output has the same bits however the audio comes: file, pipe, 48 kHz is another matter
"$antiphon" stream --fast --input "$audio" --rttm - 2>/dev/null | cut -d' ' -f4- >"$dir/1"
flac=$(command -v flac || true)
if [ -n "$flac" ]; then
    flac -s -d -c --force-raw-format --endian=little --sign=signed "$audio" |
        "$antiphon" stream --input - --rttm - 2>/dev/null | cut -d' ' -f4- >"$dir/2"
    cmp "$dir/1" "$dir/2" || complain "a pipe gives other turns than the file"
fi

# -- window mode: what a model made for whole windows runs in, and any other on request
# A DiariZen folder; of the WavLM its wavlm_src names only the config counts.
mkdir "$dir/diarizen"
cp "$golden/diarizen_tiny/config.toml" "$golden/diarizen_tiny/pytorch_model.bin" "$dir/diarizen"
wavlm=$(tr -d '\n' <"$golden/diarizen_tiny/wavlm.config.json" | sed 's/"/\\"/g')
header="{\"__metadata__\":{\"format\":\"antiphon\",\"version\":\"1\",\"config\":\"{\\\"wavlm\\\":$wavlm}\"}"
header="$header,\"unused\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}"
{
    printf "$(printf '\\%03o\\%03o\\0\\0\\0\\0\\0\\0' $((${#header} % 256)) $((${#header} / 256)))"
    printf '%s\0\0\0\0' "$header"
} >"$dir/diarizen/wavlm.pt"
"$antiphon" convert "$dir/diarizen" -o "$dir/tiny.safetensors" 2>"$dir/err" ||
    complain "a DiariZen folder: $(cat "$dir/err")"
"$antiphon" convert "$dir/tiny.safetensors" --left 640 --horizon 1 -o "$dir/own.safetensors" 2>/dev/null
"$antiphon" convert "$dir/own.safetensors" --to torch -o "$dir/own/" 2>/dev/null
"$antiphon" info "$dir/own" --json | tr -d '\n\t' | grep -q '"left_ms":640,"horizon_seconds":1,' ||
    complain "a DiariZen folder forgets the left context or the horizon"
# live WORDS ARGUMENT..: the start line says the mode
live() {
    wanted=$1
    shift
    "$antiphon" stream --fast --input "$audio" --jsonl - "$@" 2>/dev/null | head -n 1 >"$dir/start"
    grep -q "$wanted" "$dir/start" || complain "stream $*: $(cat "$dir/start"), expected $wanted"
}
live '"block_ms":1000,"live":"window","window_ms":4000' --window 4 --step 1000
live '"block_ms":160,"live":"block-causal"' --block 160
live '"block_ms":320,"live":"block-causal"'
live '"block_ms":500,"live":"window","window_ms":8000' --model "$dir/tiny.safetensors"
live '"block_ms":320,"live":"block-causal"' --model "$dir/tiny.safetensors" --block 320
live '"block_ms":2000,"live":"window","window_ms":20000' --step 2000
refused 2 'not both' "$antiphon" stream --block 320 --window 8
refused 2 'multiple of 20 ms' "$antiphon" stream --step 30
refused 2 '0.1 to 120' "$antiphon" stream --window 1000
refused 1 'does not fit a window' "$antiphon" stream --window 1 --step 2000 --fast --input "$audio"

# -- a model that cannot keep up says so while it runs, and what to try
"$antiphon" stream --input "$audio" --window 30 --step 20 --jsonl - >"$dir/out" 2>"$dir/err" &
pid=$!
for i in $(seq 60); do
    grep -q 'cannot keep up' "$dir/err" && break
    sleep 0.5
done
kill -INT $pid 2>/dev/null || true
wait $pid || true
grep -q 'cannot keep up: 20 ms of audio take .* ms to compute; try --step [1-9][0-9]*00' "$dir/err" ||
    complain "a stream that is too slow says: $(cat "$dir/err")"

# -- Ctrl-C: what was said is there, whole
"$antiphon" stream --local --input "$audio" --rttm "$dir/c.rttm" --jsonl "$dir/c.jsonl" >/dev/null 2>&1 &
pid=$!
sleep 3
kill -INT $pid
status=0
wait $pid || status=$?
[ "$status" -eq 0 ] || complain "Ctrl-C exits $status"
tail -n 1 "$dir/c.jsonl" | grep -q '"type":"end"' || complain "no end after Ctrl-C"
on=$(grep -c speaker_on "$dir/c.jsonl" || true)
off=$(grep -c speaker_off "$dir/c.jsonl" || true)
[ "$on" -eq "$off" ] && [ "$on" -gt 0 ] || complain "$on turns begin, $off end"
[ "$(grep -c ^SPEAKER "$dir/c.rttm")" -eq "$off" ] || complain "RTTM and JSON lines disagree"

# -- enroll: a person by name; another model's file and bad ones are refused
"$antiphon" enroll Ada "$audio" -o "$dir/people.json" >/dev/null 2>&1 || complain "enroll fails"
"$antiphon" enroll Ben "$audio" -o "$dir/people.json" >/dev/null 2>&1 || complain "enroll fails"
grep -q '"Ada"' "$dir/people.json" && grep -q '"Ben"' "$dir/people.json" ||
    complain "the file of speakers has not both"
"$antiphon" stream --fast --input "$audio" --speakers "$dir/people.json" \
    --save-speakers "$dir/later.json" --rttm "$dir/named.rttm" >/dev/null 2>&1 ||
    complain "stream --speakers fails"
grep -q -e Ada -e Ben "$dir/named.rttm" || complain "nobody enrolled was heard"
grep -q '"Ada"' "$dir/later.json" || complain "--save-speakers lost somebody"
sed 's/"model": "[0-9a-f]*"/"model": "0123456789abcdef"/' "$dir/people.json" >"$dir/other.json"
refused 1 'made by another model' "$antiphon" stream --fast --input "$audio" \
    --speakers "$dir/other.json"
refused 1 'makes files of speakers' "$antiphon" enroll Eve "$audio" -o "$audio"
refused 2 'say -o FILE' "$antiphon" enroll Eve "$audio"

# -- bench
"$antiphon" bench --seconds 1 --window 2 --step 1000 --json >"$dir/bench.json"
grep -q '"window_ms":.*2000' "$dir/bench.json" || complain "bench --window: $(cat "$dir/bench.json")"
"$antiphon" bench --seconds 2 --json >"$dir/bench.json"
for key in rtf processor_rtf audio_seconds block_ms stages macs_per_second gflops peak_gflops rss_bytes threads \
    latency_ms p50 p99 max; do
    grep -q "\"$key\":" "$dir/bench.json" || complain "bench --json has no $key"
done
# A processor that OpenBLAS does not know is not left with its oldest kernels, unless they are asked for.
if grep -q avx2 /proc/cpuinfo 2>/dev/null; then
    env -u OPENBLAS_CORETYPE "$antiphon" bench --seconds 1 >"$dir/bench.txt"
    ! grep -q 'OpenBLAS Prescott' "$dir/bench.txt" || complain "the oldest kernels: $(cat "$dir/bench.txt")"
    OPENBLAS_CORETYPE=Prescott "$antiphon" bench --seconds 1 >"$dir/bench.txt"
    grep -q 'OpenBLAS Prescott' "$dir/bench.txt" || complain "OPENBLAS_CORETYPE is not obeyed"
fi
exit $bad
