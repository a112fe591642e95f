# Looks into what was built: no load through the non-coherent path in the PTX, since one launch may write
# what it reads; a symbol of its own for every kernel; and the library itself needs no CUDA to be loaded.
# (A kernel that spills, or would take more than 128 registers, fails the build where warnings do, as in .ci/run.)

file(STRINGS ${MODULE} lines REGEX "(\\.entry ct_|\\.func .*__internal|ld\\.global\\.nc)")
set(kernels)
foreach(line IN LISTS lines)
    if(line MATCHES "\\.entry (ct_[a-z0-9_]+)")
        set(kernel ${CMAKE_MATCH_1})
        list(APPEND kernels ${kernel})
    elseif(line MATCHES "\\.func") # of the math library, behind the kernels
        set(kernel ct_sin_cos_reduction)
    elseif(NOT kernel MATCHES "^ct_(sin|cos)_") # whose library functions read tables of constants
        message(SEND_ERROR "${kernel} has a load that may not see a write of the same launch: ${line}")
    endif()
endforeach()
list(REMOVE_DUPLICATES kernels)
list(LENGTH kernels n)
if(n LESS 150)
    message(FATAL_ERROR "only ${n} kernels were found in the PTX of ${MODULE}")
endif()
message(STATUS "${n} kernels")

execute_process(COMMAND ${READELF} -d ${LIBRARY} OUTPUT_VARIABLE needed COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCH "NEEDED[^\n]*(cuda|cublas)[^\n]*" cuda "${needed}")
if(cuda)
    message(SEND_ERROR "the library needs CUDA to be loaded: ${cuda}")
endif()
