// SPDX-License-Identifier: MIT
#include "prune/assign.h"

#include <math.h>
#include <string.h>

/* Potentials and the assignment so far. */
struct matching {
    double u[ASSIGN_MAX], v[ASSIGN_MAX];
    int column_of[ASSIGN_MAX], row_of[ASSIGN_MAX];
};

/* A search from one row: the cheapest paths to columns. */
struct search {
    double path_cost[ASSIGN_MAX];
    int from[ASSIGN_MAX]; // the row that a column was reached from
    char row_seen[ASSIGN_MAX], column_seen[ASSIGN_MAX];
    int left[ASSIGN_MAX], n_left; // columns not seen, last ones first
};

/* Of the columns left, reached from row i at cost `so_far`, the place of the
 * cheapest; of equal ones the last without a row, else the first. */
static int nearest(struct search *s, const struct matching *m, const double *cost_row, int i,
                   double so_far)
{
    double lowest = INFINITY;
    int at = -1;

    for (int k = 0; k < s->n_left; k++) {
        int j = s->left[k];
        double r = so_far + cost_row[j] - m->u[i] - m->v[j];
        if (r < s->path_cost[j]) {
            s->path_cost[j] = r;
            s->from[j] = i;
        }
        if (s->path_cost[j] < lowest || (s->path_cost[j] == lowest && m->row_of[j] < 0)) {
            lowest = s->path_cost[j];
            at = k;
        }
    }
    return at;
}

static void add_row(struct matching *m, const double *cost, int row, int n_rows, int n)
{
    struct search s = {.n_left = n};
    double so_far = 0.0;
    int i = row, sink = -1;

    for (int k = 0; k < n; k++) {
        s.left[k] = n - 1 - k;
        s.path_cost[k] = INFINITY;
    }
    while (sink < 0) {
        s.row_seen[i] = 1;
        int at = nearest(&s, m, cost + i * n, i, so_far), j = s.left[at];
        so_far = s.path_cost[j];
        s.column_seen[j] = 1;
        s.left[at] = s.left[--s.n_left];
        if (m->row_of[j] < 0)
            sink = j;
        else
            i = m->row_of[j];
    }
    m->u[row] += so_far;
    for (int k = 0; k < n_rows; k++) {
        if (s.row_seen[k] && k != row)
            m->u[k] += so_far - s.path_cost[m->column_of[k]];
    }
    for (int j = 0; j < n; j++) {
        if (s.column_seen[j])
            m->v[j] -= so_far - s.path_cost[j];
    }
    for (int j = sink, k = -1; k != row;) {
        k = s.from[j];
        m->row_of[j] = k;
        int before = m->column_of[k];
        m->column_of[k] = j;
        j = before;
    }
}

void assign(int *map, const double *cost, int n_rows, int n_columns)
{
    double turned[ASSIGN_MAX * ASSIGN_MAX];
    struct matching m = {{0}, {0}, {0}, {0}};
    int turn = n_rows > n_columns;
    int rows = turn ? n_columns : n_rows, columns = turn ? n_rows : n_columns;

    for (int i = 0; turn && i < n_rows; i++) {
        for (int j = 0; j < n_columns; j++)
            turned[j * n_rows + i] = cost[i * n_columns + j];
    }
    for (int k = 0; k < ASSIGN_MAX; k++)
        m.column_of[k] = m.row_of[k] = -1;
    for (int row = 0; row < rows; row++)
        add_row(&m, turn ? turned : cost, row, rows, columns);
    memcpy(map, turn ? m.row_of : m.column_of, (size_t)n_rows * sizeof(int));
}
