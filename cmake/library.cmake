# libimmure for applications: several rooms in one library, shared and static, in which only the
# EXPORTS are visible.
#
#   immure_library(libimmure immure EXPORTS immure_* ROOMS client wire USES base)
#
# The library contains all objects of ROOMS, and those objects of the rooms it USES that they need.
# LINKS are libraries to link with.
function(immure_library target name)
  cmake_parse_arguments(PARSE_ARGV 2 LIB "" "" "EXPORTS;ROOMS;USES;LINKS")
  list(TRANSFORM LIB_ROOMS REPLACE "(.+)" "$<TARGET_FILE:\\1>" OUTPUT_VARIABLE rooms)
  list(TRANSFORM LIB_USES REPLACE "(.+)" "$<TARGET_FILE:\\1>" OUTPUT_VARIABLE used)
  list(TRANSFORM LIB_EXPORTS PREPEND --keep-global-symbol= OUTPUT_VARIABLE kept)
  list(JOIN LIB_EXPORTS "; " global)
  set(exports ${CMAKE_CURRENT_BINARY_DIR}/${target}.map)
  file(CONFIGURE OUTPUT ${exports} CONTENT "IMMURE_${PROJECT_VERSION_MAJOR} { global: ${global}; local: *; };\n")

  # One object in which all other symbols are local, so that none collides with one of the
  # application.
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${target}.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_LINKER} -r -o ${object} --whole-archive ${rooms} --no-whole-archive ${used}
    COMMAND ${CMAKE_OBJCOPY} --wildcard ${kept} ${object}
    DEPENDS ${LIB_ROOMS} ${LIB_USES} VERBATIM)

  add_library(${target} SHARED ${object})
  add_library(${target}-static STATIC ${object})
  target_link_libraries(${target} PRIVATE compile ${LIB_LINKS})
  target_link_options(${target} PRIVATE -Wl,--version-script=${exports})
  set_target_properties(${target} PROPERTIES
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} LINK_DEPENDS ${exports})
  if(NOT IMMURE_SANITIZE)
    target_link_options(${target} PRIVATE -Wl,-z,defs)
  endif()
  set_target_properties(${target} ${target}-static PROPERTIES
    OUTPUT_NAME ${name} LINKER_LANGUAGE C
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
endfunction()
