// SPDX-License-Identifier: MIT
/* test_config.c - configurations that make no model: each is refused in one line
 * that names the key. What the fuzzer found is in seeds/config. */
#include "check.h"

#include "model/config.h"
#include "model/model.h"
#include "tiny_training.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The tiny configuration with one piece in the place of another. To be freed. */
static char *changed(const char *from, const char *to)
{
    const char *at = strstr(tiny_config, from);
    size_t n = sizeof(tiny_config) + strlen(to);
    char *json = malloc(n);

    assert_non_null(at);
    assert_non_null(json);
    snprintf(json, n, "%.*s%s%s", (int)(at - tiny_config), tiny_config, to, at + strlen(from));
    return json;
}

static const struct {
    const char *from, *to, *words;
} table[] = {
    {"\"encoder_num_layers\":2", "\"encoder_num_layers\":-1", "\"encoder_num_layers\" is -1"},
    {"\"encoder_num_layers\":2", "\"encoder_num_layers\":65", "expected 0 to 64"},
    {"\"encoder_num_layers\":2", "\"encoder_num_layers\":2.5", "whole number"},
    {"\"encoder_num_layers\":2", "\"encoder_num_layers\":1e308", "1e+308"},
    {"\"encoder_num_layers\":2", "\"encoder_num_layers\":1e999", "is inf"},
    {"\"encoder_num_layers\":2", "\"encoder_num_layers\":\"2\"", "whole number"},
    {"\"encoder_num_layers\":2", "\"encoder_num_layers\":3", "2 entries, expected 3"},
    {"\"encoder_num_layers\":2,", "", "\"encoder_num_layers\" is missing"},
    {"\"encoder_embed_dim\":16", "\"encoder_embed_dim\":0", "\"encoder_embed_dim\" is 0"},
    {"\"encoder_embed_dim\":16", "\"encoder_embed_dim\":4294967312", "4294967312"},
    {"\"encoder_embed_dim\":16", "\"encoder_embed_dim\":18", "cannot be shared by 4 groups"},
    {"\"encoder_embed_dim\":16", "\"encoder_embed_dim\":20,\"encoder_embed_dim\":16", "twice"},
    {"\"encoder_total_num_heads\":[2,2]", "\"encoder_total_num_heads\":[3,3]",
     "width 16 cannot be shared by 3 heads"},
    {"\"encoder_total_num_heads\":[2,2]", "\"encoder_total_num_heads\":[2,4]", "should be the same"},
    {"\"encoder_total_num_heads\":[2,2]", "\"encoder_total_num_heads\":[0,2]", "from 1 to 64"},
    {"\"encoder_total_num_heads\":[2,2]", "\"encoder_total_num_heads\":{}", "should be a list"},
    {"[[0,1],[0,1]]", "[[0,1],[1,0]]", "ascending order"},
    {"[[0,1],[0,1]]", "[[0,1],[0,2]]", "from 0 to 1"},
    {"[[0,1],[0,1]]", "[[0,1],[]]", "attention but no head"},
    {"[[0,1],[0,1]]", "[[0,1],[[[[0]]]]]", "whole number"},
    {"\"encoder_ff_interm_features\":[32,24]", "\"encoder_ff_interm_features\":[32,0]",
     "without inner units"},
    {"\"encoder_ff_interm_features\":[32,24]", "\"encoder_ff_interm_features\":[32,1e9]",
     "from 0 to 65536"},
    {"\"encoder_num_buckets\":32", "\"encoder_num_buckets\":30", "no relative positions"},
    {"\"encoder_max_distance\":64", "\"encoder_max_distance\":8", "no relative positions"},
    {"\"encoder_max_distance\":64", "\"encoder_max_distance\":2147483648", "2147483648"},
    {"\"encoder_pos_conv_kernel\":8", "\"encoder_pos_conv_kernel\":1025", "0 to 1024"},
    {"\"fbank_bins\":24", "\"fbank_bins\":1000000", "\"fbank_bins\" is 1000000"},
    {"\"fbank\"", "\"mel\"", "expected group_norm"},
    {"\"fbank\"", "\"a\\u0000b\"", "zero character"},
    {"\"encoder_layer_norm_first\":true", "\"encoder_layer_norm_first\":1", "true or false"},
    {"\"encoder_dropout\":0.1", "\"encoder_dropout\":1", "0 to 0.99"},
    {"\"encoder_dropout\":0.1", "\"encoder_dropout\":-0.1", "0 to 0.99"},
    {"\"encoder_dropout\":0.1", "\"encoder_prune_attention_heads\":true", "pruning gates"},
    {"\"wavlm_layer_num\":3", "\"wavlm_layer_num\":4", "expected 1 to 3"},
    {"\"wavlm_feat_dim\":16", "\"wavlm_feat_dim\":24", "the WavLM is 16 wide"},
    {"\"num_head\":2", "\"num_head\":3", "cannot be shared by 3 heads"},
    {"\"num_head\":2", "\"num_head\":0", "\"num_head\" is 0"},
    {"\"num_layer\":1", "\"num_layer\":0", "\"num_layer\" is 0"},
    {"\"num_layer\":1", "\"num_layer\":33", "expected 1 to 32"},
    {"\"kernel_size\":7", "\"kernel_size\":8", "odd number"},
    {"\"max_speakers_per_chunk\":3", "\"max_speakers_per_chunk\":9", "expected 1 to 8"},
    {"\"max_speakers_per_chunk\":3", "\"max_speakers_per_chunk\":1", "2 of 1 speakers"},
    {"\"chunk_size\":1", "\"chunk_size\":1,\"classes\":12", "12 classes"},
    {"\"chunk_size\":1", "\"chunk_size\":1e308", "\"chunk_size\""},
    {"\"chunk_size\":1", "\"chunk_size\":-8", "\"chunk_size\""},
    {"\"chunk_size\":1", "\"chunk_size\":0", "\"chunk_size\""},
    {"\"chunk_size\":1", "\"chunk_size\":\"8\"", "\"chunk_size\""},
    {"\"chunk_size\":1", "\"sample_rate\":8000", "\"sample_rate\" is 8000"},
    {"\"chunk_size\":1", "\"embedding_threshold\":0", "\"embedding_threshold\""},
    {"\"chunk_size\":1", "\"embedding_threshold\":2.01", "\"embedding_threshold\""},
    {"\"chunk_size\":1", "\"embedding_threshold\":\"0.5\"", "\"embedding_threshold\""},
    {"}}", "}} {}", "something after"},
    {"}}", "}", "not JSON"},
    {"}}", "},\"live\":\"dead\"}", "expected block-causal or window"},
    {"}}", "},\"live\":1}", "block-causal or window"},
    {"}}", "},\"left_ms\":8010}", "a multiple of 20"},
    {"}}", "},\"left_ms\":-20}", "\"left_ms\""},
    {"}}", "},\"horizon_seconds\":-1}", "\"horizon_seconds\""},
    {"}}", "},\"horizon_seconds\":2.5}", "a whole number"},
    {"}}", "},\"left_ms\":\"8 s\"}", "\"left_ms\""},
    {"\"readout\":{", "\"readout\":[{", "not JSON"},
    {"{\"wavlm\"", "[\"wavlm\"", "not JSON"},
    {"{\"wavlm\"", "{\"wawlm\"", "no \"wavlm\" section"},
};

