#include "storage/rdb/file_source.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "storage/rdb/crc64.h"

namespace tidegate::rdb {
namespace {

constexpr size_t kWindowBytes = size_t{1} << 20;

}  // namespace

void FileSource::SumUpTo(const char* at) {
  if (sum_ && summed_to_ != nullptr)
    crc_ = Crc64(crc_, {summed_to_, static_cast<size_t>(at - summed_to_)});
  summed_to_ = at;
}

uint64_t FileSource::Checksum(std::string_view unread) {
  if (window_ != nullptr) SumUpTo(unread.data());
  return crc_;
}

// The unread rest goes to the front of a window of so many bytes.
void FileSource::Grow(size_t bytes, std::string_view left) {
  if (bytes <= window_bytes_) {
    std::memmove(window_.get(), left.data(), left.size());
    return;
  }
  std::unique_ptr<char[]> larger(new char[bytes]);  // not zeroed: it is read into
  if (!left.empty()) std::memcpy(larger.get(), left.data(), left.size());
  window_ = std::move(larger);
  window_bytes_ = bytes;
}

std::string_view FileSource::More(std::string_view left, size_t wanted) {
  if (window_ != nullptr) SumUpTo(left.data());
  const uint64_t to_come = file_.bytes() > end_offset_ ? file_.bytes() - end_offset_ : 0;
  if (!status_.ok() || to_come == 0 || wanted - left.size() > to_come) return left;
  Grow(std::max(wanted, kWindowBytes), left);
  summed_to_ = window_.get();
  const size_t room = std::max(wanted, kWindowBytes) - left.size();
  Result<size_t> got = file_.ReadAt(end_offset_, window_.get() + left.size(),
                                    static_cast<size_t>(std::min<uint64_t>(room, to_come)));
  if (!got.ok()) {
    status_ = std::move(got).error();
    return {window_.get(), left.size()};
  }
  end_offset_ += *got;
  return {window_.get(), left.size() + *got};
}

}  // namespace tidegate::rdb
