#include "storage/value/encoding_name.h"

#include "storage/value/string_value.h"

namespace tidegate {

std::string_view EncodingName(const Entry& entry) {
  if (entry.type() == ValueType::kString) return StringEncodingName(entry);
  if (entry.type() == ValueType::kStream) return "stream";
  switch (entry.encoding()) {
    case Encoding::kEmbedded:
    case Encoding::kPacked:
      return "listpack";
    case Encoding::kEmbeddedIntset:
    case Encoding::kPackedIntset:
      return "intset";
    case Encoding::kFieldTable:
      return "hashtable";
    case Encoding::kSortedSet:
      return "skiplist";
    case Encoding::kPagedList:
      return "quicklist";
    case Encoding::kBloom:
      return "raw";  // as values of modules
    case Encoding::kChunked:
    case Encoding::kStream:
      break;
  }
  return "unknown";
}

}  // namespace tidegate