static void test_refused(void **state)
{
    (void)state;
    struct model_config c;
    struct error err = {""};

    if (config_parse(&c, tiny_config, &err))
        check_fail("%s", err.text);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        char *json = changed(table[i].from, table[i].to);
        if (config_parse(&c, json, &err) == 0 || !strstr(err.text, table[i].words) ||
            strncmp(err.text, "config", 6) || strchr(err.text, '\n'))
            check_fail("%s: \"%s\" instead of \"%s\"", table[i].to, err.text, table[i].words);
        free(json);
    }
}

/* Long, deep and wide texts cost neither time nor memory. */
static void test_bounded(void **state)
{
    (void)state;
    static char text[3 << 20];
    struct model_config c;
    struct error err = {""};

    memset(text, ' ', sizeof(text) - 1);
    assert_int_equal(config_parse(&c, text, &err), -1);
    assert_non_null(strstr(err.text, "at most 1048576"));
    memset(text, '[', 1000);
    text[1000] = 0;
    assert_int_equal(config_parse(&c, text, &err), -1);
    assert_non_null(strstr(err.text, "deeper than 16"));
    strcpy(text, "{\"a\":[");
    for (int i = 0; i < 100000; i++)
        memcpy(text + 6 + 2 * i, "0,", 3);
    assert_int_equal(config_parse(&c, text, &err), -1);
    assert_non_null(strstr(err.text, "more than 65536 values"));
    assert_int_equal(config_parse(&c, "{\"\xff\":1}", &err), -1);
    assert_non_null(strstr(err.text, "UTF-8"));
    assert_int_equal(config_parse(&c, "", &err), -1);
}

/* Within all limits, and far more than a machine has. */
static void test_terabytes(void **state)
{
    (void)state;
    char *json = check_read(check_path("seeds/config/terabytes"));
    const struct reach reach = reach_defaults();
    struct model_config c;
    struct error err = {""};
    struct model m;

    if (config_parse(&c, json, &err))
        check_fail("%s", err.text);
    assert_int_equal(model_open_config(&m, json, &reach, &err), -1);
    assert_non_null(strstr(err.text, "out of memory"));
    free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_terabytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
