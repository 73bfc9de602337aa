# tidegate_library(name DEPS … WITHOUT …): the library of one folder, made of every .cc below it but for folders WITHOUT,
# which are libraries of their own. A folder sees only what it links, so a forbidden include fails to link; tests/tidy
# checks the headers too.
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

# tidegate_precompile(target HEADER …): parses these once for all sources of the target.
function(tidegate_precompile target)
  target_precompile_headers(${target} PRIVATE ${ARGN})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  endif()
  if(CCACHE)
    # ccache reuses objects built with a precompiled header only when told that its macros do not matter.
    set_target_properties(${target} PROPERTIES CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND};-E;env;CCACHE_SLOPPINESS=pch_defines,time_macros;${CCACHE}")
  endif()
endfunction()

function(tidegate_library name)
  cmake_parse_arguments(ARG "" "" "DEPS;WITHOUT" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  foreach(folder ${ARG_WITHOUT})
    list(FILTER sources EXCLUDE REGEX "^${CMAKE_CURRENT_SOURCE_DIR}/${folder}/")
  endforeach()
  if(NOT sources)  # headers alone: a library still needs one source
    set(sources ${CMAKE_CURRENT_BINARY_DIR}/headers_only.cc)
    file(TOUCH ${sources})
  endif()
  add_library(tidegate_${name} STATIC ${sources})
  target_include_directories(tidegate_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(tidegate_${name} PUBLIC Threads::Threads ${ARG_DEPS})
  # Half a second less for each file, a quarter of a build. With g++ alone: clang's presets build without, so that a
  # forgotten #include is still found.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    tidegate_precompile(tidegate_${name} <algorithm> <array> <atomic> <chrono> <functional> <map> <memory> <optional> <span>
                        <string> <string_view> <vector>)
  endif()
endfunction()
