// The hashes by which twemproxy finds a key's place on its ring, under twemproxy's names, so that a
// ring can be taken over where it stands: every key has to land on the node that has it.
//
// That includes twemproxy's oddities. It reads keys as `char`, which is signed where it runs, so
// bytes above 127 enter some of the hashes with all their upper bits set; its crc16 is never cut to
// 16 bits; its 64-bit FNV hashes are 32 bits wide; its crc32 keeps 15. Tests hold values of the
// program itself.
// Cost: one pass over the key, no allocation. On the request path.
// Sources: twemproxy 0.5 (hashkit), by behaviour; the functions' authors: Bob Jenkins (one at a
// time; lookup3 for jenkins), Fowler-Noll-Vo, Paul Hsieh, Austin Appleby (MurmurHash2).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tidegate::topology {

enum class RingHash : uint8_t {
  kOneAtATime,
  kMd5,
  kCrc16,
  kCrc32,
  kCrc32a,
  kFnv1Bits64,
  kFnv1aBits64,  // twemproxy's default
  kFnv1Bits32,
  kFnv1aBits32,
  kHsieh,
  kMurmur,
  kJenkins,
};
inline constexpr int kRingHashCount = 12;

uint32_t HashForRing(RingHash hash, std::string_view key);

// "fnv1a_64"
std::string_view NameOf(RingHash hash);
std::optional<RingHash> ParseRingHash(std::string_view name);

}  // namespace tidegate::topology
