# What the compiler and the linker do against the faults that are left: in every program and library,
# by whatever name the build goes. harden(TARGET) adds it to an interface target.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
include(CheckLinkerFlag)

# -fcf-protection is x86's, -mbranch-protection ARM's; both mark where a jump may land and what
# returns where.
set(harden_options "")
foreach(option -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -mbranch-protection=standard)
  string(MAKE_C_IDENTIFIER "harden${option}" known)
  check_c_compiler_flag(${option} ${known})
  if(${known})
    list(APPEND harden_options ${option})
  endif()
endforeach()

# The linker says that a program can have a shadow stack only if all that is linked says so, and the
# C library's start files of Debian 12 do not, though they return where they came from. (They have no
# marks for jumps either; whether a program can have those stays the linker's to say.)
check_linker_flag(C -Wl,-z,shstk harden_shadow_stack)

# glibc checks lengths where the compiler optimizes, however it was told to: by the kind of build, or
# by flags, as Debian's tools do.
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
  # Sanitizers look at the same calls, and better. Debian's tools have asked for level 2 by now.
  if(harden_optimizes_${harden_build_type} AND NOT IMMURE_SANITIZE)
    set(level 2)
    if(harden_fortifies_to_3_${harden_build_type})
      set(level 3)
    endif()
    target_compile_options(${target} INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${level})
  endif()
endfunction()
