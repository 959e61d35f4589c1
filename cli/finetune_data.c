// SPDX-License-Identifier: MIT
#include "cli/finetune_data.h"

#include "cli/options.h"

#include "model/blocks.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

enum { DEV_SEED = 20001 }; // of the validation's meetings, the same for every run

/* Of a bare encoder, which is distilled only: the published recipe's clips. */
enum { BARE_SECONDS = 8, BARE_SPEAKERS = 4 };

static int speakers_of(const struct model_config *c)
{
    return c->readout.present ? c->readout.n_speakers : BARE_SPEAKERS;
}

static int open_simulation(struct simulation *sim, struct speech_bank *bank, const char *folder,
                           struct finetune_sources *s, const struct finetune_data *d,
                           const struct model_config *c, double seconds, int train,
                           int threads, uint64_t seed, struct error *err)
{
    struct simulate_settings settings = simulate_defaults;
    int voices = train ? d->voices : d->dev_voices > 0 ? d->dev_voices : 1;

    if (d->min_speakers > 0)
        settings.min_speakers = d->min_speakers;
    if (d->turn_length > 0.0)
        settings.turns.length = (float)d->turn_length;
    if (d->bridge > 0.0)
        settings.bridge = (float)d->bridge;
    if (voices > 0)
        settings.voices = voices;
    if (train) {
        settings.manner = (float)d->manner;
        settings.colour = (float)d->colour;
        settings.body.blows = (float)d->blows;
    }
    if (train && d->excerpts > 0)
        settings.excerpts = d->excerpts;
    if (train && d->tracts > 0)
        settings.tracts = d->tracts;
    settings.max_speakers = d->max_speakers > 0 ? d->max_speakers : speakers_of(c);
    if (speech_bank_open(bank, folder, threads, err))
        return -1;
    return simulation_open(sim, bank, d->noise ? &s->noise : NULL, d->rir ? &s->rooms : NULL,
                           &settings, seconds, seed, err);
}

static int open_folder(struct data_folder *folder, const char *path, struct finetune_sources *s,
                       const struct finetune_data *d, const struct model_config *c,
                       double seconds, int train, uint64_t seed, struct error *err)
{
    struct data_settings settings = data_defaults;

    settings.chunk = seconds;
    settings.shift = !train ? seconds : d->shift_seconds > 0.0 ? d->shift_seconds : 0.75 * seconds;
    settings.keep = speakers_of(c);
    settings.shuffle = train;
    settings.augment = train ? (float)d->augment : 0.0f;
    if (d->voices > 0)
        settings.voices = d->voices;
    return data_open(folder, path, &settings, train && d->noise ? &s->noise : NULL,
                     train && d->rir ? &s->rooms : NULL, seed, err);
}

int finetune_data_check(const struct finetune_data *d, struct error *err)
{
    const struct option_range ranges[] = {
        {"chunk", d->chunk_seconds, 0, 600}, {"shift", d->shift_seconds, 0, 3600},
        {"augment", d->augment, 0, 1}, {"min-speakers", d->min_speakers, 0, 64},
        {"max-speakers", d->max_speakers, 0, 64}, {"voices", d->voices, 0, 7},
        {"tracts", d->tracts, 0, 3}, {"manner", d->manner, 0, 20}, {"colour", d->colour, 0, 20},
        {"blows", d->blows, 0, 60}, {"dev-voices", d->dev_voices, 0, 7}, {"turn-length", d->turn_length, 0, 100},
        {"bridge", d->bridge, 0, 10}, {"excerpts", d->excerpts, 0, CLIP_MAX_EXCERPTS},
    };

    return options_in_range(ranges, sizeof(ranges) / sizeof(*ranges), err);
}

char *finetune_config(char *config, const struct finetune_data *d, struct error *err)
{
    if (!config)
        return NULL;
    cJSON *root = cJSON_Parse(config);
    cJSON *readout = cJSON_GetObjectItemCaseSensitive(root, "readout");
    char *text = NULL;

    free(config);
    cJSON_DeleteItemFromObjectCaseSensitive(readout, "embedding_threshold");
    if (readout && d->chunk_seconds > 0.0) {
        cJSON_DeleteItemFromObjectCaseSensitive(readout, "chunk_size");
        cJSON_AddNumberToObject(readout, "chunk_size", d->chunk_seconds);
    }
    if (root)
        text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    if (!text)
        fail(err, "the config is no JSON, or out of memory");
    return text;
}

/* A data folder's meetings are not simulated. */
static int check_no_simulation(const struct finetune_data *d, struct error *err)
{
    const struct {
        const char *name;
        int said;
    } of_speech[] = {
        {"tracts", d->tracts > 0}, {"manner", d->manner > 0.0}, {"colour", d->colour > 0.0},
        {"blows", d->blows > 0.0}, {"excerpts", d->excerpts > 0},
    };

    for (size_t i = 0; i < sizeof(of_speech) / sizeof(*of_speech); i++) {
        if (of_speech[i].said)
            return fail(err, "--%s goes with --speech", of_speech[i].name);
    }
    return 0;
}

int finetune_sources_open(struct finetune_sources *s, const struct finetune_data *d,
                          const struct model_config *c, int threads, uint64_t seed,
                          struct error *err)
{
    double own = c->readout.present ? c->readout.chunk_seconds : BARE_SECONDS;
    double asked = d->chunk_seconds > 0.0 ? d->chunk_seconds : own;
    double seconds;

    *s = (struct finetune_sources){0};
    if (!!d->data + !!d->speech != 1)
        return fail(err, "give one of --data and --speech: what to train on");
    if (d->data && check_no_simulation(d, err))
        return -1;
    if (!(asked >= 0.5 && asked <= 600.0))
        return fail(err, "--chunk: clips of %.3g s: expected 0.5 to 600", asked);
    /* As many samples as whole frames need. */
    seconds = (double)blocks_cover((int64_t)(asked * 50.0)) / 16000.0;
    if (d->noise && sound_bank_open_noise(&s->noise, d->noise, threads, err))
        return -1;
    if (d->rir && sound_bank_open_responses(&s->rooms, d->rir, threads, err))
        return -1;
    if (d->data) {
        if (open_folder(&s->folder, d->data, s, d, c, seconds, 1, seed, err))
            return -1;
        s->train = &s->folder.source;
    }
    if (d->dev) {
        if (open_folder(&s->dev_folder, d->dev, s, d, c, seconds, 0, seed, err))
            return -1;
        s->dev = &s->dev_folder.source;
    }
    if (d->speech) {
        if (open_simulation(&s->simulation, &s->speech, d->speech, s, d, c, seconds, 1, threads,
                            seed, err))
            return -1;
        s->train = &s->simulation.source;
    }
    if (d->dev && d->dev_speech)
        return fail(err, "give one of --dev and --dev-speech");
    if (d->dev_speech) {
        if (open_simulation(&s->dev_simulation, &s->dev_speech, d->dev_speech, s, d, c, seconds,
                            0, threads, DEV_SEED, err))
            return -1;
        s->dev = &s->dev_simulation.source;
    }
    return 0;
}

void finetune_sources_close(struct finetune_sources *s)
{
    data_close(&s->folder);
    data_close(&s->dev_folder);
    simulation_close(&s->simulation);
    simulation_close(&s->dev_simulation);
    speech_bank_close(&s->speech);
    speech_bank_close(&s->dev_speech);
    sound_bank_close(&s->noise);
    sound_bank_close(&s->rooms);
}
