// In C++ too, `= {0}` makes every public struct.
#include <cutape/cutape.h>

#include <type_traits>

#define PLAIN(type)                                                                                                    \
    static_assert(std::is_standard_layout<type>::value && std::is_trivial<type>::value, "a plain struct");             \
    static_assert(sizeof(type{0}) > 0, "");

PLAIN(ct_tensor)
PLAIN(ct_config)
PLAIN(ct_info)
PLAIN(ct_stats)
PLAIN(ct_mlp_config)
PLAIN(ct_sgd_config)
PLAIN(ct_adam_config)
PLAIN(ct_loader_config)
PLAIN(ct_checkpoint)
PLAIN(ct_op_handle)
PLAIN(ct_op_config)
PLAIN(ct_op_call)
PLAIN(ct_op_tensor)
PLAIN(ct_op_scalar)
PLAIN(ct_op_gradient)

ct_config zero_config();
ct_config zero_config()
{
    ct_config c = {0};
    return c;
}
