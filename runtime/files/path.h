/* How a path reads in a message. */
#ifndef CUTAPE_FILES_PATH_H
#define CUTAPE_FILES_PATH_H

#include <string.h>

/* The path, or the end of it if it is so long that what is wrong would find no room behind it. */
static inline const char *ct_path_text(const char *path)
{
    enum { MOST_BYTES = 512 };
    size_t length = strlen(path);
    return length > MOST_BYTES ? path + length - MOST_BYTES : path;
}

#endif
