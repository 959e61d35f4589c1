// SPDX-License-Identifier: MIT
/* test_shrink.c - the cut, against upstream's. */
#include "check.h"
#include "gated.h"

#include "prune/shrink.h"

/* The cut of upstream's gated students: shapes, and what is left computes the
 * same; where upstream's cut and masked outputs agree, ours do too. */
static void check_cut(const char *name, unsigned units, int masked_agrees)
{
    struct checkpoint student, io;
    struct model gated, cut;
    struct gates g;
    struct model_state state;
    struct model_acts acts;
    struct reach reach = whole(16000, 1);
    struct block block = {.own = 49, .own_samples = 16000};
    struct training training = {.masks = NULL};
    struct error err;
    char *config = read_config(name), *cut_config;
    char *wanted = check_read(check_path("golden/%s/pruned.config.json", name)), *whole_config;

    check_open(&student, check_path("golden/%s/student.pt", name));
    check_open(&io, check_path("golden/%s/io.safetensors", name));
    if (model_open_config(&gated, config, &reach, &err) ||
        gates_open(&g, &gated.config, units, 1, &err))
        check_fail("%s", err.text);
    for (int i = 0; i < gated.n_params; i++) {
        const struct param *p = &gated.list[i];
        memcpy(*param_slot(&gated.params, p), floats(&student, p->name, ""),
               param_count(p) * sizeof(float));
    }
    take_log_alpha(&g, &student);
    gates_settle(&g);
    for (int k = 0; k < g.n; k++)
        check_close(g.list[k].name, g.list[k].value, floats(&io, "mask.", g.list[k].name),
                    (size_t)g.list[k].n, 1e-6);
    if (shrink(&cut, &cut_config, &gated, config, &g, &reach, &err))
        check_fail("%s: %s", name, err.text);

    /* The same shape as upstream's config says. */
    struct model_config want, got;
    whole_config = malloc(strlen(wanted) + 32);
    sprintf(whole_config, "{\"wavlm\":%s}", wanted);
    assert_int_equal(config_parse(&want, whole_config, &err), 0);
    assert_int_equal(config_parse(&got, cut_config, &err), 0);
    assert_memory_equal(&want.wavlm, &got.wavlm, sizeof(want.wavlm));

    assert_int_equal(model_state_open(&state, &cut, &err), 0);
    assert_int_equal(model_acts_open(&acts, &cut, &err), 0);
    model_forward(&acts, &state, &cut, floats(&io, "in.wave", ""), &block, 1);
    size_t n = 49 * (size_t)cut.config.wavlm.embed;
    check_close("cut", acts.encoder.rep[4], floats(&io, "pruned.rep.4", ""), n, 1e-5);
    model_acts_close(&acts);
    model_state_close(&state);

    model_derive(&gated);
    assert_int_equal(model_state_open(&state, &gated, &err), 0);
    assert_int_equal(model_acts_open(&acts, &gated, &err), 0);
    training.masks = &g.masks;
    acts.training = &training;
    model_forward(&acts, &state, &gated, floats(&io, "in.wave", ""), &block, 1);
    check_close("masked", acts.encoder.rep[4], floats(&io, "masked.rep.4", ""), n, 1e-5);
    if (masked_agrees)
        check_close("masked and cut", acts.encoder.rep[4], floats(&io, "pruned.rep.4", ""), n,
                    1e-5);
    model_acts_close(&acts);
    model_state_close(&state);
    model_close(&cut);
    model_close(&gated);
    gates_close(&g);
    checkpoint_close(&student);
    checkpoint_close(&io);
    free(config);
    free(cut_config);
    free(wanted);
    free(whole_config);
}

static void test_cut(void **state)
{
    check_cut("prune_base_tiny", 7, 0);
    check_cut("prune_large_tiny", 7, 0);
    check_cut("prune_dead_base_tiny", 6, 0);
    check_cut("prune_layers_base_tiny", 6 | 1u << GATE_ATTLAYER | 1u << GATE_FFNLAYER, 1);
}

/* A convolution that would lose its last channel is refused. */
static void test_last_channel(void **state)
{
    struct model m, cut;
    struct gates g;
    struct reach reach = whole(16000, 1);
    struct error err;
    char *config = config_arch_json("nano-conv", &err), *cut_config;

    assert_non_null(config);
    if (model_open_config(&m, config, &reach, &err))
        check_fail("%s", err.text);
    assert_int_equal(gates_open(&g, &m.config, 1u << GATE_CONV, 1, &err), 0);
    for (int i = 0; i < g.list[2].n; i++)
        g.list[2].log_alpha[i] = -30.0f;
    gates_settle(&g);
    assert_int_equal(shrink(&cut, &cut_config, &m, config, &g, &reach, &err), -1);
    assert_non_null(strstr(err.text, "last channel"));
    gates_close(&g);
    model_close(&m);
    free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_last_channel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
