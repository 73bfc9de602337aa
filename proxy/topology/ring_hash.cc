#include "proxy/topology/ring_hash.h"

#include <array>
#include <bit>

#include "base/check.h"
#include "proxy/topology/md5.h"

namespace tidegate::topology {
namespace {

constexpr std::string_view kNames[kRingHashCount] = {
    "one_at_a_time", "md5",     "crc16",    "crc32", "crc32a", "fnv1_64",
    "fnv1a_64",      "fnv1_32", "fnv1a_32", "hsieh", "murmur", "jenkins"};

// A byte as twemproxy sees it: of signed type.
uint32_t SignedByte(char byte) {
  return static_cast<uint32_t>(static_cast<int32_t>(static_cast<int8_t>(byte)));
}

uint32_t Byte(char byte) { return static_cast<uint8_t>(byte); }

// The first `count` bytes, up to four, the lowest first.
uint32_t LittleEndian(const char* bytes, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) value |= Byte(bytes[i]) << (8 * i);
  return value;
}

uint32_t OneAtATime(std::string_view key) {
  uint32_t value = 0;
  for (const char byte : key) {
    value += SignedByte(byte);
    value += value << 10;
    value ^= value >> 6;
  }
  value += value << 3;
  value ^= value >> 11;
  value += value << 15;
  return value;
}

uint32_t Md5Head(std::string_view key) {
  const std::array<uint8_t, 16> digest = Md5(key);
  return LittleEndian(reinterpret_cast<const char*>(digest.data()), 4);
}

constexpr std::array<uint16_t, 256> kCrc16Table = [] {
  std::array<uint16_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t crc = i << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021 : 0);
    table[i] = static_cast<uint16_t>(crc);
  }
  return table;
}();

constexpr std::array<uint32_t, 256> kCrc32Table = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
    table[i] = crc;
  }
  return table;
}();

// Not cut to 16 bits: what was shifted out at the top stays.
uint32_t Crc16Uncut(std::string_view key) {
  uint32_t crc = 0;
  for (const char byte : key) crc = (crc << 8) ^ kCrc16Table[((crc >> 8) ^ Byte(byte)) & 0xff];
  return crc;
}

uint32_t Crc32(std::string_view key) {
  uint32_t crc = UINT32_MAX;
  for (const char byte : key) crc = (crc >> 8) ^ kCrc32Table[(crc ^ Byte(byte)) & 0xff];
  return ~crc;
}

constexpr uint32_t kFnvBasis32 = 0x811c9dc5;
constexpr uint32_t kFnvPrime32 = 0x01000193;
// The low halves of the 64-bit ones: all that reaches the low half of a hash.
constexpr uint32_t kFnvBasis64Low = 0x84222325;
constexpr uint32_t kFnvPrime64Low = 0x000001b3;

uint32_t Fnv1(std::string_view key, uint32_t basis, uint32_t prime) {
  for (const char byte : key) basis = (basis * prime) ^ SignedByte(byte);
  return basis;
}

uint32_t Fnv1a(std::string_view key, uint32_t basis, uint32_t prime) {
  for (const char byte : key) basis = (basis ^ SignedByte(byte)) * prime;
  return basis;
}

uint32_t HsiehTail(uint32_t hash, const char* tail, size_t bytes) {
  switch (bytes) {
    case 3:
      hash += LittleEndian(tail, 2);
      hash ^= hash << 16;
      hash ^= SignedByte(tail[2]) << 18;
      return hash + (hash >> 11);
    case 2:
      hash += LittleEndian(tail, 2);
      hash ^= hash << 11;
      return hash + (hash >> 17);
    case 1:
      hash += Byte(tail[0]);
      hash ^= hash << 10;
      return hash + (hash >> 1);
    default:
      return hash;
  }
}

uint32_t Hsieh(std::string_view key) {
  if (key.empty()) return 0;
  uint32_t hash = 0;
  const char* at = key.data();
  for (size_t blocks = key.size() / 4; blocks > 0; --blocks, at += 4) {
    hash += LittleEndian(at, 2);
    hash = (hash << 16) ^ (LittleEndian(at + 2, 2) << 11) ^ hash;
    hash += hash >> 11;
  }
  hash = HsiehTail(hash, at, key.size() % 4);
  hash ^= hash << 3;
  hash += hash >> 5;
  hash ^= hash << 4;
  hash += hash >> 17;
  hash ^= hash << 25;
  hash += hash >> 6;
  return hash;
}

