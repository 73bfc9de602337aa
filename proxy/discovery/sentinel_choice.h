// SentinelChoice: who the primary of a set is, by what its sentinels say and what the servers say
// of themselves. For the kind `sentinel`.
//
// The sentinels decide, and yet none of them is simply believed. Whom most of those that answered
// name is asked, and becomes the primary only when it says so itself. When it does not, one that a
// minority names with a higher config epoch may: in a failover the sentinels learn one after the
// other, and until the last did, the old primary has the votes; but only a server that was known
// as a replica of this set, for nobody else can have been promoted. And an older word never takes
// back a newer one unless more than half of all known sentinels say it: that is what a sentinel
// that was cut off comes back with.
// Until somebody has proof the last primary stays, and the problem says why.
// Pure but for the last choice. Owner: one watcher.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "proxy/discovery/replica_states.h"
#include "proxy/topology/sentinel_view.h"

namespace tidegate::discovery {

class SentinelChoice final {
 public:
  using Choice = ChosenPrimary;

  // `opinions`: of the sentinels that answered, at least one. `sentinels`: that are known.
  // `sights` hold whom they name.
  Choice Choose(std::span<const topology::PrimaryOpinion> opinions, size_t sentinels,
                std::span<const Sight> sights);

  // Without any sentinel that answers: what was chosen last.
  Choice KeepLast(std::span<const Sight> sights, std::string problem) const;

 private:
  Choice Decide(std::span<const topology::PrimaryOpinion> opinions, size_t sentinels,
                std::span<const Sight> sights);
  // The one with the highest epoch above `epoch` that says it is the primary and was a replica.
  std::optional<topology::PrimaryOpinion> Newer(std::span<const topology::PrimaryOpinion> opinions,
                                                int64_t epoch, std::span<const Sight> sights) const;
  Choice Accept(const topology::PrimaryOpinion& opinion, std::span<const Sight> sights);

  topology::NodeAddress last_;
  int64_t last_epoch_ = 0;
  std::set<topology::NodeAddress> replicas_;  // that said they are, at any time
};

}  // namespace tidegate::discovery
