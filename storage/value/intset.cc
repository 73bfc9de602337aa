#include "storage/value/intset.h"

#include <algorithm>
#include <limits>

namespace tidegate {
namespace {

// Values smaller than `value`, which fits into T. The number of steps depends on the count alone,
// and each step is a conditional move.
template <typename T>
size_t LowerBoundOf(const uint8_t* values, size_t count, int64_t value) {
  const auto needle = static_cast<T>(value);
  const uint8_t* base = values;
  for (size_t left = count; left > 0;) {
    const size_t half = left - left / 2;  // at least 1; base[half - 1] is looked at
    base += LoadLittle<T>(base + (half - 1) * sizeof(T)) < needle ? half * sizeof(T) : 0;
    left /= 2;
  }
  return static_cast<size_t>(base - values) / sizeof(T);
}

void Store(uint8_t* values, size_t width, size_t i, int64_t value) {
  switch (width) {
    case 2:
      return StoreLittle(values + 2 * i, static_cast<int16_t>(value));
    case 4:
      return StoreLittle(values + 4 * i, static_cast<int32_t>(value));
    default:
      return StoreLittle(values + 8 * i, value);
  }
}

void StoreHeader(uint8_t* data, size_t width, size_t count) {
  StoreLittle(data, static_cast<uint32_t>(width));
  StoreLittle(data + 4, static_cast<uint32_t>(count));
}

}  // namespace

bool IntsetView::Validate(std::string_view bytes) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  if (bytes.size() < kHeaderBytes) return false;
  const auto width = LoadLittle<uint32_t>(data);
  const auto count = LoadLittle<uint32_t>(data + 4);
  if ((width != 2 && width != 4 && width != 8) || count == 0) return false;
  if (bytes.size() != BytesFor(width, count)) return false;
  const IntsetView view(bytes);
  for (size_t i = 1; i < count; ++i) {
    if (view.At(i - 1) >= view.At(i)) return false;
  }
  return true;
}

size_t IntsetView::LowerBound(int64_t value) const {
  const size_t n = count();
  const uint8_t* values = data_ + kHeaderBytes;
  // Out of what these values can be: in front of all, or behind all.
  if (WidthFor(value) > width()) return value < 0 ? 0 : n;
  switch (width()) {
    case 2:
      return LowerBoundOf<int16_t>(values, n, value);
    case 4:
      return LowerBoundOf<int32_t>(values, n, value);
    default:
      return LowerBoundOf<int64_t>(values, n, value);
  }
}

std::optional<size_t> IntsetView::Find(int64_t value) const {
  const size_t i = LowerBound(value);
  if (i < count() && At(i) == value) return i;
  return std::nullopt;
}

void Intset::Create() {
  StoreHeader(buffer_.Splice(0, buffer_.size(), IntsetView::kHeaderBytes), 2, 0);
}

bool Intset::Insert(int64_t value) {
  const IntsetView before = view();
  const size_t width = before.width();
  const size_t count = before.count();
  TG_CHECK(count < std::numeric_limits<uint32_t>::max());
  if (IntsetView::WidthFor(value) > width) {
    Widen(value);
    return true;
  }
  const size_t i = before.LowerBound(value);
  if (i < count && before.At(i) == value) return false;
  uint8_t* place = buffer_.Splice(IntsetView::BytesFor(width, i), 0, width);
  Store(place, width, 0, value);
  StoreHeader(buffer_.data(), width, count + 1);
  return true;
}

bool Intset::Erase(int64_t value) {
  const std::optional<size_t> i = view().Find(value);
  if (!i.has_value()) return false;
  EraseAt(*i);
  return true;
}

void Intset::EraseAt(size_t i, size_t n) {
  const IntsetView before = view();
  const size_t width = before.width();
  const size_t count = before.count();
  TG_DCHECK(i <= count && n <= count - i);
  buffer_.Splice(IntsetView::BytesFor(width, i), width * n, 0);
  StoreHeader(buffer_.data(), width, count - n);
}

size_t Intset::GrowthFor(int64_t value) {
  const IntsetView now = view();
  const size_t width = std::max(now.width(), IntsetView::WidthFor(value));
  return IntsetView::BytesFor(width, now.count() + 1) - now.bytes().size();
}

void Intset::Widen(int64_t value) {
  const size_t width = IntsetView::WidthFor(value);
  const size_t count = view().count();
  const size_t old_bytes = buffer_.size();
  buffer_.Splice(old_bytes, 0, IntsetView::BytesFor(width, count + 1) - old_bytes);
  uint8_t* data = buffer_.data();
  uint8_t* values = data + IntsetView::kHeaderBytes;
  // It is smaller or larger than everything that fitted before. From the back, so that no value is
  // written over before it was read.
  const IntsetView old({reinterpret_cast<const char*>(data), old_bytes});
  const size_t front = value < 0 ? 1 : 0;
  for (size_t i = count; i > 0; --i) Store(values, width, i - 1 + front, old.At(i - 1));
  Store(values, width, front != 0 ? 0 : count, value);
  StoreHeader(data, width, count + 1);
}

}  // namespace tidegate
