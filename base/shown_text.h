// Names that may hold any bytes, as JSON and pages show them: as text for people, and exactly.
// Pure functions. Threads: any.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tidegate {

// Bytes of the UTF-8 character that `text`, which is not empty, begins with; 0: none begins there.
// Source: RFC 3629, section 4.
size_t Utf8Length(std::string_view text);

// Text as it is, in UTF-8; control bytes and what is no UTF-8 as \xNN, a backslash as two.
std::string ShownText(std::string_view bytes);

// With padding. Source: RFC 4648, section 4.
std::string Base64(std::string_view bytes);

}  // namespace tidegate
