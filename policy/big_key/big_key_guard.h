// BigKeyGuard: keeps one route's big keys from stopping everybody: a command that would read all of
// one is refused, or gets a part; DEL of one becomes UNLINK; KEYS may be refused whatever the keys.
//
// What is big it takes from the table of big keys that requests so far have filled
// (hotkey::BigKeyTable), so the first command that meets a big key passes, and a size may be
// somewhat old. A key that is not in the table costs the look into one cell of it. Only commands
// with a role are asked at all. Immutable; threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/policy_options.h"
#include "hotkey/big_key_table.h"
#include "hotkey/key_id.h"
#include "storage/command.h"
#include "storage/request.h"

namespace tidegate {

// What a command reads of its keys.
enum class BigKeyRole : uint8_t {
  kNone,
  kKeys,     // KEYS
  kDelete,   // DEL
  kString,   // GET: the whole of a string
  kWhole,    // HGETALL: all elements
  kIndexes,  // LRANGE: elements by their places
  kScores,   // ZRANGEBYSCORE, XRANGE: all of them when its bounds are open and it has no LIMIT
};

// A range that has become one of `elements` behind its first.
struct CappedRange {
  int64_t stop = 0;  // argument 3
};

class BigKeyGuard final {
 public:
  BigKeyGuard(const BigKeyOptions& options, PolicyMode mode, PolicyMode unlink,
              const CommandTable& commands);

  BigKeyRole RoleOf(const Command& command) const {
    return command.id < roles_.size() ? roles_[command.id] : BigKeyRole::kNone;
  }

  // What is to become of a request that has a role.
  struct Ruling {
    std::string refusal = {};  // not empty: why it is refused, for its client
    std::optional<CappedRange> cap = {};
    bool unlink = false;
  };
  // `keys`: those of the request that are the route's. `table`: null: no key is known to be big.
  Ruling Rule(const Request& request, std::span<const KeyRef> keys, hotkey::Keyspace keyspace,
              hotkey::BigKeyTable* table) const;

  PolicyMode mode() const { return mode_; }
  PolicyMode unlink_mode() const { return unlink_; }
  // A line for each of the two modes that is not off.
  std::vector<std::string> Describe() const;

 private:
  BigKeyRole NeededRole(const Command& command) const;
  Ruling RuleOnRead(BigKeyRole role, const Request& request, const hotkey::BigKeySize& size) const;

  const BigKeyOptions options_;
  const PolicyMode mode_;
  const PolicyMode unlink_;
  std::vector<BigKeyRole> roles_;  // by command id, as far as any has one
};

}  // namespace tidegate
