#include "policy/blank_reply.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace tidegate {
namespace {

constexpr std::array<std::pair<std::string_view, NothingReply>, 34> kReplies = {{
    {"bitcount", NothingReply::kZero},
    {"exists", NothingReply::kZero},
    {"get", NothingReply::kNull},
    {"getbit", NothingReply::kZero},
    {"hexists", NothingReply::kZero},
    {"hget", NothingReply::kNull},
    {"hgetall", NothingReply::kMap},
    {"hkeys", NothingReply::kArray},
    {"hlen", NothingReply::kZero},
    {"hmget", NothingReply::kNulls},
    {"hstrlen", NothingReply::kZero},
    {"hvals", NothingReply::kArray},
    {"lindex", NothingReply::kNull},
    {"llen", NothingReply::kZero},
    {"lrange", NothingReply::kArray},
    {"mget", NothingReply::kNulls},
    {"scard", NothingReply::kZero},
    {"sismember", NothingReply::kZero},
    {"smembers", NothingReply::kSet},
    {"strlen", NothingReply::kZero},
    {"touch", NothingReply::kZero},
    {"xlen", NothingReply::kZero},
    {"xrange", NothingReply::kArray},
    {"xrevrange", NothingReply::kArray},
    {"zcard", NothingReply::kZero},
    {"zcount", NothingReply::kZero},
    {"zlexcount", NothingReply::kZero},
    {"zrange", NothingReply::kArray},
    {"zrangebyscore", NothingReply::kArray},
    {"zrevrange", NothingReply::kArray},
    {"zrevrangebyscore", NothingReply::kArray},
    {"zrevrank", NothingReply::kNull},
    {"zrank", NothingReply::kNull},
    {"zscore", NothingReply::kNull},
}};

void WriteNull(PolicyAnswer answer, ReplyWriter& reply, std::string_view blank) {
  if (answer == PolicyAnswer::kBlank) {
    reply.Bulk(blank);
  } else {
    reply.Null();
  }
}

// One for each key, or for each field of one.
void WriteNulls(const Request& request, PolicyAnswer answer, ReplyWriter& reply,
                std::string_view blank) {
  const size_t fields = request.args.size() - (request.command->full_name == "mget" ? 1 : 2);
  reply.Array(fields);
  for (size_t i = 0; i < fields; ++i) WriteNull(answer, reply, blank);
}

}  // namespace

NothingReply NothingReplyOf(const Command& command) {
  const auto found = std::find_if(kReplies.begin(), kReplies.end(), [&command](const auto& known) {
    return known.first == command.full_name;
  });
  return found == kReplies.end() ? NothingReply::kNone : found->second;
}

bool IsNothing(NothingReply kind, std::string_view reply) {
  switch (kind) {
    case NothingReply::kNull:
      return reply == "$-1\r\n" || reply == "_\r\n";
    case NothingReply::kZero:
      return reply == ":0\r\n";
    case NothingReply::kArray:
    case NothingReply::kSet:
    case NothingReply::kMap:
      return reply == "*0\r\n" || reply == "~0\r\n" || reply == "%0\r\n";
    case NothingReply::kNone:
    case NothingReply::kNulls:
      break;
  }
  return false;
}

bool MayBeNothing(std::string_view reply) {
  return IsNothing(NothingReply::kNull, reply) || IsNothing(NothingReply::kZero, reply) ||
         IsNothing(NothingReply::kArray, reply);
}

bool WriteNothing(const Request& request, PolicyAnswer answer, ReplyWriter& reply,
                  std::string_view blank) {
  switch (NothingReplyOf(*request.command)) {
    case NothingReply::kNone:
      return false;
    case NothingReply::kNull:
      // A rank or a score is no string: there is no blank one.
      WriteNull(request.command->spec->group == Group::kSortedSet ? PolicyAnswer::kNil : answer,
                reply, blank);
      break;
    case NothingReply::kNulls:
      WriteNulls(request, answer, reply, blank);
      break;
    case NothingReply::kZero:
      reply.Integer(0);
      break;
    case NothingReply::kArray:
      reply.Array(0);
      break;
    case NothingReply::kSet:
      reply.Set(0);
      break;
    case NothingReply::kMap:
      reply.Map(0);
      break;
  }
  return true;
}

}  // namespace tidegate
