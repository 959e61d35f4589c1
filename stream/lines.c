// SPDX-License-Identifier: MIT
#include "stream/lines.h"

void lines_time(char *text, size_t size, double seconds)
{
    long tenths = (long)(seconds * 10.0 + 0.5);
    long h = tenths / 36000, m = tenths / 600 % 60;

    if (h)
        snprintf(text, size, "%ld:%02ld:%02ld.%ld", h, m, tenths / 10 % 60, tenths % 10);
    else
        snprintf(text, size, "%ld:%02ld.%ld", m, tenths / 10 % 60, tenths % 10);
}

static void print_block(struct lines *l, const struct report *r)
{
    char time[32];

    if (r->block.dropped_samples == l->dropped)
        return;
    lines_time(time, sizeof(time), r->time);
    fprintf(l->out, "%9s  %.2f s of audio dropped so far\n", time,
            (double)r->block.dropped_samples / 16000.0);
    l->dropped = r->block.dropped_samples;
}

static void print_start(struct lines *l, const struct report_start *start)
{
    fprintf(l->out, "listening to %s with the model %s, ", start->source, start->model);
    if (start->window_ms)
        fprintf(l->out, "the last %g s anew every %d ms\n", start->window_ms / 1000.0,
                start->block_ms);
    else
        fprintf(l->out, "in blocks of %d ms\n", start->block_ms);
}

int lines_take(struct lines *l, const struct report *r)
{
    char time[32];

    lines_time(time, sizeof(time),
               r->type == REPORT_SPEAKER_OFF  ? r->speaker.end
               : r->type == REPORT_SPEAKER_ON ? r->speaker.start
                                              : r->time);
    switch (r->type) {
    case REPORT_START: print_start(l, &r->start); break;
    case REPORT_SPEAKER_ON: fprintf(l->out, "%9s  %s begins\n", time, r->speaker.name); break;
    case REPORT_SPEAKER_OFF:
        fprintf(l->out, "%9s  %s ends after %.1f s\n", time, r->speaker.name,
                r->speaker.end - r->speaker.start);
        break;
    case REPORT_SPEAKER_MERGE:
        fprintf(l->out, "%9s  speaker %d was %s all along\n", time, r->speaker.merged_id,
                r->speaker.name);
        break;
    case REPORT_SPEAKER_NAME:
        fprintf(l->out, "%9s  speaker %d is called %s\n", time, r->speaker.id, r->speaker.name);
        break;
    case REPORT_RESET: fprintf(l->out, "%9s  all speakers forgotten\n", time); break;
    case REPORT_BLOCK: print_block(l, r); break;
    case REPORT_END: fprintf(l->out, "%9s  end\n", time); break;
    case REPORT_SPEAKER_NEW: // begins says it
    case REPORT_SPEAKER_MOVED: // there are many; files have them in the end
    case REPORT_HELLO: break;
    }
    return fflush(l->out) || ferror(l->out) ? -1 : 0;
}
