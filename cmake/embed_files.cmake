# cmake -DOUT=x.cc -DFOLDER=… -P embed_files.cmake: writes the files of proxy/admin/page/ as the array that
# proxy/admin/page_files.h declares. The program then needs no files beside it. See there for what is served as what.
set(types_html "text/html; charset=utf-8")
set(types_css "text/css; charset=utf-8")
set(types_js "text/javascript; charset=utf-8")
set(types_svg "image/svg+xml")

file(GLOB files ${FOLDER}/*)
list(SORT files)
set(rows "")
foreach(file ${files})
  get_filename_component(name ${file} NAME)
  string(REGEX REPLACE ".*\\." "" extension ${name})
  set(path "/page/${name}")
  if(name STREQUAL "index.html")
    set(path "/")
  endif()
  if(NOT DEFINED types_${extension})
    message(FATAL_ERROR "${file}: no content type is known for .${extension}")
  endif()
  file(READ ${file} text)
  if(text MATCHES "\\)page_file\"")
    message(FATAL_ERROR "${file}: contains what ends the literal")
  endif()
  string(APPEND rows "    {\"${path}\", \"${types_${extension}}\", R\"page_file(${text})page_file\"},\n")
endforeach()

file(WRITE ${OUT} "#include \"proxy/admin/page_files.h\"\n\nnamespace tidegate {\n\nnamespace {\n\n"
  "constexpr PageFile kFiles[] = {\n${rows}};\n\n}  // namespace\n\n"
  "std::span<const PageFile> PageFiles() { return kFiles; }\n\n}  // namespace tidegate\n")
