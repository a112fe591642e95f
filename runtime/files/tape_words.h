/* The words for a tape: how its drawing (tape_dot.c) and its listing (tape_print.c) call
 * tensors, shapes, phases and attributes. Reads the tape, and changes nothing. */
#ifndef CUTAPE_FILES_TAPE_WORDS_H
#define CUTAPE_FILES_TAPE_WORDS_H

#include "files/text.h"
#include "ops/op.h"

typedef struct ct_tape_words {
    ct_context *ctx;
    ct_ref *owner; /* by number of a leaf: the leaf whose .grad it is, or CT_REF_NONE */
} ct_tape_words;

/* Checks the context, and reports a failure under the name of the call. */
ct_status ct_tape_words_open(ct_tape_words *, ct_context *, const char *call);
void ct_tape_words_close(ct_tape_words *);

/* Its name; "w.grad"; or "leaf 3", "%12" by its number, as valid UTF-8 on one line. */
void ct_say_name(const ct_tape_words *, ct_text *, ct_ref);
/* Was it given a name, or is it the .grad of such a one? */
bool ct_has_name(const ct_tape_words *, ct_ref);
/* "f32 [64,10]" */
void ct_say_shape(const ct_tape_words *, ct_text *, ct_ref);
/* " activation=relu p=0.5", from ct_op.shown; nothing if there is nothing to show. */
void ct_say_attributes(const ct_tape_words *, ct_text *, const ct_record *);
/* The step, how many records it has, and how many of them were played. */
void ct_say_step(const ct_tape_words *, ct_text *);
const char *ct_phase_name(uint8_t phase);
void ct_say_op(const ct_tape_words *, ct_text *, const ct_record *);

/* The .grad of a leaf. */
bool ct_is_grad(const ct_tape_words *, ct_ref);
/* The runtime's own: counts, cursors, an optimizer's moments. Neither output names them one by one. */
bool ct_is_state(const ct_tape_words *, ct_ref);
/* How many of a record's inputs are state. */
uint32_t ct_count_state(const ct_tape_words *, const ct_record *);

#endif
