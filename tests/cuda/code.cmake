# Looks into what was built: no load through the non-coherent path in the PTX, since one launch may write
# what it reads; a symbol of its own for every kernel; and the library itself needs no CUDA to be loaded.
# (A kernel that spills, or would take more than 128 registers, fails the build: ptxas is told so.)

file(STRINGS ${MODULE} kernels REGEX "\\.entry ct_")
list(REMOVE_DUPLICATES kernels)
list(LENGTH kernels n)
if(n LESS 150)
    message(FATAL_ERROR "only ${n} kernels were found in the PTX of ${MODULE}")
endif()
message(STATUS "${n} kernels")

file(STRINGS ${MODULE} loads REGEX "ld\\.global\\.nc")
if(loads)
    message(SEND_ERROR "loads that may not see a write of the same launch: ${loads}")
endif()

execute_process(COMMAND ${READELF} -d ${LIBRARY} OUTPUT_VARIABLE needed COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCH "NEEDED[^\n]*(cuda|cublas)[^\n]*" cuda "${needed}")
if(cuda)
    message(SEND_ERROR "the library needs CUDA to be loaded: ${cuda}")
endif()
