#include "storage/value/page_tree.h"

#include <algorithm>
#include <cstring>

#include "storage/breathe.h"
#include "storage/memory/memory.h"

namespace tidegate {
namespace {

// Capacities of a node: each is what a size of the allocator holds.
constexpr uint32_t kCapacityMin = 7;
constexpr uint32_t NextCapacity(uint32_t capacity) { return 2 * capacity + 1; }
static_assert(NextCapacity(NextCapacity(kCapacityMin)) == PageTree::kFanOut);

uint32_t CapacityFor(uint32_t children) {
  uint32_t capacity = kCapacityMin;
  while (capacity < children) capacity = NextCapacity(capacity);
  return capacity;
}

constexpr int kLeftEdge = 1;
constexpr int kRightEdge = 2;

}  // namespace

PageTree::Node* PageTree::NewNode(uint32_t capacity) {
  const size_t bytes = Node::BytesFor(capacity);
  auto* node = static_cast<Node*>(MemoryAllocate(bytes));
  node->used = 0;
  node->capacity = capacity;
  node_bytes_ += MemoryRoundUp(bytes);
  return node;
}

void PageTree::FreeNode(Node* node) {
  const size_t bytes = Node::BytesFor(node->capacity);
  node_bytes_ -= MemoryRoundUp(bytes);
  MemoryFree(node, bytes);
}

PageTree::Node* PageTree::CopyNode(Node* from) {
  Node* node = NewNode(CapacityFor(from->used));
  MoveChildren(node, 0, from, 0, from->used);
  node->used = from->used;
  return node;
}

uint32_t PageTree::UpperBound(Node* node, const PageKey& key) {
  const PageKey* base = node->keys();
  uint32_t n = node->used;
  while (n > 1) {
    const uint32_t half = n / 2;
    base = key < base[half - 1] ? base : base + half;
    n -= half;
  }
  return static_cast<uint32_t>(base - node->keys()) + (n == 1 && !(key < *base) ? 1 : 0);
}

uint32_t PageTree::LowerBound(Node* node, const PageKey& key) {
  const PageKey* keys = node->keys();
  return static_cast<uint32_t>(std::lower_bound(keys, keys + node->used, key) - keys);
}

void* PageTree::FirstPage(void* child, uint32_t level) {
  for (; level > 0; --level) child = static_cast<Node*>(child)->children()[0];
  return child;
}

void PageTree::DescendFirst(Path& path, uint32_t level) const {
  void* child =
      level == height_ ? root_ : path.steps_[level].node->children()[path.steps_[level].index];
  while (level-- > 0) {
    auto* node = static_cast<Node*>(child);
    path.steps_[level] = {node, 0};
    child = node->children()[0];
  }
  path.page_ = child;
}

void PageTree::DescendLast(Path& path, uint32_t level) const {
  void* child =
      level == height_ ? root_ : path.steps_[level].node->children()[path.steps_[level].index];
  while (level-- > 0) {
    auto* node = static_cast<Node*>(child);
    path.steps_[level] = {node, node->used - 1};
    child = node->children()[node->used - 1];
  }
  path.page_ = child;
}

PageTree::Path PageTree::First() const {
  Path path;
  if (root_ != nullptr) DescendFirst(path, height_);
  return path;
}

PageTree::Path PageTree::Last() const {
  Path path;
  if (root_ != nullptr) DescendLast(path, height_);
  return path;
}

bool PageTree::Next(Path& path) const {
  TG_DCHECK(path.valid());
  Breathe();
  for (uint32_t level = 0; level < height_; ++level) {
    Path::Step& step = path.steps_[level];
    if (step.index + 1 == step.node->used) continue;
    ++step.index;
    DescendFirst(path, level);
    return true;
  }
  path.page_ = nullptr;
  return false;
}

bool PageTree::Previous(Path& path) const {
  TG_DCHECK(path.valid());
  Breathe();
  for (uint32_t level = 0; level < height_; ++level) {
    Path::Step& step = path.steps_[level];
    if (step.index == 0) continue;
    --step.index;
    DescendLast(path, level);
    return true;
  }
  path.page_ = nullptr;
  return false;
}

PageTree::Place PageTree::FindByRank(uint64_t rank) const {
  TG_DCHECK(rank < elements_);
  Place place;
  void* child = root_;
  for (uint32_t level = height_; level-- > 0;) {
    auto* node = static_cast<Node*>(child);
    const uint64_t* counts = node->counts();
    uint32_t i = 0;
    for (; rank >= counts[i]; ++i) rank -= counts[i];
    TG_DCHECK(i < node->used);
    place.path.steps_[level] = {node, i};
    child = node->children()[i];
  }
  place.path.page_ = child;
  place.offset = rank;
  return place;
}

uint64_t PageTree::SumCounts(Node* node, uint32_t begin, uint32_t end) {
  const uint64_t* counts = node->counts();
  uint64_t sum = 0;
  for (uint32_t i = begin; i < end; ++i) sum += counts[i];
  return sum;
}

uint64_t PageTree::RankOf(const Path& path) const {
  TG_DCHECK(path.valid());
  uint64_t rank = 0;
  for (uint32_t level = 0; level < height_; ++level)
    rank += SumCounts(path.steps_[level].node, 0, path.steps_[level].index);
  return rank;
}

uint64_t PageTree::CountOf(const Path& path) const {
  TG_DCHECK(path.valid());
  return height_ == 0 ? elements_ : path.steps_[0].node->counts()[path.steps_[0].index];
}

PageKey PageTree::KeyOf(const Path& path) const {
  TG_DCHECK(path.valid());
  return height_ == 0 ? only_key_ : path.steps_[0].node->keys()[path.steps_[0].index];
}

std::optional<PageKey> PageTree::NextKeyOf(const Path& path) const {
  TG_DCHECK(path.valid());
  if (height_ == 0) return std::nullopt;
  const Path::Step& step = path.steps_[0];
  if (step.index + 1 == step.node->used) return std::nullopt;
  return step.node->keys()[step.index + 1];
}

void PageTree::AddCount(const Path& path, int64_t delta) {
  TG_DCHECK(path.valid());
  elements_ += static_cast<uint64_t>(delta);
  for (uint32_t level = 0; level < height_; ++level) {
    const Path::Step& step = path.steps_[level];
    step.node->counts()[step.index] += static_cast<uint64_t>(delta);
  }
}

void PageTree::SetKey(const Path& path, const PageKey& key) {
  TG_DCHECK(path.valid());
  if (height_ == 0) only_key_ = key;
  for (uint32_t level = 0; level < height_; ++level) {
    const Path::Step& step = path.steps_[level];
    step.node->keys()[step.index] = key;
    if (step.index != 0) break;  // further up, the key is that of an earlier page
  }
}

void PageTree::SetPage(Path& path, void* page) {
  TG_DCHECK(path.valid());
  path.page_ = page;
  (height_ == 0 ? root_ : path.steps_[0].node->children()[path.steps_[0].index]) = page;
}

void PageTree::MoveChildren(Node* to, uint32_t to_index, Node* from, uint32_t from_index,
                            uint32_t n) {
  TG_DCHECK(to_index + n <= to->capacity && from_index + n <= from->capacity);
  std::memmove(to->keys() + to_index, from->keys() + from_index, n * sizeof(PageKey));
  std::memmove(to->counts() + to_index, from->counts() + from_index, n * sizeof(uint64_t));
  std::memmove(to->children() + to_index, from->children() + from_index, n * sizeof(void*));
}

void PageTree::InsertChild(Node* node, uint32_t at, const Leaf& child) {
  TG_DCHECK(node->used < node->capacity && at <= node->used);
  MoveChildren(node, at + 1, node, at, node->used - at);
  ++node->used;
  node->keys()[at] = child.key;
  node->counts()[at] = child.count;
  node->children()[at] = child.page;
}

void PageTree::EraseChild(Node* node, uint32_t at) {
  TG_DCHECK(at < node->used);
  MoveChildren(node, at, node, at + 1, node->used - at - 1);
  --node->used;
}

// A root above the root, with it as the only child.
void PageTree::AddRoot(Path& path) {
  TG_CHECK(height_ < kHeightMax);
  Node* node = NewNode(kCapacityMin);
  const PageKey key = height_ == 0 ? only_key_ : static_cast<Node*>(root_)->keys()[0];
  InsertChild(node, 0, {root_, elements_, key});
  path.steps_[height_] = {node, 0};
  root_ = node;
  ++height_;
}

PageTree::Node* PageTree::Enlarge(Path& path, uint32_t level) {
  Path::Step& step = path.steps_[level];
  Node* node = NewNode(NextCapacity(step.node->capacity));
  MoveChildren(node, 0, step.node, 0, step.node->used);
  node->used = step.node->used;
  FreeNode(step.node);
  step.node = node;
  if (level + 1 == height_) {
    root_ = node;
  } else {
    path.steps_[level + 1].node->children()[path.steps_[level + 1].index] = node;
  }
  return node;
}

// Whether the node of that level is the first or the last one of its level.
bool PageTree::AtEdge(const Path& path, uint32_t level, bool right) const {
  for (uint32_t above = level + 1; above < height_; ++above) {
    const Path::Step& step = path.steps_[above];
    if (step.index != (right ? step.node->used - 1 : 0)) return false;
  }
  return true;
}

void PageTree::Insert(Path& path, const Leaf& leaf, bool after) {
  Breathe();
  TG_DCHECK(leaf.page != nullptr);
  ++pages_;
  if (root_ == nullptr) {
    root_ = path.page_ = leaf.page;
    elements_ = leaf.count;
    only_key_ = leaf.key;
    return;
  }
  TG_DCHECK(path.valid());
  if (height_ == 0) AddRoot(path);
  elements_ += leaf.count;
  for (uint32_t level = 1; level < height_; ++level)
    path.steps_[level].node->counts()[path.steps_[level].index] += leaf.count;

  Leaf child = leaf;
  bool follow = true;  // the path goes on through the child that is inserted
  for (uint32_t level = 0;; ++level) {
    Path::Step& step = path.steps_[level];
    const uint32_t at = step.index + (level > 0 || after ? 1 : 0);
    Node* node = step.node;
    if (node->used == node->capacity && node->capacity < kFanOut) node = Enlarge(path, level);
    if (node->used < node->capacity) {
      InsertChild(node, at, child);
      if (follow) step.index = at;
      break;
    }
    follow = SplitAndInsert(path, level, at, follow, child);
  }
  path.page_ = leaf.page;
  if (path.steps_[0].index == 0) SetKey(path, leaf.key);
}

// Inserts into a full node by making two of it. `child` becomes the right one, to be inserted into
// the level above; returns whether the path leads through it.
bool PageTree::SplitAndInsert(Path& path, uint32_t level, uint32_t at, bool follow, Leaf& child) {
  if (level + 1 == height_) AddRoot(path);
  Path::Step& step = path.steps_[level];
  Node* left = step.node;
  // At an edge of the tree the full node is left alone: there will be more pages of that kind.
  uint32_t split = left->used / 2;
  if (at == left->used && AtEdge(path, level, true)) split = left->used;
  if (at == 0 && AtEdge(path, level, false)) split = 0;
  const bool to_right = at > split || split == left->used;

  Node* right = NewNode(CapacityFor(left->used - split + (to_right ? 1 : 0)));
  MoveChildren(right, 0, left, split, left->used - split);
  right->used = left->used - split;
  left->used = split;
  if (to_right) {
    InsertChild(right, at - split, child);
  } else {
    InsertChild(left, at, child);
  }

  const uint32_t position = follow ? at : step.index;
  const bool path_to_right = position >= left->used;
  step = path_to_right ? Path::Step{right, position - left->used} : Path::Step{left, position};
  const Path::Step& above = path.steps_[level + 1];
  child = {right, SumCounts(right, 0, right->used), right->keys()[0]};
  above.node->counts()[above.index] -= child.count;
  return path_to_right;
}

void PageTree::Remove(const Path& at) {
  TG_DCHECK(at.valid());
  Breathe();
  --pages_;
  if (height_ == 0) {
    root_ = nullptr;
    elements_ = 0;
    return;
  }
  AddCount(at, -static_cast<int64_t>(CountOf(at)));
  Path path = at;
  uint32_t index = path.steps_[0].index;
  for (uint32_t level = 0; level < height_; ++level) {
    Node* node = path.steps_[level].node;
    EraseChild(node, index);
    if (node->used == 0) {  // only at an edge
      FreeNode(node);
      if (level + 1 == height_) {
        root_ = nullptr;
        height_ = 0;
        return;
      }
      index = path.steps_[level + 1].index;
      continue;
    }
    if (index == 0) {
      const PageKey key = node->keys()[0];
      for (uint32_t above = level + 1; above < height_; ++above) {
        path.steps_[above].node->keys()[path.steps_[above].index] = key;
        if (path.steps_[above].index != 0) break;
      }
    }
    if (!Rebalance(path, level, index)) break;
  }
  DropThinRoots();
}

// Merges a node that has become too empty with a neighbour, or evens them out. True when a node was
// emptied by it: its index in the node above, which it must be taken out of.
bool PageTree::Rebalance(Path& path, uint32_t level, uint32_t& emptied) {
  if (level + 1 == height_ || path.steps_[level].node->used >= kFanOutMin) return false;
  const Path::Step& above = path.steps_[level + 1];
  if (above.node->used == 1) return false;
  const uint32_t left_index = above.index > 0 ? above.index - 1 : 0;
  auto* left = static_cast<Node*>(above.node->children()[left_index]);
  auto* right = static_cast<Node*>(above.node->children()[left_index + 1]);
  const uint32_t together = left->used + right->used;
  if (together > kFanOut) {
    EvenOut(above.node, left_index);
    return false;
  }
  if (left->capacity < together) {
    Node* larger = NewNode(CapacityFor(together));
    MoveChildren(larger, 0, left, 0, left->used);
    larger->used = left->used;
    FreeNode(left);
    above.node->children()[left_index] = left = larger;
  }
  MoveChildren(left, left->used, right, 0, right->used);
  left->used = together;
  above.node->counts()[left_index] += above.node->counts()[left_index + 1];
  FreeNode(right);
  emptied = left_index + 1;
  return true;
}

void PageTree::EvenOut(Node* parent, uint32_t left_index) {
  const auto resized = [&](uint32_t index, uint32_t used) {
    auto* node = static_cast<Node*>(parent->children()[index]);
    if (node->capacity >= used) return node;
    Node* larger = NewNode(CapacityFor(used));
    MoveChildren(larger, 0, node, 0, node->used);
    larger->used = node->used;
    FreeNode(node);
    parent->children()[index] = larger;
    return larger;
  };
  const uint32_t together = static_cast<Node*>(parent->children()[left_index])->used +
                            static_cast<Node*>(parent->children()[left_index + 1])->used;
  Node* left = resized(left_index, together / 2);
  Node* right = resized(left_index + 1, together - together / 2);
  if (left->used < together / 2) {
    const uint32_t n = together / 2 - left->used;
    MoveChildren(left, left->used, right, 0, n);
    MoveChildren(right, 0, right, n, right->used - n);
  } else {
    const uint32_t n = left->used - together / 2;
    MoveChildren(right, n, right, 0, right->used);
    MoveChildren(right, 0, left, together / 2, n);
  }
  left->used = together / 2;
  right->used = together - together / 2;
  parent->counts()[left_index] = SumCounts(left, 0, left->used);
  parent->counts()[left_index + 1] = SumCounts(right, 0, right->used);
  parent->keys()[left_index + 1] = right->keys()[0];
}

// A root with one child is a level for nothing.
void PageTree::DropThinRoots() {
  while (height_ > 0) {
    auto* root = static_cast<Node*>(root_);
    if (root->used > 1) return;
    only_key_ = root->keys()[0];
    root_ = root->children()[0];
    FreeNode(root);
    --height_;
  }
}

// Takes the last page out while the tree is being freed: counts are no longer kept.
void* PageTree::TakeLast() {
  const Path path = Last();
  --pages_;
  elements_ = 0;
  uint32_t level = 0;
  for (; level < height_; ++level) {
    Node* node = path.steps_[level].node;
    if (--node->used > 0) return path.page_;
    FreeNode(node);
  }
  root_ = nullptr;
  height_ = 0;
  return path.page_;
}

struct PageTree::Totals {
  uint64_t elements = 0;
  uint64_t pages = 0;
  uint64_t node_bytes = 0;
  PageKey first;
  PageKey last;
};

PageTree::Totals PageTree::CheckNode(void* child, uint32_t level, int edges,
                                     const std::function<Leaf(void*)>& describe) const {
  if (level == 0) {
    const Leaf leaf = describe(child);
    TG_CHECK(leaf.page == child);
    return {leaf.count, 1, 0, leaf.key, leaf.key};
  }
  auto* node = static_cast<Node*>(child);
  TG_CHECK(node->used > 0 && node->used <= node->capacity && node->capacity <= kFanOut);
  if (level < height_) TG_CHECK(edges != 0 || node->used >= kFanOutMin);
  if (level == height_) TG_CHECK(node->used > 1);
  Totals totals;
  for (uint32_t i = 0; i < node->used; ++i) {
    const int below =
        (i == 0 ? edges & kLeftEdge : 0) | (i + 1 == node->used ? edges & kRightEdge : 0);
    const Totals part = CheckNode(node->children()[i], level - 1, below, describe);
    TG_CHECK(part.elements == node->counts()[i]);
    TG_CHECK(part.first == node->keys()[i]);
    TG_CHECK(i == 0 || !(part.first < totals.last));
    totals = {totals.elements + part.elements, totals.pages + part.pages,
              totals.node_bytes + part.node_bytes, i == 0 ? part.first : totals.first, part.last};
  }
  totals.node_bytes += MemoryRoundUp(Node::BytesFor(node->capacity));
  return totals;
}

void PageTree::Check(const std::function<Leaf(void*)>& describe) const {
  if (root_ == nullptr) {
    TG_CHECK(elements_ == 0 && pages_ == 0 && height_ == 0 && node_bytes_ == 0);
    return;
  }
  const Totals totals = CheckNode(root_, height_, kLeftEdge | kRightEdge, describe);
  TG_CHECK(totals.elements == elements_ && totals.pages == pages_);
  TG_CHECK(totals.node_bytes == node_bytes_);
  TG_CHECK(height_ > 0 || totals.first == only_key_);
}

}  // namespace tidegate
