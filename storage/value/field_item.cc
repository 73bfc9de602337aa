#include "storage/value/field_item.h"

#include "storage/memory/memory.h"

namespace tidegate {

LargeField* LargeField::Create(uint64_t hash, std::string_view field) {
  auto* large = static_cast<LargeField*>(MemoryAllocate(sizeof(LargeField) + field.size()));
  *large = {hash, field.size(), nullptr};
  if (!field.empty()) std::memcpy(static_cast<void*>(large + 1), field.data(), field.size());
  return large;
}

void LargeField::Destroy(LargeField* large) {
  if (large->value != nullptr) ChunkedString::Destroy(large->value);
  MemoryFree(large, sizeof(LargeField) + large->field_bytes);
}

LargeField* LargeField::Clone() const {
  LargeField* copy = Create(hash, field());
  if (value != nullptr) copy->value = value->Clone();
  return copy;
}

size_t LargeField::allocated_bytes() const {
  return MemoryRoundUp(sizeof(LargeField) + field_bytes) +
         (value != nullptr ? value->allocated_bytes() : 0);
}

}  // namespace tidegate
