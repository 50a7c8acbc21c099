# What `cmake --install` installs, and where.
include(GNUInstallDirs)
include(cmake/man.cmake)

install(TARGETS immured immure-proxy RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
install(TARGETS immure immure-storm)
install(FILES packaging/completion/immure.bash
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME immure)
install(TARGETS libimmure libimmure-static libimmure-openssl libimmure-openssl-static)
install(DIRECTORY include/immure TYPE INCLUDE)
foreach(name boringssl picotls)
  install(FILES src/adapter/${name}/${name}.c DESTINATION ${CMAKE_INSTALL_DATADIR}/immure/adapter)
endforeach()
foreach(name immure immure-openssl)
  configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
