// PrimaryChoice: who the primary of a set is, by what its servers say now and who it was before.
// For the kind `replicas`, where no sentinel decides.
//
// Whoever is chosen gets all writes, and a server that is wrongly chosen loses them. So a primary
// is left only for one with proof:
//   it says itself that it is a replica now         -> whoever else says that it is the primary
//   it does not answer, once or twice               -> one that was its replica, or has replicas
//   it has not answered three times in a row        -> anybody who says so and was not its rival
//   it answers, and another one says so as well     -> the one with more replicas; else it stays
// A rival, somebody who said that he is the primary while another was, has been written to by
// nobody of ours and is behind: it takes over only with replicas of its own, or after it has been
// a replica again. Nobody with proof: the last one stays, so that its coming back is all that is
// needed, and the problem says what is wrong.
// Pure but for the memory of rivals and replicas. Owner: one watcher.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "proxy/discovery/replica_states.h"

namespace tidegate::discovery {

class PrimaryChoice final {
 public:
  using Choice = ChosenPrimary;

  Choice Choose(std::span<const Sight> sights);

 private:
  Choice ChooseOther(std::span<const Sight> sights, const topology::ReplicaSet& set,
                     std::optional<size_t> last);
  bool HasProof(std::span<const Sight> sights, const topology::ReplicaSet& set,
                std::optional<size_t> last) const;
  void Remember(std::span<const Sight> sights, const Choice& choice);

  topology::NodeAddress last_;
  std::set<topology::NodeAddress> rivals_;
  std::set<topology::NodeAddress> replicas_;  // that the last primary had
};

}  // namespace tidegate::discovery
