// BloomFilter: "was this item added?", answered from a few bits per item: yes may be wrong with a
// rate that its creator chose, no is never wrong.
//
//   layers   | 100 items, 0.5% | 200 items, 0.25% | 400 items, 0.125% | …
//   a layer  bits in a ChunkedString, as pages of at most 32768 bits, four to a chunk
//
// A filter that is full gets another layer, `expansion` times as big and half as often wrong, so
// that the rates of all layers together stay below the chosen one; one that does not scale refuses
// instead. An item goes into the last layer and is looked for in all, newest first.
//
// Why pages: the bits of an item lie in one page, so a look-up touches one page of memory and one
// chunk however big the filter is. A page has so many items (3000) that the number of them hardly
// varies, and the rate with it: by less than 1% of itself. Why ChunkedString: chunks of 16 KiB with
// an epoch each, and holes, so that reserving room for a billion items takes a table of pointers
// until there are items. The hash has no seed of the process, because dumps carry bits.
//
// Owner: the slot of its key. Cost: a hash of the item, then per layer up to three cache lines
// for a miss and one for each hash function (7 for 1%) for a hit. Sources: B. Bloom, "Space/Time
// Trade-offs in Hash Coding with Allowable Errors", CACM 1970; Almeida et al., "Scalable Bloom
// Filters", IPL 2007; replies and defaults are those of RedisBloom.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "storage/memory/memory_allocator.h"
#include "storage/value/chunked_string.h"

namespace tidegate {

class BloomFilter final {
 public:
  struct Options {
    uint64_t capacity = 100;
    double error_rate = 0.01;  // 0 < rate < 1
    uint32_t expansion = 2;
    bool scales = true;
  };
  enum class Added : uint8_t {
    kNew,
    kPresent,
    kFull,      // and it does not scale
    kTooLarge,  // the next layer would be above kFilterBytesMax
  };

  // Bits of one filter, all layers together: what a pointer table of 16 MiB serves. Holes count.
  static constexpr uint64_t kFilterBytesMax = (16_GiB).count;
  // What one piece of a dump has at most.
  static constexpr size_t kDumpPieceBytesMax = (256_KiB).count;

  // An empty filter, or null when it would be too large. Given back to Destroy or FreeSome by its
  // owner. Changes are of this epoch.
  static BloomFilter* Create(const Options& options, uint32_t epoch);
  static void Destroy(BloomFilter* filter);
  // Frees a layer; true when all is gone. Nothing else may be called in between.
  static bool FreeSome(BloomFilter* filter, size_t allocations);
  BloomFilter* Clone() const;

  BloomFilter(const BloomFilter&) = delete;
  BloomFilter& operator=(const BloomFilter&) = delete;

  Added Add(std::string_view item);
  bool Contains(std::string_view item) const;

  uint64_t size() const { return size_; }
  uint64_t capacity() const;
  size_t layer_count() const { return layers_.size(); }
  uint32_t expansion() const { return expansion_; }
  bool scales() const { return scales_; }
  // Bits of all layers in bytes, holes too.
  uint64_t bit_bytes() const;
  // Memory that it takes.
  size_t allocated_bytes() const;
  void set_epoch(uint32_t epoch);

  // A dump is a header, from which FromHeader makes the same filter without its bits, and the bits
  // of all layers, bit_bytes() bytes in all. FromHeader: null when it is no header.
  std::string DumpHeader() const;
  static BloomFilter* FromHeader(std::string_view header, uint32_t epoch);

  // The longest stretch of bits from there on that lies in one layer, at most kDumpPieceBytesMax.
  // bits: null at the end.
  struct Stretch {
    const ChunkedString* bits = nullptr;
    size_t offset = 0;
    size_t size = 0;
  };
  Stretch StretchAt(uint64_t offset) const;

  enum class Loaded : uint8_t { kOk, kNoLayer, kTooLong };
  // Puts bits there, which may not go beyond the end of their layer.
  Loaded Load(uint64_t offset, std::string_view bits);

 private:
  struct Layer {
    ChunkedString* bits = nullptr;
    uint64_t capacity = 0;
    uint64_t size = 0;
    uint64_t bytes = 0;
    double error_rate = 0;
    uint32_t hashes = 0;
    uint32_t pages = 0;
    uint32_t page_bits = 0;
  };
  struct ItemHash {
    uint64_t page = 0;
    uint64_t bits = 0;
    uint64_t step = 0;
  };
  class Reader;

  BloomFilter() = default;
  ~BloomFilter() = default;

  static ItemHash HashOf(std::string_view item);
  static std::optional<Layer> MakeLayer(uint64_t capacity, double error_rate, uint64_t bytes_max);
  static bool LayerContains(const Layer& layer, const ItemHash& hash);
  static void Set(Layer& layer, const ItemHash& hash);
  bool Grow();
  void Append(Layer layer);
  bool ReadLayers(Reader& in, uint32_t count);

  std::vector<Layer, MemoryAllocator<Layer>> layers_;
  uint64_t size_ = 0;
  uint32_t expansion_ = 2;
  uint32_t epoch_ = 0;
  bool scales_ = true;
};

}  // namespace tidegate
