// ReplyNames: turns the names of keys in a reply back into those that the client knows, where a
// route changed them on the way (proxy/route/rewritten_request.h).
//
// Few replies name keys, and each in its own place; everything else in them is copied as it came.
// What pops from several keys, and streams, name keys that the request named: these are looked up
// among its pairs, since each may have had a route of its own. KEYS and SCAN name any, of one
// route: its prefix is taken off. What does not look as it should, an error or a null, is left as
// it is. Plain value. Cost: a copy of the reply.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/reply_writer.h"

namespace tidegate {

class ReplyNames final {
 public:
  enum class Shape : uint8_t {
    kNone,     // the reply names none
    kFirst,    // an array whose first element is a key: BLPOP, LMPOP
    kEach,     // an array of keys: KEYS
    kScan,     // a cursor and an array of keys
    kStreams,  // a map, or an array of pairs: XREAD
  };

  explicit ReplyNames(Shape shape) : shape_(shape) {}

  // Of the request's keys: what the upstream calls it, and the client.
  void Add(std::string_view there, std::string_view here) { pairs_.emplace_back(there, here); }
  // In front of all names there.
  void set_prefix(std::string prefix) { prefix_ = std::move(prefix); }

  std::string Restore(std::string_view reply, Protocol protocol) const;

 private:
  // Copies the next element of `rest` to `out`: a bulk string as the name of a key, anything else
  // as it is. False: there is none.
  bool CopyName(std::string_view& rest, std::string& out) const;
  std::string_view Here(std::string_view there) const;
  bool RestoreStreams(std::string_view rest, Protocol protocol, std::string& out) const;

  const Shape shape_;
  std::string prefix_;
  std::vector<std::pair<std::string, std::string>> pairs_;
};

}  // namespace tidegate
