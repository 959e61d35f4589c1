// SPDX-License-Identifier: MIT
/* tiny_training.h - a model and a problem small enough to train in a test: each
 * speaker is a tone of their own in noise. */
#ifndef TINY_TRAINING_H
#define TINY_TRAINING_H

#include "model/blocks.h"
#include "model/random.h"
#include "prune/clip.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char tiny_config[] =
    "{\"wavlm\":{\"extractor_mode\":\"fbank\",\"fbank_bins\":24,\"fbank_half_bins\":8,"
    "\"encoder_embed_dim\":16,\"encoder_pos_conv_kernel\":8,\"encoder_pos_conv_groups\":4,"
    "\"encoder_num_layers\":2,\"encoder_use_attention\":[true,true],"
    "\"encoder_use_feed_forward\":[true,true],\"encoder_total_num_heads\":[2,2],"
    "\"encoder_remaining_heads\":[[0,1],[0,1]],\"encoder_ff_interm_features\":[32,24],"
    "\"encoder_num_buckets\":32,\"encoder_max_distance\":64,\"encoder_layer_norm_first\":true,"
    "\"encoder_dropout\":0.1,\"encoder_attention_dropout\":0.1},"
    "\"readout\":{\"wavlm_layer_num\":3,\"wavlm_feat_dim\":16,\"attention_in\":16,"
    "\"ffn_hidden\":32,\"num_head\":2,\"num_layer\":1,\"kernel_size\":7,\"dropout\":0.1,"
    "\"max_speakers_per_chunk\":3,\"max_speakers_per_frame\":2,\"embedding_dim\":8,"
    "\"chunk_size\":1}}";

enum { TINY_FRAMES = 40 };

/* Clip `index`: two of six tones, each on for a stretch. */
static int tiny_get(struct clip *clip, const struct clip_source *source, uint64_t index,
                    struct error *err)
{
    struct random rng;

    random_init(&rng, 1000 + index);
    memset(clip->labels, 0, (size_t)clip->n_frames * CLIP_MAX_SPEAKERS);
    for (int64_t i = 0; i < clip->n_samples; i++)
        clip->samples[i] = 0.01f * (2.0f * random_uniform(&rng) - 1.0f);
    for (int s = 0; s < 2; s++) {
        int from = (int)(random_bits(&rng) % TINY_FRAMES), tone = (int)(random_bits(&rng) % 3);
        int to = from + 8 + (int)(random_bits(&rng) % 16);
        double step = 6.2831853 * (300.0 + 500.0 * (tone + 3 * s)) / 16000.0;
        for (int t = from; t < to && t < clip->n_frames; t++) {
            clip->labels[(size_t)t * CLIP_MAX_SPEAKERS + (size_t)s] = 1;
            for (int i = 320 * t + 40; i < 320 * t + 360; i++)
                clip->samples[i] += 0.2f * (float)sin(step * i);
        }
        clip->speaker[s] = tone + 3 * s;
    }
    clip->n_speakers = 2;
    snprintf(clip->origin, sizeof(clip->origin), "tiny clip %llu", (unsigned long long)index);
    return 0;
}

static void tiny_close(struct clip_source *source)
{
}

static inline struct clip_source tiny_source(void)
{
    return (struct clip_source){.n_samples = blocks_cover(TINY_FRAMES), .n_known = 6,
                                .get = tiny_get, .close = tiny_close};
}

#endif
