# tidegate_library(name DEPS …): the library of one top-level folder, made of every .cc below it. A folder sees only what
# it links, so a forbidden include fails to link; tests/tidy checks the headers too.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(tidegate_library name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  if(NOT sources)  # headers alone: a library still needs one source
    set(sources ${CMAKE_CURRENT_BINARY_DIR}/headers_only.cc)
    file(TOUCH ${sources})
  endif()
  add_library(tidegate_${name} STATIC ${sources})
  target_include_directories(tidegate_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(tidegate_${name} PUBLIC Threads::Threads ${ARG_DEPS})
endfunction()
