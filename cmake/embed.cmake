# Embeds files in a program as C arrays: embed(SYMBOL FILE ...) makes SYMBOL.c in the build folder,
# with a zero-terminated `const char SYMBOL_<file_name>[]` for each file, and sets <SYMBOL>_SOURCE
# to its path. Run as a script (cmake -DOUT= -DSYMBOL= -DFILES= -P), it does the work at build time.
if(CMAKE_SCRIPT_MODE_FILE)
  set(text "")
  foreach(file ${FILES})
    get_filename_component(name ${file} NAME)
    string(MAKE_C_IDENTIFIER ${name} name)
    file(READ ${file} bytes HEX)
    string(REGEX REPLACE "(................................)" "\\1\n    " bytes "${bytes}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
    string(APPEND text "extern const char ${SYMBOL}_${name}[];\n"
      "const char ${SYMBOL}_${name}[] = {\n    ${bytes}'\\0'};\n")
  endforeach()
  file(WRITE ${OUT} "${text}")
  return()
endif()

set(embed_script ${CMAKE_CURRENT_LIST_FILE})
function(embed symbol)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
  list(TRANSFORM ARGN PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ OUTPUT_VARIABLE files)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DSYMBOL=${symbol} "-DFILES=${files}" -P ${embed_script}
    DEPENDS ${files} ${embed_script} VERBATIM)
  set(${symbol}_SOURCE ${out} PARENT_SCOPE)
endfunction()
