// SPDX-License-Identifier: MIT
#include "cli/speaker_network.h"

#include "cli/json_out.h"
#include "stream/utf8.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

static const struct resnet_shape wespeaker = {32, 80, 256};

int speaker_network_open(struct resnet *r, const char *name, struct error *err)
{
    struct checkpoint c;

    if (!strcmp(name, SPEAKER_ARCH))
        return resnet_open_random(r, &wespeaker, 1, err);
    if (checkpoint_open(&c, name, err))
        return -1;
    int status = resnet_open(r, &c, err);
    checkpoint_close(&c);
    return status ? fail_prefix(err, "%s: ", name) : 0;
}

/* It is opened first, so that nothing is written that would not run. */
int speaker_network_convert(const struct checkpoint *c, const char *source, const char *output,
                            struct error *err)
{
    char provenance[400];
    struct resnet r;

    snprintf(provenance, sizeof(provenance), "converted from %.300s", source);
    if (resnet_open(&r, c, err))
        return fail_prefix(err, "%s: ", source);
    struct resnet_shape shape = r.shape;
    resnet_close(&r);
    if (resnet_write(output, c, c->provenance ? c->provenance : provenance, err))
        return -1;
    fprintf(stderr, "%s: speaker network, vectors of %d; give it as --embedding\n", output,
            shape.embedding);
    return 0;
}

static int print_json(const struct resnet_shape *shape, const struct resnet_cost *cost,
                      const char *provenance, struct error *err)
{
    cJSON *json = cJSON_CreateObject(), *stages;

    cJSON_AddStringToObject(json, "kind", "speaker network");
    cJSON_AddNumberToObject(json, "parameters", (double)cost->parameters);
    cJSON_AddNumberToObject(json, "macs_per_second", cost->macs);
    cJSON_AddNumberToObject(json, "width", shape->width);
    cJSON_AddNumberToObject(json, "bands", shape->bands);
    cJSON_AddNumberToObject(json, "embedding", shape->embedding);
    if (provenance)
        cJSON_AddStringToObject(json, "provenance", provenance);
    stages = cJSON_AddArrayToObject(json, "stages");
    for (int i = 0; i < RESNET_STAGES; i++) {
        cJSON *stage = cJSON_CreateObject();
        cJSON_AddNumberToObject(stage, "channels", shape->width << i);
        cJSON_AddNumberToObject(stage, "blocks", resnet_blocks[i]);
        cJSON_AddNumberToObject(stage, "macs_per_second", cost->stage_macs[i + 1]);
        cJSON_AddItemToArray(stages, stage);
    }
    return json_print(json, err);
}

static void print_text(const struct resnet_shape *shape, const struct resnet_cost *cost,
                       const char *name, const char *provenance)
{
    printf("%s: speaker network, ResNet34, %d to %d channels\n", name, shape->width,
           shape->width << (RESNET_STAGES - 1));
    printf("  filter banks  %d\n", shape->bands);
    printf("  vectors       %d numbers\n", shape->embedding);
    printf("  parameters    %.2f M\n", (double)cost->parameters / 1e6);
    printf("  MACs          %.3f G per second of audio, in windows of 16 s\n", cost->macs / 1e9);
    if (provenance) {
        char text[400]; // whoever wrote the file does not move our cursor
        utf8_name(text, sizeof(text), provenance);
        printf("  provenance    %s\n", text);
    }
    printf("\n  stage  blocks  channels  MACs\n");
    for (int i = 0; i < RESNET_STAGES; i++)
        printf("  %5d  %6d  %8d  %.3f G\n", i + 1, resnet_blocks[i], shape->width << i,
               cost->stage_macs[i + 1] / 1e9);
}

int speaker_network_info(const struct checkpoint *c, const char *name, int json, struct error *err)
{
    struct resnet_shape shape = wespeaker;
    const char *provenance = c ? c->provenance : NULL;
    struct resnet_cost cost;
    struct resnet r;

    if (c && resnet_open(&r, c, err))
        return fail_prefix(err, "%s: ", name);
    if (c) {
        shape = r.shape;
        resnet_close(&r);
    }
    resnet_count(&cost, &shape);
    if (json)
        return print_json(&shape, &cost, provenance, err);
    print_text(&shape, &cost, name, provenance);
    return 0;
}
