// Bytes of users as text for people: keys, values and client names may hold anything, and what is
// shown of them has to be valid UTF-8 on one line.
//
// Whole UTF-8 characters stay as they are, so that a key in any language can be read; a backslash
// is doubled; control characters and bytes that are no UTF-8 become \xNN, as redis-cli writes them.
// So different bytes are never shown as the same text. Pure functions. Threads: any.
// Source: RFC 3629, section 4, for what is UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tidegate {

// Bytes of the UTF-8 character that `text`, which is not empty, begins with; 0 when there is none.
size_t Utf8Length(std::string_view text);

void AppendShown(std::string& out, std::string_view bytes);
inline std::string Shown(std::string_view bytes) {
  std::string text;
  AppendShown(text, bytes);
  return text;
}

// Appends `text` as a JSON string, quotes included. What is no UTF-8 becomes U+FFFD.
void AppendJsonString(std::string& out, std::string_view text);

// The exact bytes, with padding. Source: RFC 4648, section 4.
std::string Base64(std::string_view bytes);

}  // namespace tidegate
