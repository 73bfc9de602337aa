#include "proxy/observe/size_roles.h"

#include <algorithm>
#include <iterator>

#include "base/text.h"

namespace tidegate {
namespace {

struct NamedRole {
  std::string_view name;  // as Command::full_name
  SizeRole role;
};

using enum SizeRole;
constexpr NamedRole kNamedRoles[] = {
    {"append", kLength},
    {"del", kRemoves},
    {"eval", kScript},
    {"eval_ro", kScript},
    {"evalsha", kScript},
    {"evalsha_ro", kScript},
    {"fcall", kScript},
    {"fcall_ro", kScript},
    {"flushall", kFlushes},
    {"flushdb", kFlushes},
    {"geoadd", kAdds},
    {"get", kString},
    {"getdel", kRemoves},
    {"getex", kString},
    {"getset", kSets},
    {"hgetall", kPairs},
    {"hkeys", kElements},
    {"hlen", kCount},
    {"hmset", kAdds},
    {"hset", kAdds},
    {"hvals", kElements},
    {"linsert", kCount},
    {"llen", kCount},
    {"lpush", kCount},
    {"lpushx", kCount},
    {"lrange", kSomeElements},
    {"mget", kManyStrings},
    {"mset", kSetsPairs},
    {"psetex", kSets},
    {"restore", kAdds},
    {"rpush", kCount},
    {"rpushx", kCount},
    {"sadd", kAdds},
    {"scard", kCount},
    {"set", kSets},
    {"setex", kSets},
    {"setrange", kLength},
    {"smembers", kElements},
    {"strlen", kLength},
    {"unlink", kRemoves},
    {"xadd", kAdds},
    {"xlen", kCount},
    {"xrange", kSomeElements},
    {"xrevrange", kSomeElements},
    {"zadd", kAdds},
    {"zcard", kCount},
};

SizeRole RoleOfUnnamed(const CommandSpec& spec) {
  const bool one_key = spec.keys.first == 1 && spec.keys.last == 1 && spec.find_keys == nullptr;
  return one_key && spec.access == Access::kRead ? kOther : kNone;
}

SizeRole RoleOf(const Command& command) {
  const auto* const named =
      std::find_if(std::begin(kNamedRoles), std::end(kNamedRoles),
                   [&](const NamedRole& one) { return one.name == command.full_name; });
  if (named != std::end(kNamedRoles)) return named->role;
  return RoleOfUnnamed(*command.spec);
}

bool IsConditional(const Request& request) {
  return std::any_of(request.args.begin() + 3, request.args.end(), [](std::string_view word) {
    return EqualsIgnoreCase(word, "nx") || EqualsIgnoreCase(word, "xx");
  });
}

// The number behind the first byte of a reply; none when there is none, or it is negative.
std::optional<uint64_t> NumberOf(std::string_view reply) {
  const size_t end = reply.find('\r');
  if (end == std::string_view::npos || end < 2) return std::nullopt;
  return ParseUint64(reply.substr(1, end - 1));
}

bool IsAggregate(char first) { return first == '*' || first == '~' || first == '%'; }

}  // namespace

SizeRoles::SizeRoles(const CommandTable& commands, size_t known) : roles_(known, kNone) {
  for (const Command* command : commands.all()) {
    if (command->id < known) roles_[command->id] = RoleOf(*command);
  }
}

SizeRole SizeRoles::OfDeclared(const Command& command) { return RoleOfUnnamed(*command.spec); }

std::optional<ValueSize> SizeInRequest(SizeRole role, const Request& request) {
  const auto& args = request.args;
  if (role == kSets && args.size() >= 3) {
    // SETEX and PSETEX have the time before the value.
    const bool time_first = args.size() == 4 && !EqualsIgnoreCase(args[0], "set");
    const std::string_view value = args[time_first ? 3 : 2];
    return ValueSize{.bytes = value.size(), .elements = 1, .exact = !IsConditional(request)};
  }
  if (role != kAdds && role != kCount && role != kLength) return std::nullopt;
  uint64_t bytes = 0;
  for (const std::string_view argument : args.subspan(std::min<size_t>(args.size(), 2)))
    bytes += argument.size();
  return ValueSize{.bytes = bytes, .elements = {}, .exact = false};
}

std::optional<ValueSize> SizeInReply(SizeRole role, std::string_view begin, uint64_t reply_bytes) {
  const std::optional<uint64_t> number = NumberOf(begin);
  if (!number) return std::nullopt;
  const char first = begin.front();
  switch (role) {
    case kString:
      if (first != '$') return std::nullopt;
      return ValueSize{.bytes = number, .elements = 1, .exact = true};
    case kLength:
      if (first != ':') return std::nullopt;
      return ValueSize{.bytes = number, .elements = 1, .exact = true};
    case kCount:
      if (first != ':') return std::nullopt;
      return ValueSize{.bytes = {}, .elements = number, .exact = true};
    case kElements:
    case kPairs:
    case kSomeElements:
      if (!IsAggregate(first)) return std::nullopt;
      return ValueSize{.bytes = reply_bytes,
                       .elements = role == kPairs && first == '*' ? *number / 2 : *number,
                       .exact = false};
    case kOther:
    case kScript:
      if (first == ':') return std::nullopt;
      return ValueSize{
          .bytes = first == '$' ? *number : reply_bytes, .elements = {}, .exact = false};
    default:
      return std::nullopt;
  }
}

std::string_view TypeOfGroup(Group group) {
  switch (group) {
    case Group::kString:
    case Group::kBitmap:
    case Group::kHyperLogLog:
      return "string";
    case Group::kList:
      return "list";
    case Group::kHash:
      return "hash";
    case Group::kSet:
      return "set";
    case Group::kSortedSet:
    case Group::kGeo:
      return "zset";
    case Group::kStream:
      return "stream";
    default:
      return "";
  }
}

}  // namespace tidegate
