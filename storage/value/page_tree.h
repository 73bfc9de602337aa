// PageTree: the order of the pages of one large value. A B+-tree that counts.
//
//                         +---------------------------------------+
//       inner node        | key key key …  count count …  child … |   <= 31 children
//                         +-----------------------|-------|-------+
//                                  +--------------+       |
//                                  v                      v
//                         +-----------------+    +-----------------+
//       inner node        | key … count …   |    | key … count …   |
//                         +--|-----|-----|--+    +--|--------|-----+
//                            v     v     v          v        v
//       pages             [####] [###] [####]     [####]   [##]         whose bytes are not ours
//
// Lists, streams and sorted sets are all "many elements in an order, too many for one block": each
// keeps its elements in pages of a few KiB, in its own format, and this tree finds the page. For
// each child a node holds the number of elements below it, so that a rank leads to a page and a
// page to its rank, and a 16-byte sort key of the first element below it. Lists leave the key 0;
// for streams it is the id; for sorted sets it is the score and the beginning of the member, and
// when two keys are equal the owner of the pages is asked (FindByKey).
//
// Why not a skiplist (Redis): two pointers and a span per level and element, about 40 bytes, and a
// cache miss per step; here a page of 4 KiB costs about 45 bytes of tree, and two million elements
// are four levels. Why arrays side by side and not an array of children: a search by key reads
// only keys, a search by rank only counts. Why no links between pages and no pointers upwards: a
// page would have to be changed because its neighbour moved; a Path holds the way instead.
//
// Invariants: all pages are at the same depth; a node's counts and keys are exactly those of what
// is below; inner nodes are at least 40% full but for those along the two edges of the tree (so
// that appending leaves full nodes behind); a tree of one page has no node, it points at the page.
// The ends need no cache: the way down is one load per level, and the counts along it change with
// every push anyway.
//
// Owner: whoever owns the value; no thread of its own. Pages are the user's to make and to free.
// Cost: O(height * node) for everything, which is 20-60 ns plus the cache misses.
// Source: Bayer and McCreight, "Organization and Maintenance of Large Ordered Indexes", 1972;
// counted B-trees as described by Tatham, chiark.greenend.org.uk/~sgtatham/algorithms/cbtree.html.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "base/check.h"
#include "storage/breathe.h"

namespace tidegate {

// Orders pages: hi first.
struct PageKey {
  uint64_t hi = 0;
  uint64_t lo = 0;
  friend constexpr bool operator==(const PageKey&, const PageKey&) = default;
  friend constexpr bool operator<(const PageKey& a, const PageKey& b) {
    // Without a branch: keys are random to the predictor.
    return ((a.hi < b.hi) | ((a.hi == b.hi) & (a.lo < b.lo))) != 0;
  }
};

class PageTree final {
  struct Node;

 public:
  static constexpr uint32_t kFanOut =
      31;  // a node is then 1,000 bytes: the last of our own classes
  static constexpr uint32_t kFanOutMin = 13;
  // Levels of inner nodes. 13^8 pages are 800 million.
  static constexpr uint32_t kHeightMax = 8;

  struct Leaf {
    void* page = nullptr;
    uint64_t count = 0;  // elements of the page
    PageKey key;         // of its first element
  };

  // Where a page is: the way from the root. Any change of the tree that is not made through this
  // path makes it invalid, and so does Remove.
  class Path final {
   public:
    bool valid() const { return page_ != nullptr; }
    void* page() const { return page_; }

   private:
    friend class PageTree;
    struct Step {
      Node* node;
      uint32_t index;  // of the child taken
    };
    void* page_ = nullptr;
    Step steps_[kHeightMax];  // [0] is the bottom; only `height` of them are set
  };

  struct Place {
    Path path;
    uint64_t offset = 0;  // of the element in the page
  };

  PageTree() = default;
  ~PageTree() { TG_DCHECK(root_ == nullptr); }  // with FreeSome
  PageTree(PageTree&& other) noexcept { Swap(other); }
  PageTree& operator=(PageTree&& other) noexcept {
    Swap(other);
    return *this;
  }

