// SPDX-License-Identifier: MIT
/* nearest.h - what somebody who slipped on the keys probably meant. */
#ifndef NEAREST_H
#define NEAREST_H

/* How many letters are changed, added or left out between the two; 99 if
 * either is longer than 32. */
int nearest_distance(const char *a, const char *b);

/* Keeps the nearer of two: if name is nearer to what was typed than *distance,
 * that and *nearest are set. Begin with NULL and NEAREST_FAR. */
void nearest_try(const char **nearest, int *distance, const char *typed, const char *name);

enum { NEAREST_FAR = 4 }; // so far off is no slip

#endif
