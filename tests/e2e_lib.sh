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

# tiny_shape E: a shape that trains in seconds, with vectors of E, as $dir/tiny.json
tiny_shape() {
    cat >"$dir/tiny.json" <<JSON
{"wavlm":{"extractor_mode":"fbank","fbank_bins":24,"fbank_half_bins":8,"encoder_embed_dim":16,
"encoder_pos_conv_kernel":0,"encoder_pos_conv_groups":4,"encoder_num_layers":2,
"encoder_use_attention":[true,true],"encoder_use_feed_forward":[true,true],
"encoder_total_num_heads":[4,4],"encoder_remaining_heads":[[0,1,2,3],[0,1,2,3]],
"encoder_ff_interm_features":[32,24],"encoder_num_buckets":32,"encoder_max_distance":64,
"encoder_layer_norm_first":true},
"readout":{"wavlm_layer_num":3,"wavlm_feat_dim":16,"attention_in":16,"ffn_hidden":32,"num_head":2,
"num_layer":1,"kernel_size":7,"dropout":0.1,"max_speakers_per_chunk":3,
"max_speakers_per_frame":2,"embedding_dim":$1,"chunk_size":2}}
JSON
}

# tiny_speech: three people's recordings, as $dir/speech
tiny_speech() {
    for speaker in ann ben cleo; do
        mkdir -p "$dir/speech/$speaker"
        cp "$here/audio/ami_EN2004a_first30s.flac" "$dir/speech/$speaker/1.flac"
    done
}
