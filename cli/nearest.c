// SPDX-License-Identifier: MIT
#include "cli/nearest.h"

#include <string.h>

enum { LONGEST = 32 };

/* Levenshtein's distance, a row at a time. */
int nearest_distance(const char *a, const char *b)
{
    int row[LONGEST + 1], n = (int)strnlen(b, LONGEST + 1);

    if (n > LONGEST || strnlen(a, LONGEST + 1) > LONGEST)
        return 99;
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 0; a[i]; i++) {
        int diagonal = row[0];
        row[0] = i + 1;
        for (int j = 1; j <= n; j++) {
            int above = row[j], change = diagonal + (a[i] != b[j - 1]);
            int least = above < row[j - 1] ? above + 1 : row[j - 1] + 1;
            row[j] = change < least ? change : least;
            diagonal = above;
        }
    }
    return row[n];
}

void nearest_try(const char **nearest, int *distance, const char *typed, const char *name)
{
    int d = nearest_distance(typed, name);

    if (d >= *distance)
        return;
    *distance = d;
    *nearest = name;
}
