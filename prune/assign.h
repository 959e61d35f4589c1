// SPDX-License-Identifier: MIT
/* assign.h - the assignment of training, ties broken as upstream breaks them.
 *
 * Crouse's shortest augmenting paths (2016), in scipy's order: a model that
 * predicts silence gives equal costs all over, and which of the equal
 * assignments is taken changes the loss. model/hungarian.h finds as cheap a one,
 * but not always the same. */
#ifndef ASSIGN_H
#define ASSIGN_H

enum { ASSIGN_MAX = 16 };

/* Assigns rows to columns of cost [n_rows,n_columns], at most ASSIGN_MAX each,
 * so that the sum is least. map [n_rows]: each row's column, or -1. */
void assign(int *map, const double *cost, int n_rows, int n_columns);

#endif
