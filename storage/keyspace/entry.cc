#include "storage/keyspace/entry.h"

#include <new>

namespace tidegate {

Entry* Entry::Format(void* memory, std::string_view key, ValueType type, Encoding encoding,
                     size_t embedded_value_bytes, bool has_expire) {
  auto* entry = new (memory) Entry;
  entry->packed_ = (static_cast<uint32_t>(type) << kTypeShift) |
                   (static_cast<uint32_t>(encoding) << kEncodingShift);
  char* p = entry->base() + kHeaderBytes;
  if (has_expire) {
    entry->flags_ |= kHasExpire;
    p += 8;
  }
  if (!IsEmbedded(encoding)) p += 8;
  if (__builtin_expect(key.size() > kShortKeyBytesMax, 0)) {
    entry->flags_ |= kLongKey;
    const auto size = static_cast<uint32_t>(key.size());
    std::memcpy(p, &size, 4);
    p += 4;
  } else {
    entry->key_bytes_ = static_cast<uint8_t>(key.size());
  }
  std::memcpy(p, key.data(), key.size());
  entry->value_bytes_ = static_cast<uint16_t>(embedded_value_bytes);
  return entry;
}

}  // namespace tidegate
