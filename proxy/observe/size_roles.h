// SizeRoles: what requests to upstreams, and the replies to them, say about how large a value is.
//
// A node says so more often than one thinks: SET carries the whole value, GET's reply has its
// length in front, HLEN and RPUSH answer with the number of elements, HGETALL has them all. Where
// only a part is seen (LRANGE, HMGET, HSET) it is the least that there is. What nothing is said of
// (a hash that grows by one HSET after the other) is found by the first HLEN or HGETALL, or by the
// probe. Requests for several keys say nothing but MSET, MGET, DEL and UNLINK. A script that is
// called with one key may make its reply of anything; as a rule it is what the key holds.
// A role is one byte for each command, looked up by its number. Immutable after construction;
// threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "storage/command.h"
#include "storage/request.h"

namespace tidegate {

enum class SizeRole : uint8_t {
  kNone,          // nothing is said, or nobody knows of which key
  kOther,         // a read of one key: its value is at least what the reply has of it
  kSets,          // SET: the string is the argument
  kSetsPairs,     // MSET
  kAdds,          // the value is at least what is added
  kRemoves,       // the keys are gone
  kFlushes,       // all keys are
  kString,        // GET: the reply is the string
  kLength,        // STRLEN, APPEND: the reply is the string's length
  kCount,         // HLEN, RPUSH: the reply is the number of elements
  kElements,      // SMEMBERS: the reply has all of them
  kPairs,         // HGETALL: the reply has all of them, two for each
  kSomeElements,  // LRANGE: the reply has elements, maybe not all
  kManyStrings,   // MGET: the reply has a string for each key
  kScript         // EVAL: of one key, whose value is taken to be at least what the reply has
};

struct ValueSize {
  std::optional<uint64_t> bytes;
  std::optional<uint64_t> elements;
  bool exact = false;  // else the least that they can be
};

// Replies below both are never looked at: counts of three digits, and less than any limit may be
// (kWatchedBytesMin).
inline constexpr size_t kCountReplyBytesMin = 7;  // ":1000\r\n"
inline constexpr size_t kLongReplyBytesMin = 4096;

inline bool MaySaySize(std::string_view reply) {
  return reply.size() >= kCountReplyBytesMin &&
         (reply.front() == ':' || reply.size() >= kLongReplyBytesMin);
}

class SizeRoles final {
 public:
  // Of the commands with the first `known` ids; the others are declared ones, which may change.
  SizeRoles(const CommandTable& commands, size_t known);

  SizeRole Of(const Command& command) const {
    return __builtin_expect(command.id < roles_.size(), 1) ? roles_[command.id]
                                                           : OfDeclared(command);
  }

 private:
  static SizeRole OfDeclared(const Command& command);

  std::vector<SizeRole> roles_;
};

// Of a single key's value after the request, as far as the request says it.
std::optional<ValueSize> SizeInRequest(SizeRole role, const Request& request);

// `begin`: the reply, or the beginning of a very large one; `reply_bytes`: of all of it.
std::optional<ValueSize> SizeInReply(SizeRole role, std::string_view begin, uint64_t reply_bytes);

// As TYPE says; empty: the command is for keys of any type.
std::string_view TypeOfGroup(Group group);

}  // namespace tidegate
