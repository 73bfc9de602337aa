// Audience: how many subscribers something has, on each worker.
//
// Most channels have subscribers on one or two workers, so the list is searched and not indexed by
// worker: a million channels then cost what they hold. Guarded by whoever owns it.
#pragma once

#include <cstdint>
#include <vector>

namespace tidegate {

// Workers as bits.
using WorkerSet = uint64_t;

class Audience final {
 public:
  void Add(int worker) {
    ++total_;
    for (Share& share : shares_) {
      if (share.worker == worker) {
        ++share.count;
        return;
      }
    }
    shares_.push_back({worker, 1});
  }
  void Remove(int worker) {
    for (size_t i = 0; i < shares_.size(); ++i) {
      if (shares_[i].worker != worker) continue;
      --total_;
      if (--shares_[i].count > 0) return;
      shares_[i] = shares_.back();
      shares_.pop_back();
      return;
    }
  }

  uint64_t total() const { return total_; }
  bool empty() const { return total_ == 0; }
  WorkerSet workers() const {
    WorkerSet set = 0;
    for (const Share& share : shares_) set |= WorkerSet{1} << share.worker;
    return set;
  }

 private:
  struct Share {
    int worker;
    uint32_t count;
  };
  std::vector<Share> shares_;
  uint64_t total_ = 0;
};

}  // namespace tidegate
