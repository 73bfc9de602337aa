// AccessEpoch: what one worker saw in a tenth of a second: exact counts of the keys on the watch
// list, summaries of all others, who asked for the hot ones, and totals.
//
// Replies are weighed apart from accesses: a key with ten replies of a megabyte a second is none of
// those with the most accesses, and fills the network all the same.
// Filled by a worker, read by the detector, never by both at once. Memory: about 250 KiB, 32 bytes
// a watched key and 128 a hot one.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "hotkey/space_saving.h"
#include "hotkey/watch_list.h"

namespace tidegate::hotkey {

// Keys of one worker's epoch that are told apart. A key with more than 1/512 of the accesses is
// found for certain.
inline constexpr size_t kSummaryCounters = 512;
// The same of keys with large replies.
inline constexpr size_t kEgressCounters = 64;
// A reply at least so large is noted for its bytes. Keys with smaller ones are hot by their rate
// long before their bytes are much.
inline constexpr uint32_t kLargeReplyBytes = 4096;
// In what replies are weighed there.
inline constexpr uint32_t kEgressUnitBytes = 1024;
// Clients of a hot key that are told apart.
inline constexpr size_t kClientsPerKey = 8;
// Clients that one epoch says who they are: the others' turn is in the next ones.
inline constexpr size_t kDescribedClientsMax = 256;

struct AccessCounts {
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t misses = 0;  // reads that found nothing
  uint64_t reply_bytes = 0;

  AccessCounts& operator+=(const AccessCounts& other) {
    reads += other.reads;
    writes += other.writes;
    misses += other.misses;
    reply_bytes += other.reply_bytes;
    return *this;
  }
  bool any() const { return (reads | writes | misses | reply_bytes) != 0; }
};

// A small Space-Saving over clients, by search: it is used for hot keys alone.
class ClientShares final {
 public:
  struct Share {
    uint64_t client = 0;  // as the worker calls it; 0: none
    uint32_t count = 0;
  };

  void Add(uint64_t client) {
    // A pipeline's requests come one after the other.
    if (shares_[last_].client != client) {
      last_ = IndexFor(client);
      shares_[last_].client = client;
    }
    ++shares_[last_].count;
  }
  const std::array<Share, kClientsPerKey>& shares() const { return shares_; }

 private:
  // Its own, or the lowest count's.
  size_t IndexFor(uint64_t client) const {
    size_t lowest = 0;
    for (size_t i = 0; i < shares_.size(); ++i) {
      if (shares_[i].client == client) return i;
      if (shares_[i].count < shares_[lowest].count) lowest = i;
    }
    return lowest;
  }

  size_t last_ = 0;
  std::array<Share, kClientsPerKey> shares_;
};

// Who a client is, for people. Any bytes.
struct ClientText {
  std::string address;
  std::string name;  // empty: it has none
  std::string user;
};

struct AccessEpoch {
  AccessEpoch() : watched(std::make_shared<const WatchList>(std::vector<WatchedKey>{})) {}

  // Empty, for the keys of that list.
  void Begin(std::shared_ptr<const WatchList> list) {
    watched = std::move(list);
    counts.assign(watched->size(), {});
    clients.assign(watched->hot(), {});
    names.clear();
    described.clear();
    reads.Clear();
    writes.Clear();
    egress.Clear();
    total = {};
    sampled = 1;
  }

  std::shared_ptr<const WatchList> watched;
  std::vector<AccessCounts> counts;   // of the watched keys, in the list's order
  std::vector<ClientShares> clients;  // of those that are hot
  // Names of watched keys that the list does not have, by their place on it.
  std::vector<std::pair<size_t, std::string>> names;
  // Clients of hot keys, as far as they are known and were not described lately.
  std::vector<std::pair<uint64_t, ClientText>> described;
  SpaceSaving reads{kSummaryCounters};  // of all other keys
  SpaceSaving writes{kSummaryCounters};
  SpaceSaving egress{kEgressCounters};  // in kEgressUnitBytes, of replies of kLargeReplyBytes
  AccessCounts total;
  // One of so many accesses is in `reads` and `writes`.
  uint32_t sampled = 1;
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
};

}  // namespace tidegate::hotkey
