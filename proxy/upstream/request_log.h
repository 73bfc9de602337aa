// RequestLog: the requests in flight at one connection, encoded, oldest first, so that a node which
// answers "not here" does not cost the client its request.
//
//   [8 bytes: length][*2 $3 GET $1 k][length][…]        one piece of memory, a mark for its front
//
// Where nodes may redirect it has all requests; elsewhere those alone that call a script by its
// SHA1, if there are any. Nothing else is sent a second time. Owner: the connection. Cost: each
// request copied once more; the front is taken off by moving the mark, and what is behind it moves
// forward when more than half is free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace tidegate {

class RequestLog final {
 public:
  // Each returns what was added; valid until the next call.
  std::string_view Add(std::span<const std::string_view> args);
  std::string_view AddEncoded(std::string_view bytes);

  // Of the oldest. There must be one.
  std::string_view Front() const;
  void PopFront();

  bool empty() const { return begin_ == bytes_.size(); }
  size_t size_bytes() const { return bytes_.size() - begin_; }
  void Clear();

 private:
  size_t Begin(size_t size);

  std::vector<char> bytes_;
  size_t begin_ = 0;
};

}  // namespace tidegate
