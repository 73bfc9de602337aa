#include "storage/value/field_page.h"

#include <algorithm>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/prefetch.h"
#include "storage/memory/memory.h"

namespace tidegate {
namespace {

// Sizes that the slabs (up to 1 KiB) and malloc hold without rounding. All are multiples of 64, so
// that pages lie on cache lines and their addresses have six bits to spare.
constexpr uint16_t kSizes[] = {192, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 2048, 3072, 4096};
static_assert(kSizes[0] == kFieldPageBytesMin && std::end(kSizes)[-1] == kFieldPageBytesMax);

// Bit i says whether slot i of kSearchSlots has the tag; `count` are all of the page.
uint32_t MatchTags(const uint32_t* slots, uint32_t count, uint32_t tag) {
  // Behind the last slot of a small page there is whatever is there.
  const uint32_t valid = count < kSearchSlots ? (uint32_t{1} << count) - 1 : ~uint32_t{0};
#ifdef __SSE2__
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(tag));
  const auto four = [&](const uint32_t* at) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    return _mm_cmpeq_epi32(_mm_srli_epi32(v, 16), wanted);
  };
  const auto sixteen = [&](const uint32_t* at) {
    const __m128i low = _mm_packs_epi32(four(at), four(at + 4));
    const __m128i high = _mm_packs_epi32(four(at + 8), four(at + 12));
    return static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high)));
  };
  return (sixteen(slots) | sixteen(slots + 16) << 16) & valid;
#else
  uint32_t mask = 0;
  for (uint32_t i = 0; i < kSearchSlots; ++i) mask |= uint32_t{slots[i] >> 16 == tag} << i;
  return mask & valid;
#endif
}

// Where a search begins: so that the place that the tag should have is in the middle.
uint32_t WindowOf(uint32_t count, uint32_t tag) {
  const uint32_t guess = tag * count >> kTagBits;
  const uint32_t begin = guess > kSearchSlots / 2 ? guess - kSearchSlots / 2 : 0;
  return std::min(begin, count > kSearchSlots ? count - kSearchSlots : 0);
}

}  // namespace

size_t FieldPage::SizeFor(size_t bytes) {
  TG_DCHECK(bytes <= kFieldPageBytesMax);
  return *std::lower_bound(std::begin(kSizes), std::end(kSizes), bytes);
}

FieldPage* FieldPage::Create(size_t capacity, uint32_t depth, FieldValues values, uint32_t epoch) {
  auto* page = static_cast<FieldPage*>(MemoryAllocate(capacity));
  *page = FieldPage{.epoch = epoch,
                    .count = 0,
                    .item_bytes = 0,
                    .garbage_bytes = 0,
                    .capacity = static_cast<uint16_t>(capacity),
                    .expires = 0,
                    .depth = static_cast<uint8_t>(depth),
                    .values = values,
                    .next = nullptr};
  return page;
}

void FieldPage::Free(FieldPage* page) { MemoryFree(page, page->capacity); }

bool FieldPage::IsField(const char* item, uint32_t flags, FieldValues values,
                        std::string_view field) {
  if (__builtin_expect((flags & field_item::kLarge) != 0, 0))
    return field_item::Load<const LargeField*>(item)->field() == field;
  if (field_item::ReadLength(item) != field.size()) return false;
  if (values == FieldValues::kBytes) (void)field_item::ReadLength(item);
  return field.empty() || std::memcmp(item, field.data(), field.size()) == 0;
}

int FieldPage::Find(const FieldPage* page, uint32_t count, FieldValues values, uint32_t tag,
                    std::string_view field) {
  const uint32_t begin = WindowOf(count, tag);
  const uint32_t* slots = page->slots();
  uint32_t mask = MatchTags(slots + begin, count, tag);
  for (; mask != 0; mask &= mask - 1) {
    const uint32_t index = begin + static_cast<uint32_t>(__builtin_ctz(mask));
    const uint32_t slot = slots[index];
    const char* item = reinterpret_cast<const char*>(page) + (slot & kOffsetMask);
    if (IsField(item, slot & kFlagMask, values, field)) return static_cast<int>(index);
  }
  const bool left = begin == 0 || slots[begin] >> 16 < tag;
  const bool right = begin + kSearchSlots >= count || slots[begin + kSearchSlots - 1] >> 16 > tag;
  if (__builtin_expect(left && right, 1)) return -1;
  return FindFar(page, count, values, tag, field);
}

void FieldPage::PrefetchSlots(const FieldPage* page, uint32_t count, uint32_t tag) {
  const uint32_t* begin = page->slots() + WindowOf(count, tag);
  tidegate::Prefetch(begin);
  tidegate::Prefetch(begin + kSearchSlots / 2);
  tidegate::Prefetch(begin + kSearchSlots - 1);
}

void FieldPage::PrefetchItems(const FieldPage* page, uint32_t count, uint32_t tag) {
  const uint32_t* slots = page->slots() + WindowOf(count, tag);
  for (uint32_t mask = MatchTags(slots, count, tag); mask != 0; mask &= mask - 1) {
    const uint32_t slot = slots[__builtin_ctz(mask)];
    tidegate::Prefetch(reinterpret_cast<const char*>(page) + (slot & kOffsetMask));
  }
}

// The tag lies further from its place than the window is wide, or fills it.
int FieldPage::FindFar(const FieldPage* page, uint32_t count, FieldValues values, uint32_t tag,
                       std::string_view field) {
  const uint32_t* begin = page->slots();
  const uint32_t* end = begin + count;
  for (const uint32_t* at = std::lower_bound(begin, end, tag << 16); at != end && *at >> 16 == tag;
       ++at) {
    const char* item = reinterpret_cast<const char*>(page) + (*at & kOffsetMask);
    if (IsField(item, *at & kFlagMask, values, field)) return static_cast<int>(at - begin);
  }
  return -1;
}

