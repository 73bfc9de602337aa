// The directory of a FieldTable: from a hash to the page that covers it.
//
//   root --> node, hash bits 0-8      node, bits 9-17
//            +-----------+            +-----------+
//            | 0 0000 00 |----------->| 0         |--> page, prefix of 10 bits
//            | 0 0000 01 |--> page    | 1         |--> page
//            |    ...    |            +-----------+
//            +-----------+
//
// A node is a directory as in extendible hashing: 2^bits references, of which a page with a shorter
// prefix takes several; it doubles when a page with the longest prefix splits. But at 2^9 it does
// not double any more: the page that splits gets a node of its own. Why a tree and not one flat
// array: that would be megabytes to copy in one step at millions of fields (and gigabytes when a
// few fields share 26 bits); here no step copies more than 4 KiB. It costs a look-up nothing: the
// root node stays in the first-level cache, and the second node's entry is where the flat array's
// would be.
//
//   PageRef   63      48 47                        6    5      4    1    0
//            +----------+---------------------------+---------+------+------+
//            |  count   |         address           | chained | bits | node |
//            +----------+---------------------------+---------+------+------+
//
// A reference to a page holds its number of fields, so that a search goes straight to the right
// slots, and drawing a random field rejects a page without touching it; and its number of prefix
// bits within the node. A reference to a node holds the node's bits.
//
// Each node knows its number of fields, and a bound that no entry's density exceeds (fields of the
// child times 2^(its prefix bits)): with these a random child is drawn exactly by its fields, by
// drawing an entry and accepting it with density / bound. The bound is raised as fields come, and
// found again when half of the fields are gone. (Where the fields are too uneven for that, the
// entries are summed up.)
//
// Invariants: all references to one page are equal; only a node of 2^9 has children that are nodes.
// Sources: Fagin, Nievergelt, Pippenger, Strong, "Extendible Hashing", TODS 1979; Ellis,
// "Extendible Hashing for Concurrent Operations", 1983 (nodes). Owner: the table.
#pragma once

#include <cstdint>

#include "base/check.h"
#include "storage/value/field_page.h"

namespace tidegate {

struct FieldNode;

inline constexpr uint32_t kNodeBitsMax = 9;
// Bits of the longest prefix. Together with a tag that is 48 bits, which are what SCAN's cursor
// has. Pages beyond that are chained.
inline constexpr uint32_t kPageDepthMax = 32;

class PageRef final {
 public:
  PageRef() = default;
  static PageRef Page(const FieldPage* page, uint32_t bits) {
    return PageRef(uint64_t{page->count} << 48 | reinterpret_cast<uintptr_t>(page) |
                   (page->next != nullptr ? kChained : 0) | uint64_t{bits} << 1);
  }
  static PageRef Node(const FieldNode* node, uint32_t bits) {
    return PageRef(reinterpret_cast<uintptr_t>(node) | uint64_t{bits} << 1 | 1);
  }

  bool is_node() const { return (word_ & 1) != 0; }
  uint32_t bits() const { return static_cast<uint32_t>(word_ >> 1) & 15; }
  bool chained() const { return (word_ & kChained) != 0; }
  uint32_t count() const { return static_cast<uint32_t>(word_ >> 48); }
  FieldPage* page() const {
    TG_DCHECK(!is_node());
    return reinterpret_cast<FieldPage*>(word_ & kAddressMask);
  }
  FieldNode* node() const {
    TG_DCHECK(is_node());
    return reinterpret_cast<FieldNode*>(word_ & kAddressMask);
  }
  // Fields of the page and those chained to it, or below the node.
  uint64_t total() const;
  // Fields times 2^(prefix bits in the node that holds this).
  uint64_t density() const { return total() << (is_node() ? kNodeBitsMax : bits()); }

  bool operator==(const PageRef&) const = default;

 private:
  static constexpr uint64_t kAddressMask = 0x0000ffffffffffc0;
  static constexpr uint64_t kChained = 0x20;
  explicit PageRef(uint64_t word) : word_(word) {}

  uint64_t word_ = 0;
};

struct FieldNode {
  uint64_t count;
  uint64_t bound;
  uint64_t checked;  // the greatest count since the bound was last found

  PageRef* entries() { return reinterpret_cast<PageRef*>(this + 1); }

  // Its entries are not set.
  static FieldNode* Create(uint32_t bits);
  static void Free(FieldNode* node, uint32_t bits);
  static size_t BytesOf(uint32_t bits);

  void Raise(uint64_t density) {
    if (density > bound) bound = density;
  }
  // Finds the bound among 2^bits entries.
  void FindBound(uint32_t bits);
};

// Where a hash leads. For a page: the reference in hand and the tag.
struct PagePlace {
  PageRef ref;
  uint32_t tag;
};
inline PagePlace FindPage(PageRef root, uint64_t hash) {
  PageRef ref = root;
  while (ref.is_node()) {
    ref = ref.node()->entries()[hash >> (64 - ref.bits())];
    if (!ref.is_node()) break;
    hash <<= kNodeBitsMax;
  }
  return {ref, FieldPage::TagOf(hash, ref.bits())};
}

// The way to a page, for changing what is on it. Valid until a node is replaced.
struct PagePath {
  static constexpr uint32_t kLevelsMax = 4;
  PageRef* nodes[kLevelsMax];  // references to the nodes, from the root
  uint32_t levels = 0;
  PageRef* first = nullptr;  // the references to the page: `span` equal ones
  uint32_t span = 1;
  uint32_t depth = 0;  // bits of the page's prefix

  PageRef ref() const { return *first; }
  FieldPage* page() const { return first->page(); }
  PageRef* last_node() const { return nodes[levels - 1]; }
  // Puts another reference in the place of all.
  void Set(PageRef ref) const {
    for (uint32_t i = 0; i < span; ++i) first[i] = ref;
  }
  // Corrects counts after the page gained a field or lost one.
  void Gained() const;
  void Lost() const;
};
PagePath FindPath(PageRef& root, uint64_t hash);

// First hash behind those of a prefix of `depth` bits; 0 after the last.
inline uint64_t NextPrefix(uint64_t hash, uint32_t depth) {
  if (depth == 0) return 0;
  return ((hash >> (64 - depth)) + 1) << (64 - depth);
}

// Changes of form. Each returns by how much the memory of nodes grew.
//
// Gives the page's reference one bit more: a node that is doubled, or a node of its own. Before a
// page with as many bits as its node can be split.
int64_t MakeBit(const PagePath& path);
// Halves the node of the page as far as nothing needs its last bit; a node of one page is replaced
// by the page.
int64_t DropBits(const PagePath& path);

}  // namespace tidegate
