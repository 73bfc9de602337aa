#include "proxy/topology/md5.h"

#include <bit>
#include <cstring>

namespace tidegate::topology {
namespace {

constexpr size_t kBlockBytes = 64;
constexpr size_t kLengthBytes = 8;

// floor(2^32 * |sin(i + 1)|)
constexpr uint32_t kSines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

constexpr int kRotations[4][4] = {
    {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

using State = std::array<uint32_t, 4>;

struct Step {
  uint32_t mixed;
  uint32_t word;  // index into the block
};

Step StepOf(uint32_t i, const State& s) {
  switch (i / 16) {
    case 0:
      return {.mixed = (s[1] & s[2]) | (~s[1] & s[3]), .word = i};
    case 1:
      return {.mixed = (s[3] & s[1]) | (~s[3] & s[2]), .word = (5 * i + 1) % 16};
    case 2:
      return {.mixed = s[1] ^ s[2] ^ s[3], .word = (3 * i + 5) % 16};
    default:
      return {.mixed = s[2] ^ (s[1] | ~s[3]), .word = 7 * i % 16};
  }
}

uint32_t LittleEndian32(const uint8_t* bytes) {
  return bytes[0] | static_cast<uint32_t>(bytes[1]) << 8 | static_cast<uint32_t>(bytes[2]) << 16 |
         static_cast<uint32_t>(bytes[3]) << 24;
}

void AddBlock(const uint8_t* block, State& state) {
  State s = state;
  for (uint32_t i = 0; i < 64; ++i) {
    const Step step = StepOf(i, s);
    const uint32_t sum = s[0] + step.mixed + kSines[i] + LittleEndian32(block + 4 * step.word);
    s = {s[3], s[1] + std::rotl(sum, kRotations[i / 16][i % 4]), s[1], s[2]};
  }
  for (size_t i = 0; i < 4; ++i) state[i] += s[i];
}

}  // namespace

std::array<uint8_t, 16> Md5(std::string_view data) {
  State state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  const auto* bytes = reinterpret_cast<const uint8_t*>(data.data());
  size_t left = data.size();
  for (; left >= kBlockBytes; left -= kBlockBytes, bytes += kBlockBytes) AddBlock(bytes, state);

  // What is left, one bit that is set, zeros, and the length in bits: one block or two.
  uint8_t tail[2 * kBlockBytes] = {};
  if (left > 0) std::memcpy(tail, bytes, left);
  tail[left] = 0x80;
  const size_t tail_bytes = left + 1 + kLengthBytes <= kBlockBytes ? kBlockBytes : 2 * kBlockBytes;
  const uint64_t bits = static_cast<uint64_t>(data.size()) * 8;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    tail[tail_bytes - kLengthBytes + i] = static_cast<uint8_t>(bits >> (8 * i));
  }
  for (size_t at = 0; at < tail_bytes; at += kBlockBytes) AddBlock(tail + at, state);

  std::array<uint8_t, 16> digest;
  for (size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<uint8_t>(state[i / 4] >> (8 * (i % 4)));
  }
  return digest;
}

}  // namespace tidegate::topology
