/* Cells in columns that are as wide as what is in them (grid.c). */
#ifndef CUTAPE_PROFILE_GRID_H
#define CUTAPE_PROFILE_GRID_H

#include "files/text.h"

typedef struct ct_column {
    const char *title;
    bool right;  /* for numbers                               */
    size_t most; /* characters, what is longer is cut; 0: any */
} ct_column;

/* Zero but for these two; cells come in the order of reading. */
typedef struct ct_grid {
    const ct_column *columns;
    size_t n_columns;
    ct_text cells; /* each ends with a zero */
} ct_grid;

/* Ends the cell that is being written to `cells`. */
void ct_grid_next(ct_grid *);
void ct_grid_say(ct_grid *, const char *cell);
/* Titles and rows, as lines; then it is empty. */
void ct_grid_write(ct_grid *, ct_lines *);

#endif
