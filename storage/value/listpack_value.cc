#include "storage/value/listpack_value.h"

namespace tidegate {

bool ListpackValue::Equals(std::string_view other) const {
  if (!is_integer()) return text() == other;
  if (other.empty() || other.size() > kInt64TextBytesMax) return false;
  const std::optional<int64_t> parsed = ParseInt64(other);
  return parsed.has_value() && *parsed == integer_or_size_;
}

}  // namespace tidegate
