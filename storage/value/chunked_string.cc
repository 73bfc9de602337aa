#include "storage/value/chunked_string.h"

#include <cstring>
#include <limits>
#include <new>

#include "storage/breathe.h"
#include "storage/memory/memory.h"

namespace tidegate {

const char ChunkedString::kZeros[kChunkBytes] = {};

ChunkedString* ChunkedString::Create(std::string_view bytes) {
  auto* string = new (MemoryAllocate(sizeof(ChunkedString))) ChunkedString;
  string->Write(0, bytes);
  return string;
}

ChunkedString* ChunkedString::Compact(ChunkedString* string) {
  // Only the last chunk is small enough for slabs.
  Chunk& last = string->chunks()[string->slots_ - 1];
  if (last.bytes != nullptr && MemoryIsSparse(last.bytes, last.capacity_bytes))
    last.bytes = static_cast<char*>(MemoryMove(last.bytes, last.capacity_bytes));
  const size_t table_bytes = string->slots_ * sizeof(Chunk);
  if (string->slots_ > 1 && MemoryIsSparse(string->table_, table_bytes))
    string->table_ = static_cast<Chunk*>(MemoryMove(string->table_, table_bytes));
  if (!MemoryIsSparse(string, sizeof(ChunkedString))) return string;
  return static_cast<ChunkedString*>(MemoryMove(string, sizeof(ChunkedString)));
}

void ChunkedString::Destroy(ChunkedString* string) {
  string->DropChunks(0);
  string->DropTable();
  string->~ChunkedString();
  MemoryFree(string, sizeof(ChunkedString));
}

ChunkedString* ChunkedString::Clone() const {
  ChunkedString* copy = Create();
  copy->epoch_ = epoch_;
  copy->ReserveSlots(chunk_count());
  for (size_t i = 0; i < chunk_count(); ++i) {
    const Chunk& from = chunks()[i];
    Chunk& to = copy->chunks()[i];
    to.epoch = from.epoch;
    Breathe();
    if (from.bytes == nullptr) continue;
    const size_t used = BytesOfChunk(i, size_);
    ReserveChunk(to, used, 0);
    std::memcpy(to.bytes, from.bytes, used);
  }
  copy->size_ = size_;
  return copy;
}

void ChunkedString::Resize(size_t bytes) {
  if (bytes < size_) {
    DropChunks(ChunksFor(bytes));
    if (bytes % kChunkBytes != 0) chunks()[bytes / kChunkBytes].epoch = epoch_;
    size_ = bytes;
    return;
  }
  ReserveSlots(ChunksFor(bytes));
  const size_t first = size_ / kChunkBytes;
  // Only the last chunk can have room to grow into; all behind it are new.
  const size_t used = BytesOfChunk(first, size_);
  const size_t need = BytesOfChunk(first, bytes);
  if (used > 0 && need > used) {
    Chunk& chunk = chunks()[first];
    chunk.epoch = epoch_;
    if (chunk.bytes != nullptr) {
      ReserveChunk(chunk, need, used);
      std::memset(chunk.bytes + used, 0, need - used);
    }
  }
  for (size_t i = first + (used > 0 ? 1 : 0); i < ChunksFor(bytes); ++i) chunks()[i].epoch = epoch_;
  size_ = bytes;
}

void ChunkedString::Assign(std::string_view bytes) {
  const size_t count = ChunksFor(bytes.size());
  if (count != chunk_count()) {
    DropChunks(0);
    DropTable();
  } else if (count > 0) {
    // The last chunk was made for another size: keep it only when it fits well.
    Chunk& last = chunks()[count - 1];
    const size_t need = BytesOfChunk(count - 1, bytes.size());
    if (last.capacity_bytes > need + need / 2) FreeChunk(last);
  }
  size_ = 0;
  Write(0, bytes);
}

void ChunkedString::Write(size_t offset, std::string_view bytes) {
  if (bytes.empty()) return;
  if (offset > size_) Resize(offset);
  const size_t end = offset + bytes.size();
  const size_t new_size = std::max(size_, end);
  ReserveSlots(ChunksFor(new_size));
  while (offset < end) {
    Breathe();
    const size_t i = offset / kChunkBytes;
    const size_t from = offset % kChunkBytes;
    const size_t n = std::min(end - offset, kChunkBytes - from);
    Chunk& chunk = chunks()[i];
    const size_t used = BytesOfChunk(i, size_);
    const size_t need = BytesOfChunk(i, new_size);
    const bool hole = chunk.bytes == nullptr;
    ReserveChunk(chunk, need, used);
    if (hole) {
      std::memset(chunk.bytes, 0, from);
      std::memset(chunk.bytes + from + n, 0, need - from - n);
    }
    std::memcpy(chunk.bytes + from, bytes.data(), n);
    chunk.epoch = epoch_;
    bytes.remove_prefix(n);
    offset += n;
  }
  size_ = new_size;
}

void ChunkedString::Read(size_t offset, size_t n, char* out) const {
  Visit(offset, n, [&out](size_t, std::string_view piece) {
    std::memcpy(out, piece.data(), piece.size());
    out += piece.size();
  });
}

size_t ChunkedString::allocated_bytes() const {
  size_t total = sizeof(ChunkedString) + (slots_ > 1 ? slots_ * sizeof(Chunk) : 0);
  for (size_t i = 0; i < slots_; ++i) total += chunks()[i].capacity_bytes;
  return total;
}

void ChunkedString::ReserveSlots(size_t count) {
  if (count <= slots_) return;
  // By half, so that appending chunk after chunk copies the table O(1) times per chunk.
  const size_t grown = std::max(count, size_t{slots_} + slots_ / 2);
  TG_CHECK(grown <= std::numeric_limits<uint32_t>::max());
  auto* table = static_cast<Chunk*>(MemoryAllocate(grown * sizeof(Chunk)));
  std::memcpy(table, chunks(), slots_ * sizeof(Chunk));
  std::memset(static_cast<void*>(table + slots_), 0, (grown - slots_) * sizeof(Chunk));
  DropTable();
  table_ = table;
  slots_ = static_cast<uint32_t>(grown);
}

void ChunkedString::ReserveChunk(Chunk& chunk, size_t need, size_t used) {
  if (need <= chunk.capacity_bytes) return;
  const size_t grown = chunk.capacity_bytes + chunk.capacity_bytes / 2;
  const size_t capacity = std::min(kChunkBytes, MemoryRoundUp(std::max(need, grown)));
  auto* bytes = static_cast<char*>(MemoryAllocate(capacity));
  if (chunk.bytes != nullptr) {
    std::memcpy(bytes, chunk.bytes, used);
    MemoryFree(chunk.bytes, chunk.capacity_bytes);
  }
  chunk.bytes = bytes;
  chunk.capacity_bytes = static_cast<uint32_t>(capacity);
}

void ChunkedString::FreeChunk(Chunk& chunk) {
  if (chunk.bytes != nullptr) MemoryFree(chunk.bytes, chunk.capacity_bytes);
  chunk.bytes = nullptr;
  chunk.capacity_bytes = 0;
}

void ChunkedString::DropChunks(size_t count) {
  for (size_t i = count; i < slots_; ++i) FreeChunk(chunks()[i]);
}

void ChunkedString::DropTable() {
  if (slots_ > 1) MemoryFree(table_, slots_ * sizeof(Chunk));
  only_ = {nullptr, 0, 0};
  slots_ = 1;
}

}  // namespace tidegate
