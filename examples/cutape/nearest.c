/* "Did you mean": the known word at the smallest edit distance from what was typed. */
#include "options.h"

#include <string.h>

enum { LONGEST = 32 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Insertions, deletions, substitutions and swaps of neighbours that turn a into b. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    if (na > LONGEST || nb > LONGEST) return LONGEST;

    size_t d[LONGEST + 1][LONGEST + 1];
    for (size_t i = 0; i <= na; i++) d[i][0] = i;
    for (size_t j = 0; j <= nb; j++) d[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        for (size_t j = 1; j <= nb; j++) {
            size_t substitute = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            d[i][j] = least(substitute, least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[na][nb];
}

const char *nearest_word(const char *typed, const void *words, size_t n, size_t stride)
{
    size_t near = strlen(typed) / 3 + 1; /* further away than this is another word, not a typing error */
    const char *best = NULL;
    for (size_t i = 0; i < n; i++) {
        const char *word;
        memcpy(&word, (const char *)words + i * stride, sizeof word);
        size_t distance = edit_distance(typed, word);
        if (distance > near || (distance == near && best)) continue;
        near = distance;
        best = word;
    }
    return best;
}
