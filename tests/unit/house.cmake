# The rule of the house: that a room may include a header, and may not include another, is tried with
# the compiler and the room's own include paths.
#
#   immure_house_test(client "wire/frame.h" MAY)
function(immure_house_test room header rule)
  string(MAKE_C_IDENTIFIER "${room}_${header}" name)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/house/${name}.c)
  file(WRITE ${source} "#include \"${header}\"\n")
  if(NOT EXISTS ${CMAKE_SOURCE_DIR}/src/${header})
    message(FATAL_ERROR "${header} does not exist, so this test would say nothing")
  endif()
  add_test(NAME house.${room}/${header}
    COMMAND ${CMAKE_C_COMPILER} -fsyntax-only
      "-I$<JOIN:$<TARGET_PROPERTY:${room},INCLUDE_DIRECTORIES>,;-I>" ${source}
    COMMAND_EXPAND_LISTS)
  if(rule STREQUAL "MAY_NOT")
    # Not WILL_FAIL: it shall fail for this reason and for no other.
    set_tests_properties(house.${room}/${header} PROPERTIES
      ENVIRONMENT LC_ALL=C PASS_REGULAR_EXPRESSION "${header}.*(No such file|file not found)")
  endif()
endfunction()

immure_house_test(wire "base/buffer.h" MAY)
immure_house_test(client "wire/frame.h" MAY)
immure_house_test(keyd "wire/frame.h" MAY)
immure_house_test(keyd "multibuffer/multibuffer.h" MAY)
immure_house_test(keyd "conf/tree.h" MAY)
immure_house_test(keyd "daemon/hand_over.h" MAY)
immure_house_test(proxy "daemon/hand_over.h" MAY)
immure_house_test(daemon "wire/frame.h" MAY_NOT)
immure_house_test(client "daemon/hand_over.h" MAY_NOT)
immure_house_test(base "wire/frame.h" MAY_NOT)
immure_house_test(base "conf/tree.h" MAY_NOT)
immure_house_test(conf "proxy/config/config.h" MAY_NOT)
immure_house_test(client "conf/tree.h" MAY_NOT)
immure_house_test(wire "client/core.h" MAY_NOT)
immure_house_test(client "keyd/keys/key.h" MAY_NOT)
immure_house_test(client "provider/key.h" MAY_NOT)
immure_house_test(keyd "client/core.h" MAY_NOT)
immure_house_test(keyd "proxy/worker/core/worker.h" MAY_NOT)
immure_house_test(provider "wire/frame.h" MAY_NOT)
immure_house_test(proxy "keyd/keys/key.h" MAY_NOT)
immure_house_test(proxy "multibuffer/multibuffer.h" MAY_NOT)
immure_house_test(operator "wire/scheme.h" MAY)
immure_house_test(operator "keyd/keys/key.h" MAY_NOT)
foreach(adapter boringssl picotls)
  if(TARGET ${adapter}) # applications compile them, and have no other headers
    immure_house_test(${adapter} "base/buffer.h" MAY_NOT)
    immure_house_test(${adapter} "client/core.h" MAY_NOT)
  endif()
endforeach()