uint32_t FieldPage::LowerBound(uint32_t tag) const {
  const uint32_t* begin = slots();
  return static_cast<uint32_t>(std::lower_bound(begin, begin + count, tag << 16) - begin);
}

char* FieldPage::Insert(uint32_t tag, uint32_t flags, size_t bytes) {
  TG_DCHECK(HasRoom(bytes));
  uint32_t* all = slots();
  uint32_t index = tag * count >> kTagBits;
  while (index > 0 && all[index - 1] >> 16 > tag) --index;
  while (index < count && all[index] >> 16 <= tag) ++index;
  std::memmove(all + index + 1, all + index, (count - index) * kSlotBytes);
  item_bytes = static_cast<uint16_t>(item_bytes + bytes);
  all[index] = tag << 16 | flags | static_cast<uint32_t>(capacity - item_bytes);
  ++count;
  expires = static_cast<uint16_t>(expires + ((flags & field_item::kExpires) != 0 ? 1 : 0));
  return item(index);
}

void FieldPage::Append(uint32_t tag, uint32_t flags, const char* bytes, size_t size) {
  TG_DCHECK(HasRoom(size));
  item_bytes = static_cast<uint16_t>(item_bytes + size);
  const auto offset = static_cast<uint32_t>(capacity - item_bytes);
  slots()[count++] = tag << 16 | flags | offset;
  expires = static_cast<uint16_t>(expires + ((flags & field_item::kExpires) != 0 ? 1 : 0));
  std::memcpy(reinterpret_cast<char*>(this) + offset, bytes, size);
}

void FieldPage::Remove(uint32_t index) {
  const size_t bytes = view(index).item_bytes();
  if ((flags(index) & field_item::kExpires) != 0) --expires;
  if ((slots()[index] & kOffsetMask) == uint32_t{capacity} - item_bytes) {
    item_bytes = static_cast<uint16_t>(item_bytes - bytes);
  } else {
    garbage_bytes = static_cast<uint16_t>(garbage_bytes + bytes);
  }
  --count;
  std::memmove(slots() + index, slots() + index + 1, (count - index) * kSlotBytes);
  if (count == 0) item_bytes = garbage_bytes = 0;
}

void FieldPage::Shorten(uint32_t index, uint32_t flags, size_t by) {
  garbage_bytes = static_cast<uint16_t>(garbage_bytes + by);
  uint32_t& slot = slots()[index];
  if ((slot & field_item::kExpires) != 0) --expires;
  if ((flags & field_item::kExpires) != 0) ++expires;
  slot = (slot & ~kFlagMask) | flags;
}

FieldPage* FieldPage::Rewrite(size_t new_capacity) const {
  FieldPage* page = Create(new_capacity, depth, values, epoch);
  page->next = next;
  if (garbage_bytes > 0) {
    for (uint32_t i = 0; i < count; ++i)
      page->Append(tag(i), flags(i), item(i), view(i).item_bytes());
    return page;
  }
  // Everything keeps its distance to the page's end.
  page->count = count;
  page->item_bytes = item_bytes;
  page->expires = expires;
  const auto by = static_cast<uint32_t>(new_capacity) - capacity;  // may wrap: modulo 2^32
  const uint32_t* from = slots();
  uint32_t* to = page->slots();
  for (uint32_t i = 0; i < count; ++i) to[i] = from[i] + by;
  std::memcpy(reinterpret_cast<char*>(page) + new_capacity - item_bytes,
              reinterpret_cast<const char*>(this) + capacity - item_bytes, item_bytes);
  return page;
}

void FieldPage::Split(FieldHash hash, FieldPage* (&halves)[2]) const {
  TG_DCHECK(next == nullptr);
  const uint32_t middle = LowerBound(1u << (kTagBits - 1));
  const uint32_t ends[] = {0, middle, count};
  for (int half = 0; half < 2; ++half) {
    const uint32_t n = ends[half + 1] - ends[half];
    size_t bytes = sizeof(FieldPage) + n * kSlotBytes;
    for (uint32_t i = ends[half]; i < ends[half + 1]; ++i) bytes += view(i).item_bytes();
    FieldPage* page = Create(SizeFor(bytes), depth + 1u, values, epoch);
    for (uint32_t i = ends[half]; i < ends[half + 1]; ++i) {
      const FieldView field = view(i);
      const uint64_t full = field.large() != nullptr ? field.large()->hash : hash(field.field());
      page->Append(TagOf(full, depth + 1u), flags(i), item(i), field.item_bytes());
      // Tags that were equal differ by the bit that they gained.
      uint32_t* all = page->slots();
      for (uint32_t j = page->count - 1u; j > 0 && all[j - 1] >> 16 > all[j] >> 16; --j)
        std::swap(all[j - 1], all[j]);
    }
    halves[half] = page;
  }
}

FieldPage* FieldPage::Merge(const FieldPage& low, const FieldPage& high) {
  TG_DCHECK(low.depth == high.depth && low.depth > 0 && low.next == nullptr);
  const size_t bytes = low.live_bytes() + high.live_bytes() - sizeof(FieldPage);
  FieldPage* page = Create(SizeFor(bytes), low.depth - 1u, low.values, low.epoch);
  for (uint32_t i = 0; i < low.count; ++i)
    page->Append(low.tag(i) >> 1, low.flags(i), low.item(i), low.view(i).item_bytes());
  const uint32_t bit = 1u << (kTagBits - 1);
  for (uint32_t i = 0; i < high.count; ++i)
    page->Append(high.tag(i) >> 1 | bit, high.flags(i), high.item(i), high.view(i).item_bytes());
  return page;
}

}  // namespace tidegate
