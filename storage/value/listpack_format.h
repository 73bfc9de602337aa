// Bytes of the listpack format, shared by what reads and what writes it; nobody else includes this.
// The picture is in listpack.h. Source: antirez's listpack specification and Redis 7's listpack.c.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tidegate {

inline constexpr size_t kListpackHeaderBytes = 6;
inline constexpr size_t kListpackEmptyBytes = kListpackHeaderBytes + 1;
// In place of a count: there are as many or more.
inline constexpr uint16_t kListpackCountUnknown = 0xffff;
inline constexpr uint8_t kListpackEnd = 0xff;

// First bytes of entries; those of the smaller kinds carry a part of the value or of its size.
struct ListpackFirst {
  static constexpr uint8_t kText6 = 0x80;
  static constexpr uint8_t kInteger13 = 0xc0;
  static constexpr uint8_t kText12 = 0xe0;
  static constexpr uint8_t kText32 = 0xf0;
  static constexpr uint8_t kInteger16 = 0xf1;
  static constexpr uint8_t kInteger24 = 0xf2;
  static constexpr uint8_t kInteger32 = 0xf3;
  static constexpr uint8_t kInteger64 = 0xf4;
};

inline constexpr size_t kListpackText6BytesMax = 63;
inline constexpr size_t kListpackText12BytesMax = 4095;

// Bytes of whole entries by their first byte; 0 for those that carry their size elsewhere, and for
// 0xff and the encodings that do not exist.
inline constexpr std::array<uint8_t, 256> kListpackEntryBytes = [] {
  std::array<uint8_t, 256> bytes{};
  for (size_t b = 0; b < 0x80; ++b) bytes[b] = 2;
  for (size_t b = 0x80; b < 0xc0; ++b) bytes[b] = static_cast<uint8_t>(2 + (b & 0x3f));
  for (size_t b = 0xc0; b < 0xe0; ++b) bytes[b] = 3;
  bytes[ListpackFirst::kInteger16] = 4;
  bytes[ListpackFirst::kInteger24] = 5;
  bytes[ListpackFirst::kInteger32] = 6;
  bytes[ListpackFirst::kInteger64] = 10;
  return bytes;
}();

// Bytes of the backlen of an entry that is `n` bytes long without it. The limits are Redis's: one
// less than what two and more groups of seven bits would hold.
inline size_t ListpackBacklenBytes(uint64_t n) {
  if (n <= 127) return 1;
  if (n < (uint64_t{1} << 14) - 1) return 2;
  if (n < (uint64_t{1} << 21) - 1) return 3;
  if (n < (uint64_t{1} << 28) - 1) return 4;
  return 5;
}

// Writes up to 5 bytes and returns what is behind them.
inline uint8_t* WriteListpackBacklen(uint8_t* p, uint64_t n) {
  if (n <= 127) {
    *p = static_cast<uint8_t>(n);
    return p + 1;
  }
  const size_t bytes = ListpackBacklenBytes(n);
  for (size_t i = bytes; i > 0; --i) {
    p[i - 1] = static_cast<uint8_t>((n & 0x7f) | (i > 1 ? 0x80u : 0u));
    n >>= 7;
  }
  return p + bytes;
}

}  // namespace tidegate
