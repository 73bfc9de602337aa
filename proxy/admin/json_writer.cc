#include "proxy/admin/json_writer.h"

#include <cmath>
#include <cstdint>
#include <cstdio>

#include "base/shown_text.h"
#include "base/text.h"

namespace tidegate {

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
