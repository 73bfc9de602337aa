#include "storage/journal/journal_group.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"

namespace tidegate {
namespace {

constexpr size_t kChecksumBytes = 4;
constexpr size_t kVersionAt = 4;
constexpr size_t kFirstAt = 8;
constexpr size_t kUnixMsAt = 16;
constexpr size_t kCountAt = 24;
constexpr size_t kHeaderChecksumAt = 28;
constexpr size_t kSizeAt = 32;
constexpr size_t kVarintBytesMax = 10;

// Which had neither a size nor a checksum of the header.
constexpr uint8_t kFirstVersion = 1;
constexpr size_t kFirstVersionHeaderBytes = 32;

template <typename T>
void Put(char* bytes, size_t at, T value) {
  for (size_t i = 0; i < sizeof value; ++i)
    bytes[at + i] = static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
}

template <typename T>
T Get(std::string_view bytes, size_t at) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i)
    value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[at + i])) << (8 * i);
  return static_cast<T>(value);
}

size_t PutVarint(char* out, uint64_t value) {
  size_t size = 0;
  for (; value >= 0x80; value >>= 7) out[size++] = static_cast<char>(value | 0x80);
  out[size++] = static_cast<char>(value);
  return size;
}

// Takes a varint from the front; false when there is none.
bool TakeVarint(std::string_view& bytes, uint64_t* value) {
  *value = 0;
  for (size_t i = 0; i < std::min(bytes.size(), kVarintBytesMax); ++i) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    *value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte >= 0x80) continue;
    bytes.remove_prefix(i + 1);
    return true;
  }
  return false;
}

uint32_t HeaderChecksum(std::string_view header) {
  const std::string_view before = header.substr(kVersionAt, kHeaderChecksumAt - kVersionAt);
  return Crc32c(header.substr(kSizeAt, kJournalGroupHeaderBytes - kSizeAt), Crc32c(before));
}

bool TakeRecord(std::string_view& bytes, std::string_view* record) {
  uint64_t size = 0;
  if (!TakeVarint(bytes, &size) || size > bytes.size()) return false;
  *record = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return true;
}

}  // namespace

void JournalGroupBuilder::Begin(uint64_t first) {
  TG_DCHECK(count_ == 0);
  first_ = first;
  capacity_ = usual_bytes_;
  bytes_.reset(new char[capacity_]);
  std::memset(bytes_.get(), 0, kJournalGroupHeaderBytes);
  size_ = kJournalGroupHeaderBytes;
}

void JournalGroupBuilder::Grow(size_t wanted) {
  capacity_ = std::max(wanted, 2 * size_);
  std::unique_ptr<char[]> bytes(new char[capacity_]);
  std::memcpy(bytes.get(), bytes_.get(), size_);
  bytes_ = std::move(bytes);
}

void JournalGroupBuilder::Add(std::string_view record) {
  const size_t wanted = size_ + kVarintBytesMax + record.size();
  if (__builtin_expect(wanted > capacity_, 0)) Grow(wanted);
  char* out = bytes_.get() + size_;
  out += PutVarint(out, record.size());
  std::memcpy(out, record.data(), record.size());
  size_ = static_cast<size_t>(out - bytes_.get()) + record.size();
  ++count_;
}

std::shared_ptr<const JournalGroup> JournalGroupBuilder::Finish(int64_t unix_ms) {
  TG_CHECK(count_ > 0);
  char* bytes = bytes_.get();
  Put<uint8_t>(bytes, kVersionAt, kJournalGroupVersion);
  Put<uint64_t>(bytes, kFirstAt, first_);
  Put<int64_t>(bytes, kUnixMsAt, unix_ms);
  Put<uint32_t>(bytes, kCountAt, count_);
  Put<uint64_t>(bytes, kSizeAt, size_);
  Put<uint32_t>(bytes, kHeaderChecksumAt, HeaderChecksum({bytes, kJournalGroupHeaderBytes}));
  Put<uint32_t>(bytes, 0, Crc32c({bytes + kChecksumBytes, size_ - kChecksumBytes}));
  usual_bytes_ = std::min<size_t>(size_ + size_ / 4, kJournalGroupBytesMax.count);
  auto group = std::make_shared<const JournalGroup>(first_, count_, std::move(bytes_), size_);
  capacity_ = 0;
  count_ = 0;
  return group;
}

uint64_t JournalGroupView::SizeOf(std::string_view bytes) {
  if (bytes.size() < kJournalGroupHeaderBytes ||
      Get<uint8_t>(bytes, kVersionAt) != kJournalGroupVersion ||
      Get<uint32_t>(bytes, kHeaderChecksumAt) != HeaderChecksum(bytes))
    return 0;
  const auto size = Get<uint64_t>(bytes, kSizeAt);
  return size >= kJournalGroupHeaderBytes ? size : 0;
}

Result<JournalGroupView> JournalGroupView::Parse(std::string_view bytes) {
  if (bytes.size() < kFirstVersionHeaderBytes)
    return Error{"it has " + std::to_string(bytes.size()) + " bytes, less than its header"};
  if (Get<uint32_t>(bytes, 0) != Crc32c(bytes.substr(kChecksumBytes)))
    return Error{"its checksum is wrong"};
  const auto version = Get<uint8_t>(bytes, kVersionAt);
  if (version < kFirstVersion || version > kJournalGroupVersion)
    return Error{"its format version is " + std::to_string(version) + ", known is up to " +
                 std::to_string(kJournalGroupVersion)};
  if (version == kJournalGroupVersion && SizeOf(bytes) != bytes.size())
    return Error{"its header does not have its size"};
  JournalGroupView view;
  view.first_ = Get<uint64_t>(bytes, kFirstAt);
  view.unix_ms_ = Get<int64_t>(bytes, kUnixMsAt);
  view.count_ = Get<uint32_t>(bytes, kCountAt);
  view.rest_ =
      bytes.substr(version == kFirstVersion ? kFirstVersionHeaderBytes : kJournalGroupHeaderBytes);
  std::string_view rest = view.rest_;
  std::string_view record;
  for (uint32_t i = 0; i < view.count_; ++i) {
    if (!TakeRecord(rest, &record))
      return Error{"record " + std::to_string(i) + " of " + std::to_string(view.count_) +
                   " is longer than the group"};
  }
  if (view.count_ == 0 || !rest.empty()) return Error{"its count of records is wrong"};
  return view;
}

bool JournalGroupView::Next(std::string_view* record) { return TakeRecord(rest_, record); }

}  // namespace tidegate
