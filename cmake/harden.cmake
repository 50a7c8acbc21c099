# Hardening by the compiler and the linker, in every program and library and for every build type.
# harden(TARGET) adds it to an interface target.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
include(CheckLinkerFlag)

# -fcf-protection is for x86, -mbranch-protection for ARM. Both restrict the targets of indirect
# jumps and protect return addresses.
set(harden_options "")
foreach(option -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -mbranch-protection=standard)
  string(MAKE_C_IDENTIFIER "harden${option}" known)
  check_c_compiler_flag(${option} ${known})
  if(${known})
    list(APPEND harden_options ${option})
  endif()
endforeach()

# The linker marks a program as compatible with shadow stacks only if all its objects are marked,
# and the C library's start files of Debian 12 are not, although they are compatible. So the mark is
# forced. (They lack the marks for indirect jumps too, which are not forced.)
check_linker_flag(C -Wl,-z,shstk harden_shadow_stack)

# glibc's length checks (_FORTIFY_SOURCE) work only if the compiler optimizes, because of the build
# type or of flags from outside, such as those of Debian's tools.
string(TOUPPER "${CMAKE_BUILD_TYPE}" harden_build_type)
set(CMAKE_REQUIRED_FLAGS "${CMAKE_C_FLAGS_${harden_build_type}}")
check_c_source_compiles("
#ifndef __OPTIMIZE__
#error it does not
#endif
int main(void) { return 0; }" harden_optimizes_${harden_build_type})
string(APPEND CMAKE_REQUIRED_FLAGS " -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -Werror")
check_c_source_compiles("
#include <stdio.h>
#if __USE_FORTIFY_LEVEL < 3
#error not so far
#endif
int main(void) { return 0; }" harden_fortifies_to_3_${harden_build_type})
unset(CMAKE_REQUIRED_FLAGS)

function(harden target)
  target_compile_options(${target} INTERFACE ${harden_options})
  target_link_options(${target} INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
  if(harden_shadow_stack)
    target_link_options(${target} INTERFACE -Wl,-z,shstk)
  endif()
  # Sanitizers check the same calls more thoroughly. Debian's tools define level 2, which is
  # undefined first.
  if(harden_optimizes_${harden_build_type} AND NOT IMMURE_SANITIZE)
    set(level 2)
    if(harden_fortifies_to_3_${harden_build_type})
      set(level 3)
    endif()
    target_compile_options(${target} INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${level})
  endif()
endfunction()
