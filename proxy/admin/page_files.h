// The page for people at /, and the files that it loads from /page/: those of the folder
// proxy/admin/page/, which cmake/embed_files.cmake puts into the program. So there is nothing to
// install or to find, and nothing to build them with: what is in the folder is what browsers get.
// The page loads nothing from elsewhere, and writes what a server says as text nodes only, so that
// a key can never become markup.
#pragma once

#include <span>
#include <string_view>

namespace tidegate {

struct PageFile {
  std::string_view path;  // "/", "/page/app.js"
  std::string_view content_type;
  std::string_view text;
};

std::span<const PageFile> PageFiles();

}  // namespace tidegate
