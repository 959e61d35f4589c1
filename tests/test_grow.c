// SPDX-License-Identifier: MIT
/* test_grow.c - a model with more units computes what it did, and what was added can learn. */
#include "check.h"

#include "model/blocks.h"
#include "prune/grow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 32000 };

/* Layers with and without each module: the first has no attention, so no position bias. */
static const char shape[] =
    "{\"wavlm\":{\"extractor_mode\":\"fbank\",\"fbank_bins\":24,\"fbank_half_bins\":8,"
    "\"encoder_embed_dim\":16,\"encoder_pos_conv_kernel\":0,\"encoder_pos_conv_groups\":4,"
    "\"encoder_num_layers\":4,\"encoder_use_attention\":[%s,true,false,true],"
    "\"encoder_use_feed_forward\":[true,false,true,true],\"encoder_total_num_heads\":[4,4,4,4],"
    "\"encoder_remaining_heads\":[[1,3],[0,2,3],[],[2]],\"encoder_ff_interm_features\":[5,0,1,24],"
    "\"encoder_num_buckets\":32,\"encoder_max_distance\":64,\"encoder_layer_norm_first\":%s},"
    "\"readout\":{\"wavlm_layer_num\":5,\"wavlm_feat_dim\":16,\"attention_in\":16,\"ffn_hidden\":32,"
    "\"num_head\":2,\"num_layer\":2,\"kernel_size\":7,\"max_speakers_per_chunk\":3,"
    "\"max_speakers_per_frame\":2,\"embedding_dim\":8,\"chunk_size\":2}}";

/* Weights of no special kind: norms, biases and running statistics too. */
static void open_random(struct model *m, const char *config, const struct reach *reach)
{
    struct random rng;
    struct error err;

    if (model_open_config(m, config, reach, &err))
        check_fail("%s", err.text);
    random_init(&rng, check_seed());
    params_randomize(&m->params, m->list, m->n_params, 5);
    for (int i = 0; i < m->n_params; i++) {
        float *x = *param_slot(&m->params, &m->list[i]);
        for (size_t k = 0; k < param_count(&m->list[i]); k++)
            x[k] += 0.4f * (random_uniform(&rng) - 0.5f);
    }
    model_derive(m);
}

/* Scores and weighted sum of SAMPLES of noise, in blocks of the model's reach. */
static void forward(const struct model *m, float *scores, float *sum)
{
    static float wave[SAMPLES];
    struct block block = {.own = (int)blocks_frames(SAMPLES), .own_samples = SAMPLES};
    struct model_state state;
    struct model_acts acts;
    struct random rng;
    struct error err;

    random_init(&rng, 7);
    check_fill(wave, SAMPLES, &rng);
    assert_int_equal(model_state_open(&state, m, &err), 0);
    assert_int_equal(model_acts_open(&acts, m, &err), 0);
    model_forward(&acts, &state, m, wave, &block, 1);
    memcpy(scores, acts.readout.scores,
           (size_t)block.own * (size_t)m->config.readout.n_classes * sizeof(float));
    memcpy(sum, acts.readout.sum, (size_t)block.own * (size_t)m->config.wavlm.embed * sizeof(float));
    model_acts_close(&acts);
    model_state_close(&state);
}

/* Whatever is grown: the results stay, and the units are there. */
static void check_growth(const char *first_attention, const char *norm_first, struct growth by)
{
    static float scores[2][100 * 7], sum[2][100 * 16];
    struct reach reach = reach_offline(SAMPLES);
    size_t n = (size_t)blocks_frames(SAMPLES);
    struct model m, grown;
    struct error err;
    char config[2000], *grown_config;

    snprintf(config, sizeof(config), shape, first_attention, norm_first);
    open_random(&m, config, &reach);
    if (grow(&grown, &grown_config, &m, config, &by, &reach, &err))
        check_fail("%s", err.text);
    const struct readout_config *r = &grown.config.readout;
    for (int i = 0; i < 4; i++) {
        const struct layer_shape *l = &grown.config.wavlm.layer[i], *old = &m.config.wavlm.layer[i];
        assert_int_equal(l->n_heads, old->n_heads > by.heads ? old->n_heads : by.heads);
        assert_int_equal(l->ff, old->ff > by.feed_forward ? old->ff : by.feed_forward);
    }
    assert_int_equal(r->n_layers, by.conformer_layers > 2 ? by.conformer_layers : 2);
    assert_int_equal(r->ff, by.conformer_feed_forward > 32 ? by.conformer_feed_forward : 32);
    forward(&m, scores[0], sum[0]);
    forward(&grown, scores[1], sum[1]);
    check_close("weighted sum", sum[1], sum[0], n * 16, 1e-5);
    check_close("scores", scores[1], scores[0], n * (size_t)r->n_classes, 1e-4);
    free(grown_config);
    model_close(&grown);
    model_close(&m);
}

