# A room is a folder of src/ and a static library of the same name. It sees its own headers as
# "room/header.h" and those of the rooms it KNOWS; no include path leads anywhere else, so an
# include that breaks this rule does not compile. A target that links a room does not see the rooms
# that it KNOWS. A room within a room is named by its path: proxy-worker-route is the folder
# proxy/worker/route, and has "proxy/worker/route/header.h".
#
#   immure_room(client SOURCES connection.c ... KNOWS wire LINKS PkgConfig::CRYPTO)
function(immure_room name)
  cmake_parse_arguments(PARSE_ARGV 1 ROOM "" "" "SOURCES;KNOWS;LINKS")
  set(door ${CMAKE_BINARY_DIR}/rooms/${name})
  string(REPLACE - / folder ${name})
  cmake_path(GET folder PARENT_PATH house)
  file(MAKE_DIRECTORY ${door}/${house})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${door}/${folder} SYMBOLIC)
  add_library(${name} STATIC ${ROOM_SOURCES})
  target_include_directories(${name} PUBLIC ${door})
  target_link_libraries(${name} PRIVATE compile ${ROOM_KNOWS} ${ROOM_LINKS})
  set_property(GLOBAL PROPERTY room_${name}_knows ${ROOM_KNOWS})
endfunction()

# A program: one main file and the room it belongs to.
function(immure_program name main room)
  add_executable(${name} ${main})
  get_property(knows GLOBAL PROPERTY room_${room}_knows)
  target_link_libraries(${name} PRIVATE compile ${room} ${knows} ${ARGN})
endfunction()
