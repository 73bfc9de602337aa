#include "storage/value/field_directory.h"

#include <algorithm>
#include <cstring>

#include "storage/memory/memory.h"

namespace tidegate {

uint64_t PageRef::total() const {
  if (is_node()) return node()->count;
  uint64_t total = count();
  if (__builtin_expect(chained(), 0)) {
    for (const FieldPage* p = page()->next; p != nullptr; p = p->next) total += p->count;
  }
  return total;
}

size_t FieldNode::BytesOf(uint32_t bits) {
  // A multiple of 64, so that it lies on a cache line: the reference needs the address's low bits.
  const size_t bytes = sizeof(FieldNode) + (sizeof(PageRef) << bits);
  return (bytes + 63) & ~size_t{63};
}

FieldNode* FieldNode::Create(uint32_t bits) {
  auto* node = static_cast<FieldNode*>(MemoryAllocate(BytesOf(bits)));
  *node = {0, 0, 0};
  return node;
}

void FieldNode::Free(FieldNode* node, uint32_t bits) { MemoryFree(node, BytesOf(bits)); }

void FieldNode::FindBound(uint32_t bits) {
  checked = count;
  bound = 0;
  const uint32_t n = 1u << bits;
  for (uint32_t i = 0; i < n;) {
    const PageRef ref = entries()[i];
    Raise(ref.density());
    i += ref.is_node() ? 1 : 1u << (bits - ref.bits());
  }
}

PagePath FindPath(PageRef& root, uint64_t hash) {
  PagePath path;
  path.first = &root;
  while (path.first->is_node()) {
    TG_DCHECK(path.levels < PagePath::kLevelsMax);
    const PageRef node = *path.first;
    path.nodes[path.levels++] = path.first;
    path.first = &node.node()->entries()[hash >> (64 - node.bits())];
    if (path.first->is_node()) {
      hash <<= kNodeBitsMax;
      path.depth += kNodeBitsMax;
      continue;
    }
    const uint32_t bits = path.first->bits();
    path.span = 1u << (node.bits() - bits);
    const auto index = static_cast<uint32_t>(path.first - node.node()->entries());
    path.first -= index & (path.span - 1);
    path.depth += bits;
  }
  return path;
}

void PagePath::Gained() const {
  for (uint32_t i = 0; i < levels; ++i) {
    FieldNode* node = nodes[i]->node();
    if (++node->count > node->checked) node->checked = node->count;
  }
  for (uint32_t i = 0; i < levels; ++i)
    nodes[i]->node()->Raise((i + 1 < levels ? *nodes[i + 1] : *first).density());
}

void PagePath::Lost() const {
  for (uint32_t i = levels; i-- > 0;) {
    FieldNode* node = nodes[i]->node();
    if (--node->count < node->checked / 2) node->FindBound(nodes[i]->bits());
  }
}

int64_t MakeBit(const PagePath& path) {
  if (path.levels == 0 || path.ref().bits() == kNodeBitsMax) {
    TG_DCHECK(path.span == 1);
    FieldNode* node = FieldNode::Create(1);
    node->entries()[0] = node->entries()[1] = PageRef::Page(path.page(), 0);
    node->count = node->checked = node->bound = path.ref().total();
    *path.first = PageRef::Node(node, 1);
    return static_cast<int64_t>(MemoryRoundUp(FieldNode::BytesOf(1)));
  }
  const PageRef old = *path.last_node();
  const uint32_t bits = old.bits();
  TG_DCHECK(bits < kNodeBitsMax);
  FieldNode* node = FieldNode::Create(bits + 1);
  *node = *old.node();
  for (uint32_t i = 0; i < 1u << bits; ++i)
    node->entries()[2 * i] = node->entries()[2 * i + 1] = old.node()->entries()[i];
  FieldNode::Free(old.node(), bits);
  *path.last_node() = PageRef::Node(node, bits + 1);
  return static_cast<int64_t>(MemoryRoundUp(FieldNode::BytesOf(bits + 1))) -
         static_cast<int64_t>(MemoryRoundUp(FieldNode::BytesOf(bits)));
}

int64_t DropBits(const PagePath& path) {
  PageRef* const place = path.last_node();
  FieldNode* const old = place->node();
  const uint32_t old_bits = place->bits();
  uint32_t bits = old_bits;
  const auto unneeded = [&] {
    const uint32_t step = 1u << (old_bits - bits);
    for (uint32_t i = 0; i < 1u << old_bits; i += 2 * step) {
      if (old->entries()[i] != old->entries()[i + step]) return false;
    }
    return true;
  };
  while (bits > 0 && unneeded()) --bits;
  if (bits == old_bits) return 0;
  int64_t grown = -static_cast<int64_t>(MemoryRoundUp(FieldNode::BytesOf(old_bits)));
  if (bits == 0) {
    // Above it, the page has the place that the node had: all bits of that node, or the root.
    *place = PageRef::Page(old->entries()[0].page(), path.levels == 1 ? 0 : kNodeBitsMax);
  } else {
    FieldNode* node = FieldNode::Create(bits);
    *node = *old;
    for (uint32_t i = 0; i < 1u << bits; ++i)
      node->entries()[i] = old->entries()[i << (old_bits - bits)];
    *place = PageRef::Node(node, bits);
    grown += static_cast<int64_t>(MemoryRoundUp(FieldNode::BytesOf(bits)));
  }
  FieldNode::Free(old, old_bits);
  return grown;
}

}  // namespace tidegate
