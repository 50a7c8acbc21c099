# The compiler options: one interface target, `compile`, which every room links.
add_library(compile INTERFACE)
target_compile_features(compile INTERFACE c_std_11)
target_compile_definitions(compile INTERFACE _GNU_SOURCE IMMURE_VERSION="${PROJECT_VERSION}")
target_compile_options(compile INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
  -fno-common -fno-omit-frame-pointer)
harden(compile)
target_include_directories(compile INTERFACE ${CMAKE_SOURCE_DIR}/include)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_link_options($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-pie>)

if(IMMURE_WERROR)
  target_compile_options(compile INTERFACE -Werror)
endif()

if(IMMURE_SANITIZE)
  # The walls of immured (seccomp, not dumpable) forbid what a sanitizer's run time needs.
  target_compile_definitions(compile INTERFACE IMMURE_SANITIZE="${IMMURE_SANITIZE}")
  target_compile_options(compile INTERFACE -fsanitize=${IMMURE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(compile INTERFACE -fsanitize=${IMMURE_SANITIZE})
endif()
