#include "storage/journal/effect_log.h"

#include <algorithm>

namespace tidegate {

void EffectLog::Grow(size_t more) {
  constexpr size_t kFirstBytes = 512;
  const size_t wanted = std::max({size_ + more, capacity_ * 2, kFirstBytes});
  std::unique_ptr<char[]> grown(new char[wanted]);
  if (size_ > 0) std::memcpy(grown.get(), bytes_.get(), size_);
  bytes_ = std::move(grown);
  capacity_ = wanted;
}

}  // namespace tidegate
