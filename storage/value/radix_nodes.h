// RadixNodeCounter: how many nodes a radix tree of these IDs would have.
//
// Redis keeps the pages of a stream in a compressed radix tree by the 16 bytes of their IDs and
// tells its size in XINFO STREAM; tools look at it. Ours is another tree (page_tree.h), so the
// figure is counted from the IDs in their order: each branch of that tree is a length of beginning
// that neighbours share. Owner: the one that counts. Cost: some ns for an ID; no memory but itself.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "storage/value/stream_id.h"

namespace tidegate {

class RadixNodeCounter final {
 public:
  // IDs in ascending order.
  void Add(StreamId id) {
    if (ids_ > 0) Leaf(SharedBytes(last_, id));
    last_ = id;
    ++ids_;
  }

  // After the last one.
  uint64_t Finish() {
    if (ids_ == 0) return 1;  // the root, which is empty
    Leaf(0, /*is_last=*/true);
    return nodes_;
  }

 private:
  static constexpr size_t kIdBytes = 16;
  // Above the root.
  static constexpr int kNone = -1;

  static int SharedBytes(StreamId a, StreamId b) {
    if (a.ms != b.ms) return std::countl_zero(a.ms ^ b.ms) / 8;
    return 8 + std::countl_zero(a.seq ^ b.seq) / 8;
  }

  int top() const { return depth_ == 0 ? kNone : branches_[depth_ - 1]; }

  // A node at `at` bytes below the branch at `parent`, which takes one byte itself; what lies
  // between is one more node.
  void Node(int parent, int at) { nodes_ += at - parent - 1 > 0 ? 2u : 1u; }

  // The ID that was added last; it shares so many bytes with the next one, if there is a next one.
  void Leaf(int shared, bool is_last = false) {
    const int next = is_last ? kNone : shared;
    Node(std::max(top(), next), static_cast<int>(kIdBytes));
    while (top() > next) {
      const int branch = top();
      --depth_;
      Node(std::max(top(), next), branch);
    }
    if (top() < next) branches_[depth_++] = next;
  }

  StreamId last_;
  uint64_t ids_ = 0;
  uint64_t nodes_ = 0;
  int branches_[kIdBytes] = {};  // lengths of the beginnings that are shared by what comes still
  size_t depth_ = 0;
};

}  // namespace tidegate
