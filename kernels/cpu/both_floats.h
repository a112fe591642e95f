/* Includes a family's template once for float and once for double. Define CT_TEMPLATE
 * as the file; in it T is the type, N(name) the name of a function for it, M(f) the C
 * math function, SCALAR the field of ct_scalar. */
#define T float
#define N(name) name##_f32
#define M(name) CT_F32_##name
#define SCALAR f32
#define INDEX int32_t
#include CT_TEMPLATE
#undef T
#undef N
#undef M
#undef SCALAR
#undef INDEX
#define T double
#define N(name) name##_f64
#define M(name) name
#define SCALAR f64
#define INDEX int64_t
#include CT_TEMPLATE
#undef T
#undef N
#undef M
#undef SCALAR
#undef INDEX
#undef CT_TEMPLATE

#ifndef CT_BOTH
#define CT_BOTH(name)                                                                                                  \
    {                                                                                                                  \
        [F32] = name##_f32, [F64] = name##_f64                                                                         \
    }
#endif
