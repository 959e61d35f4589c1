// SPDX-License-Identifier: MIT
/* view.h - the live view on a terminal, by ncurses.
 *
 * One row a speaker: who they are, how long they have talked, and a strip of
 * their activity that runs from right to left, a column a block.
 *
 * Thread: main, all of it. */
#ifndef VIEW_H
#define VIEW_H

#include "model/error.h"
#include "stream/report.h"

struct view;

/* Takes the terminal over. Fails where there is none that ncurses knows. */
int view_open(struct view **v, struct error *err);

/* Gives the terminal back as it was. */
void view_close(struct view **v);

void view_take(struct view *v, const struct report *r);

/* A line at the bottom that stays until the next one. */
void view_message(struct view *v, const char *text);

/* Draws if something is new, at most 20 times a second; handles a resize.
 * Returns 1 if q was pressed. */
int view_update(struct view *v);

#endif
