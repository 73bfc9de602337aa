#include "storage/value/listpack_view.h"

#include <algorithm>
#include <cstring>

namespace tidegate {
namespace {

using Is = ListpackFirst;

// Bytes without backlen of a text with a size of its own (Is::kText12, Is::kText32). 0: no such
// encoding.
uint64_t LongTextBytes(const uint8_t* entry) {
  const uint8_t first = *entry;
  if ((first & 0xf0) == Is::kText12) return 2 + (((first & 0xfu) << 8) | entry[1]);
  return first == Is::kText32 ? 5 + uint64_t{LoadLittle<uint32_t>(entry + 1)} : 0;
}

// Bytes of the entry at `entry`, of which `room` > 0 can be read; 0 when it is broken.
size_t CheckedEntryBytes(const uint8_t* entry, size_t room) {
  const uint8_t first = *entry;
  const size_t known = kListpackEntryBytes[first];
  if (known != 0) return known <= room && entry[known - 1] == known - 1 ? known : 0;
  if (room < (first == Is::kText32 ? 5 : 2)) return 0;
  const uint64_t bytes = LongTextBytes(entry);
  if (bytes == 0 || bytes > room) return 0;
  uint8_t backlen[5];
  const auto backlen_bytes = static_cast<size_t>(WriteListpackBacklen(backlen, bytes) - backlen);
  if (backlen_bytes > room - bytes) return 0;
  return std::memcmp(entry + bytes, backlen, backlen_bytes) == 0 ? bytes + backlen_bytes : 0;
}

// What Find looks for, prepared so that most entries are refused by their first byte.
//
// A text of the same size is compared from its end, eight bytes at once: fields and members of one
// collection often share how they begin. The eight bytes that end with the text always lie within
// the listpack, because its header is in front of the first entry; bytes before the text are
// shifted out.
class Needle final {
 public:
  explicit Needle(std::string_view text) : value_(ListpackValue::Of(text)), text_(text) {
    if (value_.is_integer() && value_.integer() >= 0 && value_.integer() <= 127) {
      small_integer_ = static_cast<uint8_t>(value_.integer());
    }
    if (text.size() > kListpackText6BytesMax) return;
    short_text_ = static_cast<uint8_t>(Is::kText6 | text.size());
    if (text.empty()) return;
    const size_t n = std::min<size_t>(text.size(), 8);
    shift_ = static_cast<int>(8 * (8 - n));
    std::memcpy(&tail_, text.data() + text.size() - n, n);
  }

  // For the encodings of one byte beside the text: small integers and texts up to 63 bytes.
  bool MatchesShort(const uint8_t* entry, uint8_t first) const {
    if (first == short_text_) return MatchesText(entry + 1);
    return first == small_integer_;
  }
  // For all others, those that are wider than they need to be included.
  bool Matches(const ListpackValue& value) const {
    if (!value.is_integer()) return value.text() == text_;
    return value_.is_integer() && value_.integer() == value.integer();
  }

 private:
  // `text` is as long as ours.
  bool MatchesText(const uint8_t* text) const {
    if (text_.empty()) return true;
    const uint8_t* end = text + text_.size();
    if (LoadLittle<uint64_t>(end - 8) >> shift_ != tail_) return false;
    return text_.size() <= 8 || std::memcmp(text, text_.data(), text_.size() - 8) == 0;
  }

  const ListpackValue value_;
  const std::string_view text_;
  uint64_t tail_ = 0;
  int shift_ = 0;
  uint8_t short_text_ = kListpackEnd;     // none
  uint8_t small_integer_ = kListpackEnd;  // none
};

}  // namespace

bool ListpackView::Validate(std::string_view bytes, bool deep) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  if (bytes.size() < kListpackEmptyBytes || LoadLittle<uint32_t>(data) != bytes.size())
    return false;
  const size_t end = bytes.size() - 1;
  if (data[end] != kListpackEnd) return false;
  if (!deep) return true;
  size_t count = 0;
  for (size_t at = kHeaderBytes; at < end; ++count) {
    const size_t entry_bytes = CheckedEntryBytes(data + at, end - at);
    if (entry_bytes == 0) return false;
    at += entry_bytes;
  }
  const auto stored = LoadLittle<uint16_t>(data + 4);
  return stored == kListpackCountUnknown || stored == count;
}

const uint8_t* ListpackView::SkipLong(const uint8_t* entry) {
  const uint64_t bytes = LongTextBytes(entry);
  TG_CHECK(bytes != 0);  // else this was never validated, and a walk would not end
  return entry + bytes + ListpackBacklenBytes(bytes);
}

