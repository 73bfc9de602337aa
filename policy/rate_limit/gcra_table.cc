#include "policy/rate_limit/gcra_table.h"

#include <bit>

#include "base/check.h"

namespace tidegate {
namespace {

// 0 is a free cell's.
constexpr uint64_t Named(uint64_t id) { return id == 0 ? 1 : id; }

}  // namespace

GcraTable::GcraTable(size_t cells)
    : mask_(cells / kBucketCells - 1), buckets_(std::make_unique<Bucket[]>(cells / kBucketCells)) {
  TG_CHECK(cells >= kBucketCells && std::has_single_bit(cells));
}

std::atomic<int64_t>& GcraTable::Of(uint64_t id, int64_t now_ns, bool& forgotten) {
  const uint64_t wanted = Named(id);
  Bucket& bucket = buckets_[wanted >> 16 & mask_];
  while (true) {
    Cell* first_at_rest = &bucket.cells[0];
    for (Cell& cell : bucket.cells) {
      if (cell.id.load(std::memory_order_relaxed) == wanted) return cell.tat_ns;
      if (cell.tat_ns.load(std::memory_order_relaxed) <
          first_at_rest->tat_ns.load(std::memory_order_relaxed))
        first_at_rest = &cell;
    }
    uint64_t before = first_at_rest->id.load(std::memory_order_relaxed);
    const bool works = first_at_rest->tat_ns.load(std::memory_order_relaxed) > now_ns;
    // Another worker was here first: it may have brought the same id.
    if (!first_at_rest->id.compare_exchange_strong(before, wanted, std::memory_order_relaxed))
      continue;
    first_at_rest->tat_ns.store(now_ns, std::memory_order_relaxed);
    forgotten = forgotten || works;
    return first_at_rest->tat_ns;
  }
}

std::optional<int64_t> GcraTable::Find(uint64_t id) const {
  const uint64_t wanted = Named(id);
  const Bucket& bucket = buckets_[wanted >> 16 & mask_];
  for (const Cell& cell : bucket.cells) {
    if (cell.id.load(std::memory_order_relaxed) == wanted)
      return cell.tat_ns.load(std::memory_order_relaxed);
  }
  return std::nullopt;
}

}  // namespace tidegate
