#include "proxy/session/session_input.h"

#include <algorithm>

namespace tidegate {
namespace {

// A read is offered at least a quarter of the buffer's size, so that a large input needs few reads.
size_t LeastRoom(size_t size) { return std::max(kInputBufferBytesMin, size / 4); }

// What to allocate for an announced need: all of it, unless the announcement is large and little
// of it has come.
size_t ReserveTarget(size_t have, size_t bytes_wanted) {
  return std::min(bytes_wanted, std::max<size_t>(kAnnouncedBytesTrusted.count, 2 * have + 1));
}

}  // namespace

std::span<char> SessionInput::Room(size_t bytes_wanted) {
  const size_t have = size();
  // Known need: exactly that much, so that the next command starts in the shared buffer again.
  if (bytes_wanted > have) {
    const size_t target = ReserveTarget(have, bytes_wanted);
    if (begin_ + target > capacity_) Grow(target);
    return {memory_.get() + end_, std::min(bytes_wanted - have, capacity_ - end_)};
  }
  if (capacity_ - end_ < LeastRoom(have)) Grow(have + std::max(have, kInputBufferBytesMin));
  return {memory_.get() + end_, capacity_ - end_};
}

void SessionInput::Append(std::string_view bytes, size_t bytes_wanted) {
  const size_t total = size() + bytes.size();
  if (begin_ + total > capacity_) Grow(std::max(ReserveTarget(total, bytes_wanted), total));
  std::memcpy(memory_.get() + end_, bytes.data(), bytes.size());
  end_ += bytes.size();
}

void SessionInput::Consume(size_t n) {
  begin_ += n;
  if (begin_ == end_) Clear();
}

void SessionInput::Clear() {
  memory_.reset();
  held_bytes_ -= capacity_;
  capacity_ = begin_ = end_ = 0;
}

void SessionInput::Grow(size_t capacity) {
  std::unique_ptr<char[]> bigger(new char[capacity]);
  const size_t have = size();
  if (have > 0) std::memcpy(bigger.get(), data(), have);
  memory_ = std::move(bigger);
  held_bytes_ += capacity - capacity_;
  capacity_ = capacity;
  begin_ = 0;
  end_ = have;
}

}  // namespace tidegate