ListpackValue ListpackView::DecodeWide(const uint8_t* entry) {
  const uint8_t first = *entry;
  if (first < Is::kText12) {
    const auto raw = static_cast<uint32_t>((first & 0x1f) << 8 | entry[1]);
    return ListpackValue(static_cast<int32_t>(raw << 19) >> 19);
  }
  const auto* text = reinterpret_cast<const char*>(entry);
  if (first < Is::kText32) return ListpackValue::AsText({text + 2, (first & 0xfu) << 8 | entry[1]});
  switch (first) {
    case Is::kText32:
      return ListpackValue::AsText({text + 5, LoadLittle<uint32_t>(entry + 1)});
    case Is::kInteger16:
      return ListpackValue(LoadLittle<int16_t>(entry + 1));
    case Is::kInteger24:
      // One byte before the integer is read with it and shifted out.
      return ListpackValue(LoadLittle<int32_t>(entry) >> 8);
    case Is::kInteger32:
      return ListpackValue(LoadLittle<int32_t>(entry + 1));
    default:
      TG_CHECK(first == Is::kInteger64);
      return ListpackValue(LoadLittle<int64_t>(entry + 1));
  }
}

size_t ListpackView::PrevOfLong(size_t at) const {
  uint64_t bytes = 0;
  int shift = 0;
  for (const uint8_t* p = data_ + at - 1;; --p, shift += 7) {
    TG_DCHECK(shift <= 28);
    bytes |= uint64_t{*p & 0x7fu} << shift;
    if (*p < 0x80) break;
  }
  return at - bytes - ListpackBacklenBytes(bytes);
}

size_t ListpackView::Walk() const {
  size_t count = 0;
  for (size_t at = First(); at != end_; at = Next(at)) ++count;
  return count;
}

size_t ListpackView::Seek(int64_t index) const {
  const uint16_t stored = stored_count();
  if (stored != kListpackCountUnknown) {
    const int64_t count = stored;
    if (index < -count || index >= count) return end_;
    if (index < 0) index += count;
    if (index > count / 2) index -= count;
  }
  size_t at = index < 0 ? end_ : First();
  for (; index > 0 && at != end_; --index) at = Next(at);
  for (; index < 0; ++index) {
    at = Prev(at);
    if (at == end_) return end_;
  }
  return at;
}

namespace {

// Groups of entries that Find may meet with another shape than it supposed before it gives up
// supposing; each costs a mispredicted branch, some five times what a right guess saves.
constexpr int kWrongGuessesMax = 4;
constexpr size_t kFindAheadBytes = 1024;

// One of the entries that Find looks at, and the one behind it: a field and its value. Fields of
// one hash often have one size, and so have values. While the first bytes of a pair are those of
// the pair before it, so is its size, and the next pair is known to be there without waiting for
// loads: the branch predictor's guess breaks the chain, which else is all that a search costs.
struct PairShape {
  uint8_t first = 0;
  uint8_t second = 0;
  uint8_t first_bytes = 0;  // 0: no shape
  uint8_t both_bytes = 0;

  bool Fits(const uint8_t* entry) const {
    return entry[0] == first && entry[first_bytes] == second;
  }
  void Learn(const uint8_t* entry, const uint8_t* next) {
    const size_t bytes = kListpackEntryBytes[*entry];
    const size_t next_bytes = kListpackEntryBytes[*next];
    const bool known = bytes != 0 && next_bytes != 0;
    first = *entry;
    second = *next;
    first_bytes = static_cast<uint8_t>(known ? bytes : 0);
    both_bytes = static_cast<uint8_t>(known ? bytes + next_bytes : 0);
  }
};

}  // namespace

size_t ListpackView::Find(std::string_view text, size_t skip, size_t from) const {
  const Needle needle(text);
  const uint8_t* const end = data_ + end_;
  const uint8_t* entry = data_ + from;
  const auto matches = [&needle](const uint8_t* at) {
    const uint8_t first = *at;
    return needle.MatchesShort(at, first) ||
           (first >= Is::kInteger13 && needle.Matches(DecodeWide(at)));
  };
  PairShape shape;
  for (int wrong = skip == 1 ? 0 : kWrongGuessesMax; wrong < kWrongGuessesMax && entry != end;) {
    if (matches(entry)) return static_cast<size_t>(entry - data_);
    if (shape.both_bytes != 0 && shape.Fits(entry)) {
      entry += shape.both_bytes;
      // Further ahead than the processor gets by itself: it can wait for more lines of its second
      // level cache than of its first. Beyond the end is harmless.
      __builtin_prefetch(entry + kFindAheadBytes, 0, 2);
      continue;
    }
    const uint8_t* next = Skip(entry);
    if (next == end) return end_;
    shape.Learn(entry, next);
    entry = Skip(next);
    ++wrong;
  }
  while (entry != end) {
    if (matches(entry)) return static_cast<size_t>(entry - data_);
    // A field is nearly always a short text, and then the table's load is not waited for.
    const uint8_t first = *entry;
    entry = (first ^ Is::kText6) < 0x40 ? entry + 2 + (first & 0x3f) : Skip(entry);
    for (size_t i = skip; i > 0 && entry != end; --i) entry = Skip(entry);
  }
  return end_;
}

}  // namespace tidegate
