/* The words for a tape: how its drawing (tape_dot.c) and its listing (tape_print.c) call
 * tensors, shapes, phases and attributes. Reads the tape, and changes nothing. */
#ifndef CUTAPE_FILES_TAPE_WORDS_H
#define CUTAPE_FILES_TAPE_WORDS_H

#include "files/text.h"
#include "ops/op.h"

/* CT_OK if the context has a tape to read. */
ct_status ct_tape_words_ready(const ct_context *);

/* Its name; "w.grad"; or "leaf 3", "%12" by its number, as valid UTF-8 on one line. */
void ct_say_name(ct_context *, ct_text *, ct_ref);
/* Was it given a name, or is it the .grad of such a one? */
bool ct_has_name(ct_context *, ct_ref);
/* "f32 [64,10]" */
void ct_say_shape(ct_context *, ct_text *, ct_ref);
/* " activation=relu p=0.5", from ct_op.shown; nothing if there is nothing to show. */
void ct_say_attributes(ct_context *, ct_text *, const ct_record *);
/* The step, how many records it has, and how many of them were played. */
void ct_say_step(ct_context *, ct_text *);
void ct_say_op(ct_context *, ct_text *, const ct_record *);

/* The .grad of a leaf. */
bool ct_is_grad(ct_context *, ct_ref);
/* The runtime's own: counts, cursors, an optimizer's moments. Neither output names them one by one. */
bool ct_is_state(ct_context *, ct_ref);
/* How many of a record's inputs are state. */
uint32_t ct_count_state(ct_context *, const ct_record *);

#endif
