#include "storage/value/score_page.h"

#include <algorithm>
#include <limits>
#include <new>

#include "storage/memory/memory.h"

namespace tidegate {
namespace {

// Every one a class of the allocator, or of the one behind it; about 1.25 apart.
constexpr uint16_t kCapacities[] = {64,  80,   104,  128,  160,  200,  256,  320,  416,  512, 640,
                                    800, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096};
static_assert(kCapacities[std::size(kCapacities) - 1] == ScorePage::kBytesMax);

constexpr size_t kShortLengthMax = 127;
constexpr uint8_t kOutsideMark = 0xff;  // both bytes of the length
constexpr size_t kOutsideItemBytes = 2 + sizeof(char*) + sizeof(size_t);
static_assert(ScorePage::kInlineMemberBytesMax < 0x7fff);

constexpr size_t kCacheLineBytes = 64;

size_t ItemBytesFor(size_t member_bytes) {
  if (member_bytes <= kShortLengthMax) return 1 + member_bytes;
  if (member_bytes <= ScorePage::kInlineMemberBytesMax) return 2 + member_bytes;
  return kOutsideItemBytes;
}

void WriteItem(char* item, std::string_view member) {
  if (member.size() <= kShortLengthMax) {
    *item++ = static_cast<char>(member.size());
  } else if (member.size() <= ScorePage::kInlineMemberBytesMax) {
    *item++ = static_cast<char>(0x80 | (member.size() >> 8));
    *item++ = static_cast<char>(member.size() & 0xff);
  } else {
    auto* copy = static_cast<char*>(MemoryAllocate(member.size()));
    std::memcpy(copy, member.data(), member.size());
    const size_t bytes = member.size();
    std::memset(item, kOutsideMark, 2);
    std::memcpy(item + 2, &copy, sizeof(copy));
    std::memcpy(item + 2 + sizeof(copy), &bytes, sizeof(bytes));
    return;
  }
  if (!member.empty()) std::memcpy(item, member.data(), member.size());
}

void FreeOutside(std::string_view member) {
  MemoryFree(const_cast<char*>(member.data()), member.size());
}

}  // namespace

ScorePage* ScorePage::Create(size_t capacity_bytes) {
  TG_DCHECK(capacity_bytes >= sizeof(ScorePage) && capacity_bytes <= kBytesMax);
  return new (MemoryAllocate(capacity_bytes)) ScorePage(capacity_bytes);
}

void ScorePage::Destroy(ScorePage* page) {
  if (page->outside_ > 0) page->Erase(0, page->count_);
  DestroyEmptied(page);
}

void ScorePage::DestroyEmptied(ScorePage* page) {
  const size_t bytes = page->capacity_;
  page->~ScorePage();
  MemoryFree(page, bytes);
}

ScorePage* ScorePage::Clone() const {
  ScorePage* copy = Create(std::min(kBytesMax, CapacityFor(live_bytes())));
  if (outside_ == 0) {
    copy->Append(*this, 0, count_);
  } else {
    for (uint32_t i = 0; i < count_; ++i) copy->Insert(i, score(i), member(i));
  }
  copy->epoch_ = epoch_;
  return copy;
}

size_t ScorePage::BytesFor(std::string_view member) {
  return kSlotBytes + ItemBytesFor(member.size());
}

size_t ScorePage::OutsideBytesFor(std::string_view member) {
  return member.size() <= kInlineMemberBytesMax ? 0 : MemoryRoundUp(member.size());
}

size_t ScorePage::CapacityFor(size_t bytes) {
  const auto* capacity = std::lower_bound(std::begin(kCapacities), std::end(kCapacities), bytes);
  return capacity == std::end(kCapacities) ? bytes : *capacity;
}

size_t ScorePage::outside_bytes() const {
  size_t bytes = 0;
  for (uint32_t i = 0; outside_ > 0 && i < count_; ++i) bytes += OutsideBytesFor(member(i));
  return bytes;
}

PageKey ScorePage::KeyFor(double score, std::string_view member) {
  constexpr uint64_t kSign = uint64_t{1} << 63;
  const auto bits = std::bit_cast<uint64_t>(score + 0.0);  // -0.0 + 0.0 is 0.0
  uint64_t prefix = 0;
  if (member.size() >= sizeof(prefix)) {
    std::memcpy(&prefix, member.data(), sizeof(prefix));
  } else if (!member.empty()) {
    std::memcpy(&prefix, member.data(), member.size());
  }
  if constexpr (std::endian::native == std::endian::little) prefix = __builtin_bswap64(prefix);
  return {(bits & kSign) != 0 ? ~bits : bits | kSign, prefix};
}

ScorePage::Item ScorePage::Decode(uint32_t i) const {
  const char* item = ItemAddress(i);
  const auto first = static_cast<uint8_t>(item[0]);
  if (__builtin_expect(first <= kShortLengthMax, 1))
    return {{item + 1, first}, uint32_t{1} + first, false};
  const auto second = static_cast<uint8_t>(item[1]);
  if (first != kOutsideMark) {
    const uint32_t bytes = (first & 0x7fu) << 8 | second;
    return {{item + 2, bytes}, 2 + bytes, false};
  }
  const char* address;
  size_t bytes;
  std::memcpy(&address, item + 2, sizeof(address));
  std::memcpy(&bytes, item + 2 + sizeof(address), sizeof(bytes));
  return {{address, bytes}, kOutsideItemBytes, true};
}

std::string_view ScorePage::member(uint32_t i) const {
  TG_DCHECK(i < count_);
  return Decode(i).member;
}

int ScorePage::Compare(uint32_t i, const ScoreTarget& target) const {
  const double own = score(i);
  if (own < target.score) return -1;
  if (own > target.score) return 1;
  if (target.side == ScoreTarget::Side::kBeforeAll) return 1;
  if (target.side == ScoreTarget::Side::kAfterAll) return -1;
  return member(i).compare(target.member);
}

void ScorePage::Prefetch(const void* page, uint64_t begin_index, uint64_t end_index) {
  const char* slots = static_cast<const char*>(page) + sizeof(ScorePage);
  __builtin_prefetch(page);
  for (const char* line = slots + begin_index * kSlotBytes; line < slots + end_index * kSlotBytes;
       line += kCacheLineBytes) {
    __builtin_prefetch(line);
  }
}

uint32_t ScorePage::FirstNotLess(double target, uint32_t guess) const {
  if (count_ == 0 || score(0) >= target) return 0;
  uint32_t first = 0;      // all before it are less
  uint32_t last = count_;  // all from it on are not
  guess = std::min(guess, count_ - 1u);
  // In steps that double, away from the guess; then within the last of them.
  uint32_t step = 4;
  if (score(guess) < target) {
    first = guess + 1;
    while (first + step < count_ && score(first + step) < target) {
      first += step + 1;
      step *= 2;
    }
    last = std::min(last, first + step);
  } else {
    last = guess;
    while (last > step && score(last - step) >= target) {
      last -= step;
      step *= 2;
    }
    first = last > step ? last - step + 1 : 0;
  }
  while (first < last) {
    const uint32_t middle = first + (last - first) / 2;
    if (score(middle) < target) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  return first;
}

ScorePage::Range ScorePage::EqualScores(double target, uint32_t guess) const {
  const uint32_t first = FirstNotLess(target, guess);
  if (first == count_ || score(first) != target) return {first, first};
  // Scores that are equal are few, or all.
  if (score(count_ - 1u) == target) return {first, count_};
  uint32_t last = first + 1;
  for (uint32_t step = 1; score(last) == target; ++last) {
    step = last + step < count_ && score(last + step) == target ? step * 2 : 1;
    last += step / 2;
  }
  return {first, last};
}

uint32_t ScorePage::LowerBound(const ScoreTarget& target, uint32_t guess) const {
  const Range equal = EqualScores(target.score, guess);
  if (target.side == ScoreTarget::Side::kBeforeAll) return equal.first;
  if (target.side == ScoreTarget::Side::kAfterAll) return equal.last;
  return LowerBoundByMember(equal, target.member);
}

uint32_t ScorePage::IndexOf(const ScoreTarget& pair, uint32_t guess) const {
  const Range equal = EqualScores(pair.score, guess);
  if (equal.last - equal.first == 1) return equal.first;
  return LowerBoundByMember(equal, pair.member);
}

// Every step looks at a member, and where that lies in the page is as good as random: the
// sixteenths of the range are asked for together, so that four steps wait once.
uint32_t ScorePage::LowerBoundByMember(Range range, std::string_view target) const {
  constexpr uint32_t kParts = 16;
  const auto before = [&](uint32_t i) { return member(i).compare(target) < 0; };
  uint32_t first = range.first;
  uint32_t last = range.last;
  while (last - first > kParts) {
    const uint32_t step = (last - first) / kParts;
    for (uint32_t i = 1; i < kParts; ++i) __builtin_prefetch(ItemAddress(first + i * step));
    uint32_t part = 0;  // members at the sixteenths that are before the target
    for (const uint32_t jump : {8u, 4u, 2u, 1u}) {
      if (before(first + (part + jump) * step)) part += jump;
    }
    if (part + 1 < kParts) last = first + (part + 1) * step;
    if (part > 0) first += part * step + 1;
  }
  for (uint32_t i = first; i < last; ++i) __builtin_prefetch(ItemAddress(i));
  while (first < last) {
    const uint32_t middle = first + (last - first) / 2;
    if (before(middle)) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  return first;
}

char* ScorePage::NewItem(size_t bytes) {
  heap_bytes_ = static_cast<uint16_t>(heap_bytes_ + bytes);
  return begin() + capacity_ - heap_bytes_;
}

void ScorePage::Insert(uint32_t at, double score, std::string_view member) {
  TG_DCHECK(at <= count_ && HasRoom(BytesFor(member)));
  WriteItem(NewItem(ItemBytesFor(member.size())), member);
  std::memmove(Slot(at + 1), Slot(at), (count_ - at) * kSlotBytes);
  SetSlot(at, score, heap_bytes_);
  ++count_;
  if (member.size() > kInlineMemberBytesMax) ++outside_;
}

void ScorePage::Erase(uint32_t at, uint32_t n) {
  TG_DCHECK(at + n <= count_);
  for (uint32_t i = at; i < at + n; ++i) {
    const Item item = Decode(i);
    if (item.outside) {
      FreeOutside(item.member);
      --outside_;
    }
    if (Offset(i) == heap_bytes_) {
      heap_bytes_ = static_cast<uint16_t>(heap_bytes_ - item.bytes);
    } else {
      dead_bytes_ = static_cast<uint16_t>(dead_bytes_ + item.bytes);
    }
  }
  std::memmove(Slot(at), Slot(at + n), (count_ - at - n) * kSlotBytes);
  count_ = static_cast<uint16_t>(count_ - n);
}

void ScorePage::Move(uint32_t from, uint32_t to, double score) {
  TG_DCHECK(from < count_ && to < count_);
  const uint16_t offset = Offset(from);
  if (from < to) std::memmove(Slot(from), Slot(from + 1), (to - from) * kSlotBytes);
  if (to < from) std::memmove(Slot(to + 1), Slot(to), (from - to) * kSlotBytes);
  SetSlot(to, score, offset);
}

void ScorePage::Append(const ScorePage& from, uint32_t begin_index, uint32_t end_index) {
  TG_DCHECK(begin_index <= end_index && end_index <= from.count_);
  if (count_ == 0 && heap_bytes_ == 0 && begin_index == 0 && end_index == from.count_ &&
      from.dead_bytes_ == 0) {
    TG_DCHECK(from.used_bytes() <= capacity_);
    std::memcpy(Slot(0), from.Slot(0), from.count_ * kSlotBytes);
    std::memcpy(begin() + capacity_ - from.heap_bytes_,
                from.begin() + from.capacity_ - from.heap_bytes_, from.heap_bytes_);
    count_ = from.count_;
    heap_bytes_ = from.heap_bytes_;
    outside_ = from.outside_;
    return;
  }
  for (uint32_t i = begin_index; i < end_index; ++i) {
    const Item item = from.Decode(i);
    TG_DCHECK(HasRoom(kSlotBytes + item.bytes));
    std::memcpy(NewItem(item.bytes), from.ItemAddress(i), item.bytes);
    SetSlot(count_, from.score(i), heap_bytes_);
    ++count_;
    if (item.outside) ++outside_;
  }
}

void ScorePage::Check() const {
  TG_CHECK(used_bytes() <= capacity_ && capacity_ <= kBytesMax);
  size_t bytes = dead_bytes_;
  uint32_t outside = 0;
  for (uint32_t i = 0; i < count_; ++i) {
    const Item item = Decode(i);
    TG_CHECK(Offset(i) <= heap_bytes_ && item.bytes <= Offset(i));
    TG_CHECK(item.outside == (item.member.size() > kInlineMemberBytesMax));
    TG_CHECK(score(i) == score(i));
    if (i > 0) TG_CHECK(Compare(i - 1, {score(i), item.member}) < 0);
    bytes += item.bytes;
    outside += item.outside ? 1 : 0;
  }
  TG_CHECK(bytes == heap_bytes_ && outside == outside_);
}

}  // namespace tidegate