uint32_t Murmur2(std::string_view key) {
  constexpr uint32_t kMultiplier = 0x5bd1e995;
  const auto length = static_cast<uint32_t>(key.size());
  uint32_t hash = (0xdeadbeef * length) ^ length;
  const char* at = key.data();
  size_t left = key.size();
  for (; left >= 4; left -= 4, at += 4) {
    uint32_t word = LittleEndian(at, 4) * kMultiplier;
    word = (word ^ (word >> 24)) * kMultiplier;
    hash = (hash * kMultiplier) ^ word;
  }
  if (left > 0) hash = (hash ^ LittleEndian(at, left)) * kMultiplier;
  hash = (hash ^ (hash >> 13)) * kMultiplier;
  return hash ^ (hash >> 15);
}

struct Lookup3 {
  uint32_t a;
  uint32_t b;
  uint32_t c;

  void Add(const char* bytes, size_t count) {
    a += LittleEndian(bytes, count < 4 ? count : 4);
    if (count > 4) b += LittleEndian(bytes + 4, count < 8 ? count - 4 : 4);
    if (count > 8) c += LittleEndian(bytes + 8, count - 8);
  }

  static void Mix(uint32_t& x, uint32_t& y, uint32_t& z, int rotation) {
    x = (x - z) ^ std::rotl(z, rotation);
    z += y;
  }

  void MixAll() {
    Mix(a, b, c, 4);
    Mix(b, c, a, 6);
    Mix(c, a, b, 8);
    Mix(a, b, c, 16);
    Mix(b, c, a, 19);
    Mix(c, a, b, 4);
  }

  static void Finish(uint32_t& x, uint32_t y, int rotation) {
    x = (x ^ y) - std::rotl(y, rotation);
  }

  void FinishAll() {
    Finish(c, b, 14);
    Finish(a, c, 11);
    Finish(b, a, 25);
    Finish(c, b, 16);
    Finish(a, c, 4);
    Finish(b, a, 14);
    Finish(c, b, 24);
  }
};

uint32_t Jenkins(std::string_view key) {
  constexpr uint32_t kSeed = 13;
  constexpr size_t kBlockBytes = 12;
  const uint32_t start = 0xdeadbeef + static_cast<uint32_t>(key.size()) + kSeed;
  Lookup3 state{.a = start, .b = start, .c = start};
  const char* at = key.data();
  size_t left = key.size();
  for (; left > kBlockBytes; left -= kBlockBytes, at += kBlockBytes) {
    state.Add(at, kBlockBytes);
    state.MixAll();
  }
  if (left == 0) return state.c;
  state.Add(at, left);
  state.FinishAll();
  return state.c;
}

}  // namespace

uint32_t HashForRing(RingHash hash, std::string_view key) {
  switch (hash) {
    case RingHash::kOneAtATime:
      return OneAtATime(key);
    case RingHash::kMd5:
      return Md5Head(key);
    case RingHash::kCrc16:
      return Crc16Uncut(key);
    case RingHash::kCrc32:
      return (Crc32(key) >> 16) & 0x7fff;
    case RingHash::kCrc32a:
      return Crc32(key);
    case RingHash::kFnv1Bits64:
      return Fnv1(key, kFnvBasis64Low, kFnvPrime64Low);
    case RingHash::kFnv1aBits64:
      return Fnv1a(key, kFnvBasis64Low, kFnvPrime64Low);
    case RingHash::kFnv1Bits32:
      return Fnv1(key, kFnvBasis32, kFnvPrime32);
    case RingHash::kFnv1aBits32:
      return Fnv1a(key, kFnvBasis32, kFnvPrime32);
    case RingHash::kHsieh:
      return Hsieh(key);
    case RingHash::kMurmur:
      return Murmur2(key);
    case RingHash::kJenkins:
      return Jenkins(key);
  }
  TG_CHECK(false);
}

std::string_view NameOf(RingHash hash) { return kNames[static_cast<size_t>(hash)]; }

std::optional<RingHash> ParseRingHash(std::string_view name) {
  for (int i = 0; i < kRingHashCount; ++i) {
    if (kNames[i] == name) return static_cast<RingHash>(i);
  }
  return std::nullopt;
}

}  // namespace tidegate::topology
