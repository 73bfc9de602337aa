// The two hashes of a key, both computed once per request while its batch is parsed.
//   KeySlot  which of the 16384 slots: CRC16 of the key, or of the part between the first '{' and
//            the next '}' when that is not empty. As in Redis Cluster, so that keys which belong
//            together can be made to share a slot.
//   KeyHash  where inside the slot's table: a 64-bit hash with a secret seed, so that nobody
//            outside can aim many keys at one bucket. Its high 32 bits are the key's position in
//            SCAN order. The seed is the process's own, or that of the data directory, where
//            hashes are part of the keys on disk.
// Sources: Redis Cluster specification (CRC16-CCITT/XMODEM, polynomial 0x1021); xxHash XXH3.
#pragma once

#include <cstdint>
#include <string_view>

namespace tidegate {

inline constexpr uint32_t kSlotCount = 16384;

uint16_t Crc16(std::string_view data);

// 0 .. kSlotCount-1.
uint16_t KeySlot(std::string_view key);

uint64_t KeyHash(std::string_view key);

uint64_t KeyHashSeed();
// Before any key is hashed that is still to be found, and before there are other threads.
void SetKeyHashSeed(uint64_t seed);

}  // namespace tidegate
