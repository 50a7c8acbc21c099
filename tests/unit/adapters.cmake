# The adapters to TLS libraries, by the same scenarios; what is not here to be tried says SKIPPED.
#
#   immure_adapter_test(boringssl ssl_pair.c LINKS boringssl BoringSSL)
function(immure_adapter_test name)
  cmake_parse_arguments(PARSE_ARGV 1 ADAPTER "" "" "LINKS")
  immure_unit_test(${name} ${ADAPTER_LINKS} peer client wire base Threads::Threads)
  target_sources(test_${name} PRIVATE adapter_scenarios.c ${ADAPTER_UNPARSED_ARGUMENTS})
  # What the sanitizers do not see: what is read and was never written, in the libraries as well.
  if(VALGRIND AND NOT IMMURE_SANITIZE)
    add_test(NAME valgrind.${name} COMMAND ${VALGRIND} --quiet --error-exitcode=1 --leak-check=full
      --errors-for-leak-kinds=definite $<TARGET_FILE:test_${name}> scenario_abandoned)
    set_tests_properties(valgrind.${name} PROPERTIES TIMEOUT 900 ENVIRONMENT ABANDONED=60)
  endif()
endfunction()

function(immure_adapter_skipped name why)
  add_test(NAME unit.${name} COMMAND sh -c "echo 'SKIPPED: ${why}'; exit 77")
  set_tests_properties(unit.${name} PROPERTIES SKIP_RETURN_CODE 77)
endfunction()

find_program(VALGRIND valgrind)
immure_adapter_test(openssl ssl_pair.c tls_contexts.c
  LINKS fake_signer provider PkgConfig::SSL PkgConfig::CRYPTO)
if(TARGET BoringSSL)
  immure_adapter_test(boringssl ssl_pair.c LINKS boringssl BoringSSL)
else()
  immure_adapter_skipped(boringssl "no BoringSSL, as android-libboringssl-dev has it, in BORINGSSL_ROOT")
endif()
if(TARGET Picotls)
  immure_adapter_test(picotls LINKS picotls Picotls fake_signer provider)
else()
  immure_adapter_skipped(picotls "PICOTLS_ROOT names no picotls")
endif()
