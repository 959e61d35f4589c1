// SPDX-License-Identifier: MIT
/* cmd_devices.c - `devices`: what can be listened to. */
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/options.h"
#include "stream/device.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct usage usage = {
    "",
    "Lists the capture devices: index, name, host API, channels and own rate; * marks the\n"
    "default. `antiphon stream --device` takes an index, a name, or a part of a name that\n"
    "only one device has.\n\n"
    "  antiphon devices\n"
    "  antiphon devices --json",
};

static int print_json(const struct device_list *list, struct error *err)
{
    cJSON *json = cJSON_CreateObject(), *array = cJSON_AddArrayToObject(json, "devices");

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
    return json_print(json, err);
}

static void print_table(const struct device_list *list)
{
    int widest = 4;

    if (list->n == 0) {
        fputs("no capture device on this machine; connect a microphone, or play a file with "
              "`antiphon stream --input`\n", stderr);
        return;
    }
    for (int i = 0; i < list->n; i++) {
        int width = (int)strlen(list->devices[i].name);
        widest = width > widest ? width : widest;
    }
    printf("  index  %-*s  channels     rate  host API\n", widest, "name");
    for (int i = 0; i < list->n; i++) {
        const struct device *d = &list->devices[i];
        printf("%c %5d  %-*s  %8d  %7.0f  %s\n", d->is_default ? '*' : ' ', d->index, widest,
               d->name, d->channels, d->rate_hz, d->host_api);
    }
}

static int list_devices(int json, struct error *err)
{
    struct device_list list = {0};
    int status;

    if (device_open_library(err))
        return STATUS_FAILED;
    status = device_list(&list, err);
    device_close_library();
    if (status == 0 && json)
        status = print_json(&list, err);
    else if (status == 0)
        print_table(&list);
    device_list_release(&list);
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
