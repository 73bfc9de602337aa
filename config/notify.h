// Classes of keyspace notifications, as bits. A header of its own, because every handler that
// changes a key names one.
#pragma once

#include <cstdint>

namespace tidegate {

// Bits of Options::notify_keyspace_events; the letters are those of notify-keyspace-events.
namespace notify {
inline constexpr uint32_t kKeyspace = 1u << 0;   // K
inline constexpr uint32_t kKeyevent = 1u << 1;   // E
inline constexpr uint32_t kGeneric = 1u << 2;    // g
inline constexpr uint32_t kString = 1u << 3;     // $
inline constexpr uint32_t kList = 1u << 4;       // l
inline constexpr uint32_t kSet = 1u << 5;        // s
inline constexpr uint32_t kHash = 1u << 6;       // h
inline constexpr uint32_t kSortedSet = 1u << 7;  // z
inline constexpr uint32_t kExpired = 1u << 8;    // x
inline constexpr uint32_t kEvicted = 1u << 9;    // e
inline constexpr uint32_t kStream = 1u << 10;    // t
inline constexpr uint32_t kKeyMiss = 1u << 11;   // m, not in A
inline constexpr uint32_t kModule = 1u << 12;    // d
inline constexpr uint32_t kNew = 1u << 13;       // n, not in A
inline constexpr uint32_t kAll = kGeneric | kString | kList | kSet | kHash | kSortedSet | kExpired |
                                 kEvicted | kStream | kModule;  // A
}  // namespace notify

}  // namespace tidegate
