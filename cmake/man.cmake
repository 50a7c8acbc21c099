# Man pages out of docs/*.md, by pandoc: immure_man(PAGE.SECTION "what it is") for each, with
# -DIMMURE_MAN=ON.
option(IMMURE_MAN "make the man pages (needs pandoc)" OFF)
if(NOT IMMURE_MAN)
  return()
endif()
find_program(PANDOC pandoc REQUIRED)

function(immure_man page what)
  string(REGEX MATCH "^(.+)\\.([0-9])$" page ${page})
  set(name ${CMAKE_MATCH_1})
  set(section ${CMAKE_MATCH_2})
  set(source ${CMAKE_SOURCE_DIR}/docs/${name}.md)
  set(filter ${CMAKE_SOURCE_DIR}/cmake/man.lua)
  set(out ${CMAKE_BINARY_DIR}/man/${page})
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/man
    COMMAND ${PANDOC} --standalone --from gfm --to man --lua-filter ${filter}
      --metadata "title=${name}" --metadata section=${section} --metadata "what=${what}"
      --metadata "footer=immure ${PROJECT_VERSION}" --output ${out} ${source}
    DEPENDS ${source} ${filter} VERBATIM)
  set_property(GLOBAL APPEND PROPERTY man_pages ${out})
  install(FILES ${out} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endfunction()

immure_man(immured.8 "keep private keys, and sign TLS handshakes with them")
immure_man(immured.conf.5 "configuration of immured")
immure_man(immure-proxy.8 "TLS terminator whose private keys are in another process")
immure_man(immure-proxy.conf.5 "configuration of immure-proxy")
immure_man(immure.1 "keys, references and figures of immured")
immure_man(immure-storm.1 "handshake storms, and probes meanwhile, for any TLS server")
immure_man(immure-provider.7 "OpenSSL provider for private keys in immured")

get_property(pages GLOBAL PROPERTY man_pages)
add_custom_target(man ALL DEPENDS ${pages})
