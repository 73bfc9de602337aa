#include "base/sha1.h"

#include <bit>
#include <cstring>

namespace tidegate {
namespace {

constexpr size_t kBlockBytes = 64;
constexpr size_t kLengthBytes = 8;

using State = std::array<uint32_t, 5>;

uint32_t BigEndian32(const uint8_t* bytes) {
  return static_cast<uint32_t>(bytes[0]) << 24 | static_cast<uint32_t>(bytes[1]) << 16 |
         static_cast<uint32_t>(bytes[2]) << 8 | bytes[3];
}

// The function and the constant of step i.
uint32_t Mixed(size_t i, const State& s) {
  switch (i / 20) {
    case 0:
      return ((s[1] & s[2]) | (~s[1] & s[3])) + 0x5a827999;
    case 1:
      return (s[1] ^ s[2] ^ s[3]) + 0x6ed9eba1;
    case 2:
      return ((s[1] & s[2]) | (s[1] & s[3]) | (s[2] & s[3])) + 0x8f1bbcdc;
    default:
      return (s[1] ^ s[2] ^ s[3]) + 0xca62c1d6;
  }
}

void AddBlock(const uint8_t* block, State& state) {
  uint32_t words[80];
  for (size_t i = 0; i < 16; ++i) words[i] = BigEndian32(block + 4 * i);
  for (size_t i = 16; i < 80; ++i)
    words[i] = std::rotl(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
  State s = state;
  for (size_t i = 0; i < 80; ++i) {
    const uint32_t next = std::rotl(s[0], 5) + Mixed(i, s) + s[4] + words[i];
    s = {next, s[0], std::rotl(s[1], 30), s[2], s[3]};
  }
  for (size_t i = 0; i < s.size(); ++i) state[i] += s[i];
}

}  // namespace

std::array<uint8_t, 20> Sha1(std::string_view data) {
  State state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  const auto* bytes = reinterpret_cast<const uint8_t*>(data.data());
  size_t left = data.size();
  for (; left >= kBlockBytes; left -= kBlockBytes, bytes += kBlockBytes) AddBlock(bytes, state);

  // What is left, one bit that is set, zeros, and the length in bits: one block or two.
  uint8_t tail[2 * kBlockBytes] = {};
  if (left > 0) std::memcpy(tail, bytes, left);
  tail[left] = 0x80;
  const size_t tail_bytes = left + 1 + kLengthBytes <= kBlockBytes ? kBlockBytes : 2 * kBlockBytes;
  const uint64_t bits = static_cast<uint64_t>(data.size()) * 8;
  for (size_t i = 0; i < kLengthBytes; ++i)
    tail[tail_bytes - 1 - i] = static_cast<uint8_t>(bits >> (8 * i));
  for (size_t at = 0; at < tail_bytes; at += kBlockBytes) AddBlock(tail + at, state);

  std::array<uint8_t, 20> digest;
  for (size_t i = 0; i < digest.size(); ++i)
    digest[i] = static_cast<uint8_t>(state[i / 4] >> (8 * (3 - i % 4)));
  return digest;
}

std::string Sha1Hex(std::string_view data) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : Sha1(data)) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace tidegate
