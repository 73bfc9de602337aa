#include "proxy/session/session_input.h"

#include <algorithm>

#include "base/check.h"

namespace tidegate {
namespace {

size_t LeastRoom(size_t size) {
  return std::clamp(size / 4, kInputBufferBytesMin, kInputRoomBytesMax);
}

// What to allocate for an announced need: all of it, unless the announcement is large and little
// of it has come; and behind a large argument room for what follows it.
size_t ReserveTarget(size_t have, size_t bytes_wanted) {
  const size_t rest = bytes_wanted > kInputRoomBytesMax ? kInputRoomBytesMax : 0;
  return std::min(bytes_wanted + rest,
                  std::max<size_t>(kAnnouncedBytesTrusted.count, 2 * have + 1));
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
  const size_t have = size();
  if (begin_ == 0) {
    char* const bigger = static_cast<char*>(std::realloc(memory_.get(), capacity));
    TG_CHECK(bigger != nullptr);
    (void)memory_.release();
    memory_.reset(bigger);
  } else {
    std::unique_ptr<char, Free> bigger(static_cast<char*>(std::malloc(capacity)));
    TG_CHECK(bigger != nullptr);
    std::memcpy(bigger.get(), data(), have);
    memory_ = std::move(bigger);
  }
  held_bytes_ += capacity - capacity_;
  capacity_ = capacity;
  begin_ = 0;
  end_ = have;
}

}  // namespace tidegate
