#include "proxy/upstream/request_log.h"

#include <array>
#include <charconv>
#include <cstring>

#include "base/check.h"

namespace tidegate {
namespace {

constexpr size_t kHeaderBytes = sizeof(uint64_t);

// Memory that an empty log keeps, and free room at the front that is not worth moving for.
constexpr size_t kKeptBytesMax = 1 << 20;
constexpr size_t kSlackBytesMax = 64 << 10;

// "*" or "$", a number and the line's end.
struct Header {
  std::array<char, 24> text;
  size_t size = 0;

  Header(char type, size_t number) {
    text[0] = type;
    char* const end = std::to_chars(text.data() + 1, text.data() + text.size() - 2, number).ptr;
    end[0] = '\r';
    end[1] = '\n';
    size = static_cast<size_t>(end - text.data()) + 2;
  }
};

char* Append(char* to, const char* from, size_t size) {
  if (size > 0) std::memcpy(to, from, size);
  return to + size;
}

}  // namespace

// Room for an entry of that size, its header written; returns where its bytes begin.
size_t RequestLog::Begin(size_t size) {
  const size_t at = bytes_.size();
  bytes_.resize(at + kHeaderBytes + size);
  const uint64_t header = size;
  std::memcpy(bytes_.data() + at, &header, kHeaderBytes);
  return at + kHeaderBytes;
}

std::string_view RequestLog::Add(std::span<const std::string_view> args) {
  const Header count('*', args.size());
  size_t size = count.size;
  for (const std::string_view arg : args) size += Header('$', arg.size()).size + arg.size() + 2;
  const size_t begin = Begin(size);
  char* to = Append(bytes_.data() + begin, count.text.data(), count.size);
  for (const std::string_view arg : args) {
    const Header length('$', arg.size());
    to = Append(to, length.text.data(), length.size);
    to = Append(to, arg.data(), arg.size());
    to = Append(to, "\r\n", 2);
  }
  return {bytes_.data() + begin, size};
}

std::string_view RequestLog::AddEncoded(std::string_view bytes) {
  const size_t begin = Begin(bytes.size());
  Append(bytes_.data() + begin, bytes.data(), bytes.size());
  return {bytes_.data() + begin, bytes.size()};
}

std::string_view RequestLog::Front() const {
  TG_DCHECK(!empty());
  uint64_t size = 0;
  std::memcpy(&size, bytes_.data() + begin_, kHeaderBytes);
  return {bytes_.data() + begin_ + kHeaderBytes, size};
}

void RequestLog::PopFront() {
  begin_ += kHeaderBytes + Front().size();
  if (empty()) return Clear();
  if (begin_ <= kSlackBytesMax || begin_ * 2 <= bytes_.size()) return;
  bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<ptrdiff_t>(begin_));
  begin_ = 0;
}

void RequestLog::Clear() {
  begin_ = 0;
  bytes_.clear();
  if (bytes_.capacity() > kKeptBytesMax) std::vector<char>().swap(bytes_);
}

}  // namespace tidegate
