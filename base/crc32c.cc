#include "base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace tidegate {
namespace {

using Table = std::array<uint32_t, 256>;

constexpr Table MakeTable() {
  constexpr uint32_t kPolynomial = 0x82f63b78;
  Table table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ kPolynomial : crc >> 1;
    table[byte] = crc;
  }
  return table;
}

constexpr Table kTable = MakeTable();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t ByInstruction(std::string_view data, uint32_t before) {
  const char* p = data.data();
  size_t n = data.size();
  uint64_t crc = ~before;
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t word;
    std::memcpy(&word, p, sizeof word);
    crc = _mm_crc32_u64(crc, word);
  }
  auto rest = static_cast<uint32_t>(crc);
  for (; n > 0; ++p, --n) rest = _mm_crc32_u8(rest, static_cast<uint8_t>(*p));
  return ~rest;
}
#endif

}  // namespace

namespace internal {

uint32_t Crc32cByTable(std::string_view data, uint32_t before) {
  uint32_t crc = ~before;
  for (const char c : data) crc = kTable[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

}  // namespace internal

uint32_t Crc32c(std::string_view data, uint32_t before) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2") != 0) return ByInstruction(data, before);
#endif
  return internal::Crc32cByTable(data, before);
}

}  // namespace tidegate
