// DatabaseMap: under which id each numbered database stands on disk.
//
// An id is used once and never again, so that FLUSHDB costs nothing there: the database goes on
// under a fresh one, and what hangs under the old one is dead as a whole. SWAPDB exchanges two.
// Changed with the exclusive gate, or before the first command; kept by checkpoints. Without
// anything on disk it costs a few numbers. Owner: Keyspace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace tidegate {

// By number, and the first id that was never used.
struct DatabaseIds {
  std::vector<uint32_t> id_of;
  uint32_t next = 0;
};

class DatabaseMap final {
 public:
  explicit DatabaseMap(int databases)
      : ids_{std::vector<uint32_t>(static_cast<size_t>(databases)),
             static_cast<uint32_t>(databases)} {
    std::iota(ids_.id_of.begin(), ids_.id_of.end(), 0);
  }

  const DatabaseIds& ids() const { return ids_; }
  uint32_t IdOf(int db) const { return ids_.id_of[static_cast<size_t>(db)]; }

  // As a checkpoint has it. Databases that it does not know have fresh ids.
  void Restore(DatabaseIds ids) {
    const size_t databases = ids_.id_of.size();
    ids_ = std::move(ids);
    while (ids_.id_of.size() < databases) ids_.id_of.push_back(ids_.next++);
  }

  void Swap(int a, int b) {
    std::swap(ids_.id_of[static_cast<size_t>(a)], ids_.id_of[static_cast<size_t>(b)]);
  }
  void Renew(int db) {
    dead_.push_back(std::exchange(ids_.id_of[static_cast<size_t>(db)], ids_.next++));
  }
  // Ids that went out of use since this was last asked.
  std::vector<uint32_t> TakeDead() { return std::exchange(dead_, {}); }

 private:
  DatabaseIds ids_;
  std::vector<uint32_t> dead_;
};

}  // namespace tidegate
