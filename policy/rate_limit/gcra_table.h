// GcraTable: the arrival times of many keys (or clients, or users), shared by all workers without a
// lock. Sixteen bytes a key, in buckets of a cache line; a key has its place in one bucket.
//
//   bucket: | id tat | id tat | id tat | id tat |
//
// Why a fixed size: names are unbounded, and somebody who sends a new one with every request must
// not make us hold memory. A cell whose time has passed says nothing and is used again. When all
// four of a bucket are at work, the one that would be at rest first is forgotten: its key may have
// another burst, which is counted. Two workers that take one cell at the same moment may lose one
// request's cost.
// Threads: any. Cost: one cache line.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace tidegate {

// Cells for keys, clients or users: a megabyte.
inline constexpr size_t kGcraCellsMany = 65536;
// For hot keys, of which there are 1024 at most.
inline constexpr size_t kGcraCellsHot = 8192;
// For what is one.
inline constexpr size_t kGcraCellsOne = 4;

class GcraTable final {
 public:
  // A power of two, four at least.
  explicit GcraTable(size_t cells);
  GcraTable(const GcraTable&) = delete;
  GcraTable& operator=(const GcraTable&) = delete;

  // The arrival time of `id`, which may be forgotten as soon as another thread wants its cell.
  // `forgotten`: set when another had to go.
  std::atomic<int64_t>& Of(uint64_t id, int64_t now_ns, bool& forgotten);
  // None: it is at rest.
  std::optional<int64_t> Find(uint64_t id) const;

 private:
  struct Cell {
    std::atomic<uint64_t> id{0};  // 0: free
    std::atomic<int64_t> tat_ns{0};
  };
  static constexpr size_t kBucketCells = 4;
  struct alignas(64) Bucket {
    Cell cells[kBucketCells];
  };

  const size_t mask_;
  const std::unique_ptr<Bucket[]> buckets_;
};

}  // namespace tidegate
