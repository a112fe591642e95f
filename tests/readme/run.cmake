# cmake -DPROGRAM=.. -DEXPECTED=.. -P run.cmake: the program ends well, and prints what the file holds, if it
# holds anything.
execute_process(COMMAND ${PROGRAM} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE errors)
if(NOT status EQUAL 0)
    message(FATAL_ERROR "status ${status}\n${output}${errors}")
endif()
file(READ ${EXPECTED} expected)
if(expected AND NOT output STREQUAL expected)
    message(FATAL_ERROR "README.md says\n${expected}\nbut it prints\n${output}")
endif()
