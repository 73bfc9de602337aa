// SessionInput: the bytes of a session that are not executed yet and had to be kept: an incomplete
// command, or the commands behind a suspended one.
//
// Holds memory only while it holds bytes. Appending grows to what the parser says is needed (an
// announced bulk of 64 KiB is allocated once, and the socket then reads straight into it), else it
// doubles: no byte is moved more than twice on average, and a bulk at most once. Owner: one worker.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "base/bytes.h"

namespace tidegate {

// Smallest buffer that is taken, and the least free room that is offered to a read; of a large
// buffer more, so that it needs few reads.
inline constexpr size_t kInputBufferBytesMin = 1024;
inline constexpr size_t kInputRoomBytesMax = 16384;

// Announced bytes that are allocated at once: addresses, which cost nothing until bytes come.
// Beyond it the buffer doubles as bytes really come, so that an announcement alone costs a client
// nothing and us nothing. Doubling copies what is there where the allocator cannot enlarge it in
// place, in one go, at 1 to 2 GB a second: behind a large argument there is room for small ones.
inline constexpr Bytes kAnnouncedBytesTrusted = 256_MiB;

class SessionInput final {
 public:
  // `held_bytes`: to which the memory is added while it is held. Of the same worker.
  explicit SessionInput(size_t& held_bytes) : held_bytes_(held_bytes) {}
  ~SessionInput() { Clear(); }
  SessionInput(const SessionInput&) = delete;
  SessionInput& operator=(const SessionInput&) = delete;

  bool empty() const { return begin_ == end_; }
  size_t size() const { return end_ - begin_; }
  size_t capacity() const { return capacity_; }
  size_t free_bytes() const { return capacity_ - end_; }
  char* data() { return memory_.get() + begin_; }
  std::string_view bytes() const { return {memory_.get() + begin_, end_ - begin_}; }

  // Room for a read that will bring the input to `bytes_wanted` in all (0: not known). The span is
  // what may be read into; Added() says how much was.
  std::span<char> Room(size_t bytes_wanted);
  void Added(size_t n) { end_ += n; }

  void Append(std::string_view bytes, size_t bytes_wanted);
  // Drops the first n bytes; frees the memory with the last one.
  void Consume(size_t n);
  void Clear();

 private:
  void Grow(size_t capacity);

  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };

  size_t& held_bytes_;
  std::unique_ptr<char, Free> memory_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace tidegate
