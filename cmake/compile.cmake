# How everything here is compiled: one interface target, `compile`, that every room links.
add_library(compile INTERFACE)
target_compile_features(compile INTERFACE c_std_11)
target_compile_definitions(compile INTERFACE _GNU_SOURCE IMMURE_VERSION="${PROJECT_VERSION}")
target_compile_options(compile INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
  -fstack-protector-strong -fno-common -fno-omit-frame-pointer)
target_include_directories(compile INTERFACE ${CMAKE_SOURCE_DIR}/include)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_link_options(-Wl,-z,relro,-z,now -pie)

if(IMMURE_WERROR)
  target_compile_options(compile INTERFACE -Werror)
endif()

if(IMMURE_SANITIZE)
  # The walls of immured (seccomp, not dumpable) forbid what a sanitizer's run time needs.
  target_compile_definitions(compile INTERFACE IMMURE_SANITIZE="${IMMURE_SANITIZE}")
  target_compile_options(compile INTERFACE -fsanitize=${IMMURE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(compile INTERFACE -fsanitize=${IMMURE_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_options(compile INTERFACE -D_FORTIFY_SOURCE=2)
endif()
