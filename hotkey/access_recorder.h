// AccessRecorder: where a worker notes each access of a key. It is on the path of every request, so
// an access is a probe of the watch list, and an increment when the key is on it or a turn of a
// summary when it is not.
//
// A key takes a counter of a summary at its second access only, as far as a small memory of who
// came lately can tell: a long tail of keys that come once goes by at the price of two look-ups,
// and takes the counters from nobody.
//
// Ten times a second what was noted goes to the detector. Two epochs go round:
//
//   worker: EndEpoch --finished_--> detector: Take, merge, GiveBack(new list) --spare_--> worker
//
// each over one atomic pointer, so neither ever waits. A detector that is late makes an epoch
// longer, and nothing is lost. Rates above kUnsampledPerSecond are sampled for keys that are not
// watched: a hot key is still found at once, and the watched ones stay exact.
// Owner: a worker; Take and GiveBack are the detector's, one thread at a time.
// Cost: 3 to 40 ns an access.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "hotkey/access_epoch.h"

namespace tidegate::hotkey {

// Accesses of a worker from which on keys that are not watched are sampled, and how: one of so
// many.
inline constexpr uint64_t kUnsampledPerSecond = 200'000;
inline constexpr uint32_t kSampled = 8;

// Cells of the memory of who came lately, each with 16 bits of one key's id.
inline constexpr size_t kSeenCells = 4096;

// A client of a hot key is described anew after so many epochs: its name may have changed.
inline constexpr uint32_t kDescribedForEpochs = 20;

struct Access {
  KeyId id = 0;
  Keyspace keyspace = {};
  std::string_view name;  // for the call
  bool is_write = false;
  uint64_t client = 0;  // who asks; not 0
};

class AccessRecorder final {
 public:
  explicit AccessRecorder(int64_t now_ns);
  ~AccessRecorder();
  AccessRecorder(const AccessRecorder&) = delete;
  AccessRecorder& operator=(const AccessRecorder&) = delete;

  void Note(const Access& access) { NoteWith(access, epoch_->watched->Find(access.id)); }
  // Once the access is answered; `access.name` may be empty by then. `missed`: a read found
  // nothing.
  void NoteReply(const Access& access, uint64_t reply_bytes, bool missed) {
    NoteReplyWith(access, epoch_->watched->Find(access.id), reply_bytes, missed);
  }
  // Both, where the answer is known at once.
  void NoteAnswered(const Access& access, uint64_t reply_bytes, bool missed) {
    const std::optional<size_t> index = epoch_->watched->Find(access.id);
    NoteWith(access, index);
    NoteReplyWith(access, index, reply_bytes, missed);
  }
  // What is known of a key, as of the last epoch's beginning. Valid until the next EndEpoch.
  const WatchedKey* Find(KeyId id) const {
    const std::optional<size_t> index = epoch_->watched->Find(id);
    return index ? &(*epoch_->watched)[*index] : nullptr;
  }

  // Before EndEpoch: says who the clients of hot keys are. `describe(client)` gives an
  // std::optional<ClientText>, none when the client is gone.
  template <typename Fn>
  void DescribeClients(Fn&& describe) {
    if (++described_epochs_ % kDescribedForEpochs == 0) described_.clear();
    AccessEpoch& epoch = *epoch_;
    for (const ClientShares& shares : epoch.clients) {
      for (const ClientShares::Share& share : shares.shares()) {
        if (share.count == 0 || described_.contains(share.client)) continue;
        if (epoch.described.size() >= kDescribedClientsMax) return;
        std::optional<ClientText> text = describe(share.client);
        if (!text) continue;
        described_.insert(share.client);
        epoch.described.emplace_back(share.client, *std::move(text));
      }
    }
  }
  // Ten times a second. False: the detector has not taken the one before, so this one goes on.
  bool EndEpoch(int64_t now_ns);

  // The detector's: what was finished, or null. To be given back, whatever came of it.
  std::unique_ptr<AccessEpoch> Take() {
    return std::unique_ptr<AccessEpoch>(finished_.exchange(nullptr));
  }
  void GiveBack(std::unique_ptr<AccessEpoch> epoch, std::shared_ptr<const WatchList> list);

 private:
  // `index`: the key's place on the watch list.
  void NoteWith(const Access& access, std::optional<size_t> index) {
    AccessEpoch& epoch = *epoch_;
    ++(access.is_write ? epoch.total.writes : epoch.total.reads);
    if (index) {
      AccessCounts& counts = epoch.counts[*index];
      ++(access.is_write ? counts.writes : counts.reads);
      if (*index < epoch.clients.size()) epoch.clients[*index].Add(access.client);
      if (__builtin_expect((*epoch.watched)[*index].name.empty(), 0)) LearnName(*index, access);
      return;
    }
    if (epoch.sampled != 1 && ++skipped_ % kSampled != 0) return;
    SpaceSaving& summary = access.is_write ? epoch.writes : epoch.reads;
    if (!summary.AddToExisting(access.id, access.name) && SeenBefore(access))
      summary.Add(access.id, access.keyspace, access.name);
  }
  // Most keys of a long tail come once and take no counter from anybody.
  bool SeenBefore(const Access& access) {
    const auto mine = static_cast<uint16_t>(access.id >> 48 | (access.is_write ? 1 : 0));
    uint16_t& last = seen_[access.id >> 16 & (kSeenCells - 1)];
    if (last == mine) return true;
    last = mine;
    return false;
  }
  void NoteReplyWith(const Access& access, std::optional<size_t> index, uint64_t reply_bytes,
                     bool missed) {
    AccessEpoch& epoch = *epoch_;
    epoch.total.reply_bytes += reply_bytes;
    epoch.total.misses += missed ? 1 : 0;
    if (index) {
      epoch.counts[*index].reply_bytes += reply_bytes;
      epoch.counts[*index].misses += missed ? 1 : 0;
    } else if (__builtin_expect(reply_bytes >= kLargeReplyBytes, 0)) {
      NoteLargeReply(access, reply_bytes);
    }
  }
  void LearnName(size_t index, const Access& access);
  void NoteLargeReply(const Access& access, uint64_t reply_bytes);

  std::unique_ptr<AccessEpoch> epoch_;
  uint32_t skipped_ = 0;
  std::array<uint16_t, kSeenCells> seen_{};
  std::unordered_set<uint64_t> described_;  // clients, in the last epochs
  uint32_t described_epochs_ = 0;
  std::atomic<AccessEpoch*> finished_{nullptr};
  std::atomic<AccessEpoch*> spare_;
};

}  // namespace tidegate::hotkey
