// What a backslash stands for inside double quotes, as Redis's sdssplitargs reads it: in its
// configuration files, in inline commands, and in the manifest of append-only files.
#pragma once

namespace tidegate {

// The byte behind a backslash: "\n" is a line feed, and what has no meaning is itself.
constexpr char Unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

// 0 to 15; -1: not a hexadecimal digit.
constexpr int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace tidegate
