# tidegate_library(name DEPS …): the library of one top-level folder, made of every .cc below it. A folder sees only what
# it links, so a forbidden include fails to link; tests/tidy checks the headers too.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# jemalloc goes into the executable as an archive: the memory figures then do not depend on which allocator the machine
# has, and the calls need no indirection. Sanitizers bring their own allocator.
if(NOT TIDEGATE_SANITIZE)
  find_library(JEMALLOC_LIBRARY libjemalloc.a)
  if(NOT JEMALLOC_LIBRARY)
    message(FATAL_ERROR "libjemalloc.a not found: apt-get install libjemalloc-dev")
  endif()
endif()

# tidegate_uv: libuv, as an archive where the machine has one.
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
find_library(UV_ARCHIVE libuv_a.a)
add_library(tidegate_uv INTERFACE)
if(UV_ARCHIVE)
  target_link_libraries(tidegate_uv INTERFACE ${UV_ARCHIVE} Threads::Threads ${CMAKE_DL_LIBS} rt)
else()
  target_link_libraries(tidegate_uv INTERFACE PkgConfig::UV)
endif()

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
