// SPDX-License-Identifier: MIT
/* cmd_devices.c - `devices`: what can be listened to. */
#include "cli/command.h"
#include "cli/options.h"
#include "stream/device.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

static const struct usage usage = {
    "",
    "Lists the capture devices that PortAudio finds: number, name, host API, channels and\n"
    "rate; * marks the default. `antiphon stream --device` takes a number, a name or a part\n"
    "of a name.\n\n"
    "  antiphon devices",
};

static int print_json(const struct device_list *list, struct error *err)
{
    cJSON *json = cJSON_CreateObject(), *array = cJSON_AddArrayToObject(json, "devices");
    char *text;

    for (int i = 0; i < list->n; i++) {
        const struct device *d = &list->devices[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddNumberToObject(item, "index", d->index);
        cJSON_AddStringToObject(item, "name", d->name);
        cJSON_AddStringToObject(item, "host_api", d->host_api);
        cJSON_AddNumberToObject(item, "channels", d->channels);
        cJSON_AddNumberToObject(item, "rate", d->rate_hz);
        cJSON_AddBoolToObject(item, "default", d->is_default);
        cJSON_AddItemToArray(array, item);
    }
    text = cJSON_Print(json);
    cJSON_Delete(json);
    if (!text)
        return fail(err, "out of memory");
    puts(text);
    free(text);
    return 0;
}

static void print_text(const struct device_list *list)
{
    if (!list->n) {
        fputs("no capture device on this machine\n", stderr);
        return;
    }
    for (int i = 0; i < list->n; i++) {
        const struct device *d = &list->devices[i];
        printf("%c %3d  %-40s  %-8s  %2d channel%s  %6.0f Hz\n", d->is_default ? '*' : ' ',
               d->index, d->name, d->host_api, d->channels, d->channels == 1 ? " " : "s",
               d->rate_hz);
    }
}

static int list_devices(int json, struct error *err)
{
    struct device_list list;
    int status;

    if (device_open_library(err))
        return STATUS_FAILED;
    status = device_list(&list, err);
    if (status == 0 && json)
        status = print_json(&list, err);
    else if (status == 0)
        print_text(&list);
    device_list_release(&list);
    device_close_library();
    return status ? STATUS_FAILED : STATUS_DONE;
}

int cmd_devices(int argc, const char **argv, struct error *err)
{
    int json = 0;
    const struct poptOption table[] = {
        {"json", 0, POPT_ARG_NONE, &json, 0, "print one JSON object", NULL},
        POPT_TABLEEND,
    };
    struct options o;
    int status = STATUS_MISUSED;

    if (options_open(&o, argc, argv, table, &usage, err) == 0) {
        if (o.helped)
            status = STATUS_DONE;
        else if (options_expect(&o, 0, 0, &usage, err) == 0)
            status = list_devices(json, err);
    }
    options_close(&o);
    return status;
}
