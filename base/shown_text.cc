#include "base/shown_text.h"

#include <cstdint>
#include <cstdio>

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

constexpr uint8_t kDelete = 0x7F;

// The control characters of ASCII, and the 32 that UTF-8 writes as C2 80 to C2 9F.
bool IsControl(std::string_view character) {
  const auto first = static_cast<uint8_t>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == kDelete;
  return first == 0xC2 && static_cast<uint8_t>(character[1]) < 0xA0;
}

void AppendHex(std::string& out, std::string_view bytes) {
  for (const char byte : bytes) {
    char text[8];
    std::snprintf(text, sizeof(text), "\\x%02x", static_cast<unsigned>(static_cast<uint8_t>(byte)));
    out += text;
  }
}

}  // namespace

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

void AppendShown(std::string& out, std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t length = Utf8Length(bytes);
    const std::string_view character = bytes.substr(0, length == 0 ? 1 : length);
    if (length == 0 || IsControl(character)) {
      AppendHex(out, character);
    } else if (character == "\\") {
      out += "\\\\";
    } else {
      out += character;
    }
    bytes.remove_prefix(character.size());
  }
}

void AppendJsonString(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const char c = text.front();
    size_t length = Utf8Length(text);
    if (length == 0) {
      out += "\\ufffd";
      length = 1;
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  out += '"';
}

std::string Base64(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](size_t at) {
      return at < bytes.size() ? static_cast<uint32_t>(static_cast<uint8_t>(bytes[at])) : 0;
    };
    const uint32_t three = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    text += kDigits[three >> 18];
    text += kDigits[three >> 12 & 63];
    text += i + 1 < bytes.size() ? kDigits[three >> 6 & 63] : '=';
    text += i + 2 < bytes.size() ? kDigits[three & 63] : '=';
  }
  return text;
}

}  // namespace tidegate
