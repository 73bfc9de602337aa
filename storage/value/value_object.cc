#include "storage/value/value_object.h"

#include "base/check.h"
#include "storage/value/chunked_string.h"

namespace tidegate {

void DestroyValue(ValueObject value) {
  switch (value.encoding) {
    case Encoding::kEmbedded:
      break;
    case Encoding::kChunked:
      return ChunkedString::Destroy(static_cast<ChunkedString*>(value.object));
  }
  TG_CHECK(false);
}

void* CloneValue(ValueObject value) {
  switch (value.encoding) {
    case Encoding::kEmbedded:
      break;
    case Encoding::kChunked:
      return static_cast<ChunkedString*>(value.object)->Clone();
  }
  TG_CHECK(false);
  return nullptr;
}

size_t ValueBytes(ValueObject value) {
  switch (value.encoding) {
    case Encoding::kEmbedded:
      break;
    case Encoding::kChunked:
      return static_cast<ChunkedString*>(value.object)->allocated_bytes();
  }
  TG_CHECK(false);
  return 0;
}

}  // namespace tidegate