  bool empty() const { return root_ == nullptr; }
  uint64_t element_count() const { return elements_; }
  uint64_t page_count() const { return pages_; }
  uint32_t height() const { return height_; }
  // Bytes of inner nodes.
  uint64_t allocated_bytes() const { return node_bytes_; }

  // The first and the last page; invalid when the tree is empty.
  Path First() const;
  Path Last() const;
  // To the neighbour; false, and the path is invalid, when there is none.
  bool Next(Path& path) const;
  bool Previous(Path& path) const;

  // The page of the element with this rank (from 0), which must be less than element_count().
  Place FindByRank(uint64_t rank) const;
  // The last page whose first element is not after the target; the first page when all are after
  // it. Keys decide; for a page whose key equals the target's, not_after(const void* page) says
  // whether its first element is not after the target. Invalid when the tree is empty.
  template <typename NotAfter>
  Path FindByKey(const PageKey& key, NotAfter&& not_after) const;
  // For users whose keys are exact.
  Path FindByKey(const PageKey& key) const {
    return FindByKey(key, [](const void*) { return true; });
  }

  // Elements before the page, and in it.
  uint64_t RankOf(const Path& path) const;
  uint64_t CountOf(const Path& path) const;
  PageKey KeyOf(const Path& path) const;
  // The key of the next page, if it is at hand: for guesses.
  std::optional<PageKey> NextKeyOf(const Path& path) const;

  // After the page has changed.
  void AddCount(const Path& path, int64_t delta);
  void SetKey(const Path& path, const PageKey& key);
  void SetPage(Path& path, void* page);  // it has moved

  // Puts a page behind or before the one of the path, which then leads to the new page. The path
  // may be invalid when the tree is empty.
  void InsertAfter(Path& path, const Leaf& leaf) { Insert(path, leaf, true); }
  void InsertBefore(Path& path, const Leaf& leaf) { Insert(path, leaf, false); }
  // At the end. Nodes that fill up this way stay full.
  void Append(const Leaf& leaf) {
    Path path = Last();
    InsertAfter(path, leaf);
  }
  // Takes the page out, with its count; does not free it.
  void Remove(const Path& path);

  // Gives up to pages_max pages to free_page(void*), from the end, and frees nodes on the way. True
  // when nothing is left. Once begun, nothing else may be done with the tree until it is.
  template <typename FreePage>
  bool FreeSome(size_t pages_max, FreePage&& free_page);
  // A tree of the same shape over the pages that clone_page(const void*) returns.
  template <typename ClonePage>
  PageTree Clone(ClonePage&& clone_page) const;

  // For tests: ends the process when an invariant is broken. `describe` tells what the leaf of a
  // page ought to be.
  void Check(const std::function<Leaf(void* page)>& describe) const;

 private:
  // A node starts small and grows, so that a value of two pages does not pay for 31.
  struct Node {
    uint32_t used;
    uint32_t capacity;

    static size_t BytesFor(uint32_t capacity) {
      return sizeof(Node) + capacity * (sizeof(PageKey) + sizeof(uint64_t) + sizeof(void*));
    }
    PageKey* keys() { return reinterpret_cast<PageKey*>(this + 1); }
    uint64_t* counts() { return reinterpret_cast<uint64_t*>(keys() + capacity); }
    void** children() { return reinterpret_cast<void**>(counts() + capacity); }
  };

  void Swap(PageTree& other) noexcept {
    std::swap(root_, other.root_);
    std::swap(elements_, other.elements_);
    std::swap(only_key_, other.only_key_);
    std::swap(node_bytes_, other.node_bytes_);
    std::swap(pages_, other.pages_);
    std::swap(height_, other.height_);
  }

  Node* NewNode(uint32_t capacity);
  void FreeNode(Node* node);
  Node* CopyNode(Node* from);

  // Asks for the keys and counts of a node at once. They are often in no cache, and a search would
  // wait for one line after the other.
  static void Prefetch(const void* node) {
    constexpr size_t kLineBytes = 64;
    constexpr size_t kBytes = sizeof(Node) + kFanOut * (sizeof(PageKey) + sizeof(uint64_t));
    for (size_t i = 0; i < kBytes; i += kLineBytes)
      __builtin_prefetch(static_cast<const char*>(node) + i);
  }
  // First child whose key is greater than `key`, and first that is not less.
  static uint32_t UpperBound(Node* node, const PageKey& key);
  static uint32_t LowerBound(Node* node, const PageKey& key);
  // The first page below a child of a node of this level.
  static void* FirstPage(void* child, uint32_t level);
  // Completes a path whose steps from `level` on are set, by the first or the last children.
  void DescendFirst(Path& path, uint32_t level) const;
  void DescendLast(Path& path, uint32_t level) const;

