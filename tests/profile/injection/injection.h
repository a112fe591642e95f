/* A tool for tests, which NVTX loads by NVTX_INJECTION64_PATH: it notes down all that it is told. The tests find
 * its functions by dlsym. With CUTAPE_INJECTION_WITHOUT_SCHEMAS in the environment it knows no schemas of payloads. */
#ifndef CUTAPE_TESTS_INJECTION_H
#define CUTAPE_TESTS_INJECTION_H

#include <stddef.h>
#include <stdint.h>

typedef struct injection_event {
    /* The function, in short: "domain", "category", "register", "schema", "thread", "stream"; "push", "pop", "start",
     * "end". */
    const char *what;
    const char *domain;  /* its name; "" if the function has none                        */
    const char *text;    /* a name, or a range's message                                 */
    int registered;      /* the message is a registered string                           */
    uint32_t category;   /* of a range, or the one that is named                         */
    uint32_t color;      /* ARGB; 0: none                                                */
    uint64_t number;     /* a range's payload, if it is a number                         */
    const char *payload; /* by its schema: "name=value", each with a space before; or "" */
    uint64_t range;      /* of start and end                                             */
    uint64_t thread;     /* who called; for "thread" the one that is named               */
} injection_event;

/* Texts stay. */
typedef size_t injection_count_function(void);
typedef injection_event injection_at_function(size_t i);

#endif
