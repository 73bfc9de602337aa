// Redis's RDB format: the numbers of DUMP payloads and RDB files. A payload is one type byte, the
// value, two bytes of version and eight of CRC-64, both little-endian. What a file is made of is in
// rdb_file_reader.h.
// Source: Redis's rdb.h and rdb.c.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tidegate::rdb {

// Version that we write (Redis 7.0), the one a value needs that 7.0 does not know, and the newest
// that we read (Redis 7.4).
inline constexpr uint16_t kVersion = 10;
inline constexpr uint16_t kVersionOfFieldExpiry = 12;
inline constexpr uint16_t kVersionMax = 12;
inline constexpr size_t kFooterBytes = 10;

enum class Type : uint8_t {
  kString = 0,
  kList = 1,
  kSet = 2,
  kSortedSet = 3,  // scores as text
  kHash = 4,
  kSortedSet2 = 5,  // scores as doubles
  kModule = 6,      // of a module, in a form that only it can read
  kModule2 = 7,     // of a module: its id, then marked parts
  kHashZipmap = 9,
  kListZiplist = 10,
  kSetIntset = 11,
  kSortedSetZiplist = 12,
  kHashZiplist = 13,
  kListQuicklist = 14,  // of ziplists
  kStreamListpacks = 15,
  kHashListpack = 16,
  kSortedSetListpack = 17,
  kListQuicklist2 = 18,  // of listpacks and plain elements
  kStreamListpacks2 = 19,
  kSetListpack = 20,
  kStreamListpacks3 = 21,
  kHashMetadata = 24,  // fields that expire
  kHashListpackExpiring = 25,
};

// Containers of kListQuicklist2.
inline constexpr uint64_t kContainerPlain = 1;
inline constexpr uint64_t kContainerPacked = 2;

// What a part of kModule2 is.
inline constexpr uint64_t kModuleEnd = 0;
inline constexpr uint64_t kModuleSigned = 1;
inline constexpr uint64_t kModuleUnsigned = 2;
inline constexpr uint64_t kModuleFloat = 3;
inline constexpr uint64_t kModuleDouble = 4;
inline constexpr uint64_t kModuleString = 5;

// What stands in a file beside keys, in the place of a value's type.
enum class Opcode : uint8_t {
  kSlotInfo = 244,  // of a cluster's node: slot, keys, keys that expire
  kFunction = 245,
  kFunctionPreview = 246,  // of release candidates of Redis 7.0
  kModuleAux = 247,
  kIdle = 248,       // seconds, of the key that follows
  kFrequency = 249,  // the same for LFU
  kAux = 250,
  kResizeDb = 251,
  kExpireMillis = 252,
  kExpireSeconds = 253,
  kSelectDb = 254,
  kEnd = 255,
};
inline constexpr std::string_view kMagic = "REDIS";
inline constexpr size_t kHeaderBytes = 9;    // magic and four digits of version
inline constexpr size_t kChecksumBytes = 8;  // behind kEnd, since version 5
inline constexpr uint16_t kVersionOfChecksum = 5;

// The id of a module's type: nine characters of six bits, ten bits of version.
constexpr uint64_t ModuleId(const char (&name)[10], uint64_t version) {
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  uint64_t id = 0;
  for (int i = 0; i < 9; ++i) {
    uint64_t digit = 0;
    while (kAlphabet[digit] != name[i]) ++digit;
    id = id << 6 | digit;
  }
  return id << 10 | version;
}
// Not RedisBloom's MBbloom--: our filters lie otherwise in memory.
inline constexpr uint64_t kBloomModuleId = ModuleId("TGbloom--", 1);

// First byte of a length: 00 six bits, 01 fourteen bits, 10 four or eight bytes behind it, 11 a
// string in one of these forms.
inline constexpr uint8_t kLength32 = 0x80;
inline constexpr uint8_t kLength64 = 0x81;
inline constexpr uint8_t kEncodedString = 0xc0;
enum class StringForm : uint8_t { kInt8 = 0, kInt16 = 1, kInt32 = 2, kLzf = 3 };

}  // namespace tidegate::rdb