  static void MoveChildren(Node* to, uint32_t to_index, Node* from, uint32_t from_index,
                           uint32_t n);
  static void InsertChild(Node* node, uint32_t at, const Leaf& child);
  static void EraseChild(Node* node, uint32_t at);
  static uint64_t SumCounts(Node* node, uint32_t begin, uint32_t end);

  void Insert(Path& path, const Leaf& leaf, bool after);
  void AddRoot(Path& path);
  Node* Enlarge(Path& path, uint32_t level);
  bool AtEdge(const Path& path, uint32_t level, bool right) const;
  bool SplitAndInsert(Path& path, uint32_t level, uint32_t at, bool follow, Leaf& child);
  bool Rebalance(Path& path, uint32_t level, uint32_t& emptied);
  void EvenOut(Node* parent, uint32_t left_index);
  void DropThinRoots();
  void* TakeLast();
  template <typename ClonePage>
  Node* CloneNode(Node* from, uint32_t level, ClonePage& clone_page);
  struct Totals;
  Totals CheckNode(void* child, uint32_t level, int edges,
                   const std::function<Leaf(void*)>& describe) const;

  void* root_ = nullptr;  // height 0: the only page
  uint64_t elements_ = 0;
  PageKey only_key_;  // height 0: the key of the only page
  uint64_t node_bytes_ = 0;
  uint32_t pages_ = 0;
  uint32_t height_ = 0;
};

template <typename NotAfter>
PageTree::Path PageTree::FindByKey(const PageKey& key, NotAfter&& not_after) const {
  Path path;
  void* child = root_;
  for (uint32_t level = height_; level-- > 0;) {
    auto* node = static_cast<Node*>(child);
    Prefetch(node);
    uint32_t i = UpperBound(node, key);
    if (i > 0 && node->keys()[i - 1] == key) {
      uint32_t begin = LowerBound(node, key);
      // The first lines of these pages, together: a search would wait for one after the other.
      if (level == 0 && i - begin > 2) {
        for (uint32_t tie = begin; tie < i; ++tie) __builtin_prefetch(node->children()[tie]);
      }
      while (begin < i) {
        const uint32_t middle = begin + (i - begin) / 2;
        if (not_after(static_cast<const void*>(FirstPage(node->children()[middle], level)))) {
          begin = middle + 1;
        } else {
          i = middle;
        }
      }
    }
    if (i > 0) --i;
    path.steps_[level] = {node, i};
    child = node->children()[i];
  }
  path.page_ = child;
  return path;
}

template <typename FreePage>
bool PageTree::FreeSome(size_t pages_max, FreePage&& free_page) {
  for (; pages_max > 0 && root_ != nullptr; --pages_max) {
    Breathe();
    free_page(TakeLast());
  }
  return root_ == nullptr;
}

template <typename ClonePage>
PageTree PageTree::Clone(ClonePage&& clone_page) const {
  PageTree copy;
  if (root_ == nullptr) return copy;
  copy.root_ = height_ == 0 ? clone_page(static_cast<const void*>(root_))
                            : copy.CloneNode(static_cast<Node*>(root_), height_ - 1, clone_page);
  copy.elements_ = elements_;
  copy.only_key_ = only_key_;
  copy.pages_ = pages_;
  copy.height_ = height_;
  return copy;
}

template <typename ClonePage>
PageTree::Node* PageTree::CloneNode(Node* from, uint32_t level, ClonePage& clone_page) {
  Node* node = CopyNode(from);
  for (uint32_t i = 0; i < node->used; ++i) {
    Breathe();
    void*& child = node->children()[i];
    child = level == 0 ? clone_page(static_cast<const void*>(child))
                       : CloneNode(static_cast<Node*>(child), level - 1, clone_page);
  }
  return node;
}

}  // namespace tidegate
