// CatchUp: until when each replica of one primary has everything that the primary had executed.
//
//   primary asked at 5 s: offset 900     replica's offset 950: it has all of before 5 s, and
//   primary asked at 6 s: offset 1000    perhaps not all of before 6 s
//
// A sample's time is when the question was sent: what was answered to a client before that is in
// the offset. Only a replica whose link is up and whose stream is the primary's (the same
// replication id) is compared; one that is not, or copies everything, loses what was known of it,
// because its data may have become older than it was. Another primary or another stream begins
// anew, with new places that workers read (CaughtUp).
// Pure but for what it remembers. Owner: one watcher. Cost: at most kCatchUpSamplesMax samples.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "proxy/topology/node_address.h"
#include "proxy/topology/replication_state.h"
#include "proxy/upstream/upstream_topology.h"

namespace tidegate::discovery {

// Rounds of questions that a replica may be behind before nothing is known of it.
inline constexpr size_t kCatchUpSamplesMax = 64;

class CatchUp final {
 public:
  // Another node is the primary, or nobody.
  void Clear();
  // The primary was asked at that time, and said this.
  void NotePrimary(int64_t asked_ns, const topology::ReplicationState& state);
  // A node that is not the primary said this; null: nothing, this time. `follows`: the primary, be
  // it through others.
  void NoteReplica(const topology::NodeAddress& address, const topology::ReplicationState* state,
                   bool follows);
  // Where workers read it.
  std::shared_ptr<const CaughtUp> Of(const topology::NodeAddress& address) {
    return PlaceOf(address);
  }
  // Of these nodes alone something is remembered from now on.
  template <typename Known>
  void Keep(const Known& known) {
    std::erase_if(places_, [&known](const auto& one) { return !known.contains(one.first); });
  }

 private:
  struct Sample {
    int64_t asked_ns;
    int64_t offset;
  };
  const std::shared_ptr<CaughtUp>& PlaceOf(const topology::NodeAddress& address);

  std::string stream_;  // its replication id; empty: not known
  std::deque<Sample> samples_;
  std::map<topology::NodeAddress, std::shared_ptr<CaughtUp>> places_;
};

}  // namespace tidegate::discovery