static void test_same_results(void **state)
{
    static const struct growth by[] = {
        {.heads = 4, .seed = 1},
        {.heads = 2, .feed_forward = 9, .seed = 2},
        {.feed_forward = 32, .seed = 3},
        {.conformer_layers = 5, .seed = 4},
        {.conformer_feed_forward = 48, .seed = 5},
        {.heads = 3, .feed_forward = 20, .conformer_layers = 3, .conformer_feed_forward = 40, .seed = 6},
    };

    for (size_t i = 0; i < sizeof(by) / sizeof(*by); i++) {
        check_growth("true", "true", by[i]);
        check_growth("true", "false", by[i]);
        check_growth("false", "true", by[i]);
        check_growth("false", "false", by[i]);
    }
}

/* The heads that come back stand between those that stayed, at their own numbers. */
static void test_numbers(void **state)
{
    struct growth by = {.heads = 3, .seed = 1};
    struct reach reach = reach_offline(SAMPLES);
    struct model m, grown;
    struct error err;
    char config[2000], *grown_config;

    snprintf(config, sizeof(config), shape, "true", "true");
    open_random(&m, config, &reach);
    assert_int_equal(grow(&grown, &grown_config, &m, config, &by, &reach, &err), 0);
    const struct layer_shape *l = &grown.config.wavlm.layer[0];
    assert_int_equal(l->heads[0], 0);
    assert_int_equal(l->heads[1], 1);
    assert_int_equal(l->heads[2], 3);
    const float *old = m.params.layer[0].attention.q.weight;
    const float *new = grown.params.layer[0].attention.q.weight;
    const float *out = grown.params.layer[0].attention.out.weight;
    assert_memory_equal(new + 4 * 16, old, 8 * 16 * sizeof(float)); // heads 1 and 3, 4 wide
    for (int i = 0; i < 4 * 16; i++)
        assert_true(new[i] != 0.0f); // head 0 asks for something
    for (int row = 0; row < 16; row++) {
        for (int i = 0; i < 4; i++)
            assert_true(out[row * 12 + i] == 0.0f); // and says nothing yet
        assert_memory_equal(out + row * 12 + 4, m.params.layer[0].attention.out.weight + row * 8,
                            8 * sizeof(float));
    }
    free(grown_config);
    model_close(&grown);
    model_close(&m);
}

/* More numbers of a speaker vector: what there was stays as it was, what comes is not calibrated. */
static void test_vectors(void **state)
{
    struct growth by = {.embedding_projection = 5, .seed = 1};
    struct reach reach = reach_offline(SAMPLES);
    float traits[2 * 16], was[8], is[8 + 5];
    struct model m, grown;
    struct random rng;
    struct error err;
    char config[2000], *grown_config;

    snprintf(config, sizeof(config), shape, "true", "true");
    strcpy(strstr(config, "\"chunk_size\""), "\"embedding_threshold\":0.4,\"chunk_size\":2}}");
    open_random(&m, config, &reach);
    assert_int_equal(grow(&grown, &grown_config, &m, config, &by, &reach, &err), 0);
    assert_int_equal(grown.config.readout.embedding, 8 + 5);
    assert_int_equal(grown.config.readout.embedding_projection, 5);
    assert_int_equal(config_traits(&grown.config), 2 * config_traits(&m.config));
    assert_true(m.config.readout.embedding_threshold > 0.0f && grown.config.readout.embedding_threshold == 0.0f);
    random_init(&rng, 3);
    check_fill(traits, 2 * 16, &rng);
    model_vectors(was, &m, traits, 1);
    model_vectors(is, &grown, traits, 1);
    check_close("vector", is, was, 8, 1e-5);
    free(grown_config);
    model_close(&grown);
    model_close(&m);
}

static void check_refused(int has_readout, const struct growth *by, const char *why)
{
    struct reach reach = reach_offline(SAMPLES);
    struct model m, grown;
    struct error err = {""};
    char config[2000], *grown_config;

    snprintf(config, sizeof(config), shape, "true", "true");
    if (!has_readout)
        strcpy(strstr(config, ",\"readout\""), "}");
    open_random(&m, config, &reach);
    assert_int_equal(grow(&grown, &grown_config, &m, config, by, &reach, &err), -1);
    assert_null(grown_config);
    if (!strstr(err.text, why))
        check_fail("\"%s\" does not say \"%s\"", err.text, why);
    model_close(&m);
}

static void test_refused(void **state)
{
    check_refused(1, &(struct growth){.heads = 5}, "had 4 before pruning");
    check_refused(1, &(struct growth){.conformer_layers = 2}, "nothing to add");
    check_refused(1, &(struct growth){.conformer_layers = 33}, "num_layer");
    check_refused(0, &(struct growth){.embedding_projection = 4}, "no speaker vectors");
    check_refused(0, &(struct growth){.heads = 4, .conformer_layers = 3}, "no readout");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_results),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
