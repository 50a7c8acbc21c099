# A room is a folder of src/ and a static library of the same name. It sees its own headers as
# "room/header.h" and those of the rooms it KNOWS; no include path leads anywhere else, so an include
# that breaks the rule of the house does not compile. Who links a room does not see what it knows.
#
#   immure_room(client SOURCES connection.c ... KNOWS wire LINKS PkgConfig::CRYPTO)
#
# A room may lie IN another folder: rules IN keyd is the library keyd_rules, and its headers are
# "keyd/rules/header.h".
function(immure_room name)
  cmake_parse_arguments(PARSE_ARGV 1 ROOM "" "IN" "SOURCES;KNOWS;LINKS")
  string(MAKE_C_IDENTIFIER "${ROOM_IN}_${name}" target)
  if(NOT ROOM_IN)
    set(target ${name})
  endif()
  set(door ${CMAKE_BINARY_DIR}/rooms/${target})
  file(MAKE_DIRECTORY ${door}/${ROOM_IN})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${door}/${ROOM_IN}/${name} SYMBOLIC)
  add_library(${target} STATIC ${ROOM_SOURCES})
  target_include_directories(${target} PUBLIC ${door})
  target_link_libraries(${target} PRIVATE compile ${ROOM_KNOWS} ${ROOM_LINKS})
  set_property(GLOBAL PROPERTY room_${target}_knows ${ROOM_KNOWS})
endfunction()

# A program: one main file and the room it belongs to.
function(immure_program name main room)
  add_executable(${name} ${main})
  get_property(knows GLOBAL PROPERTY room_${room}_knows)
  target_link_libraries(${name} PRIVATE compile ${room} ${knows} ${ARGN})
endfunction()
