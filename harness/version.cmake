# Writes OUT (version.h): which version, commit and build this is. Only when it changed, so that
# nothing is compiled again for nothing.
execute_process(COMMAND git -C ${SOURCE} rev-parse HEAD OUTPUT_VARIABLE commit
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit unknown)
endif()
# of what the program is made of: who edits a spec has the same program
execute_process(COMMAND git -C ${SOURCE} status --porcelain -- CMakeLists.txt harness engine kernels results plots
                OUTPUT_VARIABLE changes ERROR_QUIET)
set(dirty 0)
if(failed OR NOT "${changes}" STREQUAL "")
  set(dirty 1)
endif()
set(text "/* made by harness/version.cmake at build time */
#define VERSION_NUMBER \"${VERSION}\"
#define VERSION_COMMIT \"${commit}\"
#define VERSION_DIRTY ${dirty}
#define VERSION_BUILD \"${FLAGS}\"
#define VERSION_CUDA \"${CUDA}\"
")
set(old "")
if(EXISTS ${OUT})
  file(READ ${OUT} old)
endif()
if(NOT "${old}" STREQUAL "${text}")
  file(WRITE ${OUT} "${text}")
endif()
