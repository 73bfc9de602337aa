#include "proxy/admin/json_writer.h"

#include <cmath>
#include <cstdint>
#include <cstdio>

#include "base/text.h"

namespace tidegate {

namespace {

// First bytes of UTF-8 characters of several bytes, what the second byte may then be, and how long
// the character is: without overlong forms and surrogates. Source: RFC 3629, section 4.
struct Utf8Lead {
  uint8_t first_min;
  uint8_t first_max;
  uint8_t second_min;
  uint8_t second_max;
  size_t bytes;
};
constexpr Utf8Lead kUtf8Leads[] = {{0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
                                   {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3},
                                   {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
                                   {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};

// Bytes of the UTF-8 character that `text`, which is not empty, begins with; 0 when there is none.
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (byte(0) < 0x80) return 1;
  for (const Utf8Lead& lead : kUtf8Leads) {
    if (byte(0) < lead.first_min || byte(0) > lead.first_max) continue;
    if (text.size() < lead.bytes || byte(1) < lead.second_min || byte(1) > lead.second_max)
      return 0;
    for (size_t i = 2; i < lead.bytes; ++i) {
      if ((byte(i) & 0xC0) != 0x80) return 0;
    }
    return lead.bytes;
  }
  return 0;
}

}  // namespace

JsonWriter& JsonWriter::Open(char bracket) {
  Separate();
  text_ += bracket;
  first_ = true;
  return *this;
}

JsonWriter& JsonWriter::Close(char bracket) {
  text_ += bracket;
  first_ = false;
  return *this;
}

void JsonWriter::Separate() {
  if (!first_) text_ += ',';
  first_ = false;
}

JsonWriter& JsonWriter::Key(std::string_view name) {
  Separate();
  AppendEscaped(name);
  text_ += ':';
  first_ = true;
  return *this;
}

JsonWriter& JsonWriter::Text(std::string_view text) {
  Separate();
  AppendEscaped(text);
  return *this;
}

JsonWriter& JsonWriter::Bool(bool value) {
  Separate();
  text_ += value ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::Real(double value) {
  Separate();
  text_ += std::isfinite(value) ? FormatDouble(value) : "null";
  return *this;
}

void JsonWriter::AppendEscaped(std::string_view text) {
  text_ += '"';
  while (!text.empty()) {
    const char c = text.front();
    size_t length = Utf8Length(text);
    if (length == 0) {
      text_ += "\\ufffd";
      length = 1;
    } else if (c == '"' || c == '\\') {
      text_ += '\\';
      text_ += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(c));
      text_ += escape;
    } else {
      text_ += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  text_ += '"';
}

}  // namespace tidegate
