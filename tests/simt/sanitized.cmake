# Builds the tests and the stand-in under AddressSanitizer and UndefinedBehaviorSanitizer, and runs what runs
# on the stand-in: so every access of every kernel is checked, on a machine without a GPU.
# SOURCE, WORK: folders. GENERATOR: of the build.

execute_process(COMMAND ${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK} -G ${GENERATOR} -DCMAKE_BUILD_TYPE=RelWithDebInfo
                        "-DCMAKE_C_FLAGS_RELWITHDEBINFO=-O1 -g1" "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1"
                        -DCUTAPE_SANITIZE=address,undefined,float-cast-overflow -DCUTAPE_CUDA=OFF
                        -DCUTAPE_EXAMPLES=OFF -DCUTAPE_BENCHMARKS=OFF -DBUILD_TESTING=ON
                COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${WORK} --parallel 2 --target simt_suites
                COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
execute_process(COMMAND ${CMAKE_CTEST_COMMAND} --test-dir ${WORK} --parallel 2 -L simt --output-on-failure
                        --no-tests=error COMMAND_ERROR_IS_FATAL ANY)
