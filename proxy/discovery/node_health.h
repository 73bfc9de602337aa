// NodeHealth: whether a node answers, from what asking it came to: three failures in a row make it
// unusable, one success usable again. Three, because one lost packet or one slow command must not
// take a node away from its clients; one, because a node that answers can be used.
// A plain value; owner: the watcher of its cluster.
#pragma once

#include <string>
#include <utility>

#include "proxy/topology/reply.h"

namespace tidegate::discovery {

inline constexpr int kFailuresUntilUnusable = 3;

class NodeHealth final {
 public:
  bool is_usable() const { return failures_ < kFailuresUntilUnusable; }
  // Whether it ever answered.
  bool is_known() const { return known_; }
  int failures() const { return failures_; }
  // Why the last question failed; empty when it did not.
  const std::string& why() const { return why_; }

  // Both: whether it has become usable or unusable.
  bool Succeeded() {
    const bool before = is_usable();
    failures_ = 0;
    known_ = true;
    why_.clear();
    return !before;
  }
  bool Failed(std::string why) {
    const bool before = is_usable();
    if (failures_ < kFailuresUntilUnusable) ++failures_;
    why_ = std::move(why);
    return before != is_usable();
  }

 private:
  int failures_ = 0;
  bool known_ = false;
  std::string why_;
};

// Whether a server that answers PING so can serve; empty: it can, else why not. A node that refuses
// PING to our user, or runs a script, lives all the same.
inline std::string WhyNotServing(const topology::Reply& reply) {
  if (!reply.is_error()) return "";
  for (const char* code : {"LOADING", "MASTERDOWN", "NOAUTH", "WRONGPASS", "ERR max number"}) {
    if (reply.text.starts_with(code)) return "it says " + reply.text.substr(0, 120);
  }
  return "";
}

}  // namespace tidegate::discovery
