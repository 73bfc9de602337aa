#include "base/hash.h"

#include <sys/random.h>

#include <array>
#include <cstring>
#include <random>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tidegate {
namespace {

// Slice-by-8: table[k][b] is the CRC of byte b followed by k zero bytes, so eight bytes cost eight
// independent loads instead of a chain of eight dependent ones. 4 KiB, which stays in the
// first-level cache.
constexpr int kSlices = 8;
using Crc16Tables = std::array<std::array<uint16_t, 256>, kSlices>;

constexpr Crc16Tables MakeCrc16Tables() {
  Crc16Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
    tables[0][byte] = static_cast<uint16_t>(crc);
  }
  for (int slice = 1; slice < kSlices; ++slice) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint16_t previous = tables[slice - 1][byte];
      tables[slice][byte] = static_cast<uint16_t>((previous << 8) ^ tables[0][previous >> 8]);
    }
  }
  return tables;
}

constexpr Crc16Tables kCrc16 = MakeCrc16Tables();

// One seed per process, since hashes are computed where nobody knows of engines. A function-local
// one would cost a guard on every call.
uint64_t RandomSeed() {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = std::random_device{}();
  return seed;
}
uint64_t key_hash_seed = RandomSeed();

}  // namespace

uint16_t Crc16(std::string_view data) {
  const auto* p = reinterpret_cast<const uint8_t*>(data.data());
  size_t n = data.size();
  uint16_t crc = 0;
  while (n >= 8) {
    crc = kCrc16[7][p[0] ^ (crc >> 8)] ^ kCrc16[6][p[1] ^ (crc & 0xff)] ^ kCrc16[5][p[2]] ^
          kCrc16[4][p[3]] ^ kCrc16[3][p[4]] ^ kCrc16[2][p[5]] ^ kCrc16[1][p[6]] ^ kCrc16[0][p[7]];
    p += 8;
    n -= 8;
  }
  if (n >= 4) {
    crc = kCrc16[3][p[0] ^ (crc >> 8)] ^ kCrc16[2][p[1] ^ (crc & 0xff)] ^ kCrc16[1][p[2]] ^
          kCrc16[0][p[3]];
    p += 4;
    n -= 4;
  }
  while (n-- > 0) crc = static_cast<uint16_t>((crc << 8) ^ kCrc16[0][(crc >> 8) ^ *p++]);
  return crc;
}

uint16_t KeySlot(std::string_view key) {
  const auto* open = static_cast<const char*>(std::memchr(key.data(), '{', key.size()));
  if (open != nullptr) {
    const char* begin = open + 1;
    const size_t left = key.size() - static_cast<size_t>(begin - key.data());
    const auto* close = static_cast<const char*>(std::memchr(begin, '}', left));
    if (close != nullptr && close != begin) key = {begin, static_cast<size_t>(close - begin)};
  }
  return Crc16(key) & (kSlotCount - 1);
}

uint64_t KeyHash(std::string_view key) {
  return XXH3_64bits_withSeed(key.data(), key.size(), key_hash_seed);
}

uint64_t KeyHashSeed() { return key_hash_seed; }

void SetKeyHashSeed(uint64_t seed) { key_hash_seed = seed; }

}  // namespace tidegate
