#include "storage/value/bloom_filter.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "base/check.h"
#include "storage/memory/memory.h"

namespace tidegate {
namespace {

// What follows in a dump's header: | magic | version | scales | expansion 4 | layers 4 | and for
// each layer capacity, size, error rate (8 each), hashes, pages, bits of a page (4 each).
constexpr std::string_view kMagic = "TGBF";
constexpr uint8_t kVersion = 1;

constexpr uint32_t kWordBits = 64;
// Bits of a page of a layer that has several.
constexpr uint32_t kPageBits = 32768;
constexpr size_t kPageBytes = kPageBits / 8;
static_assert(ChunkedString::kChunkBytes % kPageBytes == 0);
// A layer of one page may fill a chunk.
constexpr uint64_t kOnlyPageBitsMax = uint64_t{ChunkedString::kChunkBytes} * 8;

// A layer's rate is half of that of the layer before it, but not less than this: then so many
// layers are wrong too seldom to notice, and hash functions stay few.
constexpr double kErrorRateMin = 1e-18;
constexpr double kTightening = 0.5;
constexpr uint32_t kHashesMax = 64;

uint64_t HighHalf(uint64_t a, uint64_t b) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(a) * b >> 64);
}

// The bits of an item in its page, one after the other: the upper half of a multiplicative
// generator, scaled to the page.
class BitSequence final {
 public:
  BitSequence(uint64_t state, uint64_t step, uint32_t page_bits)
      : state_(state), step_(step | 1), page_bits_(page_bits) {}
  uint32_t Next() {
    constexpr uint64_t kMultiplier = 0x5851f42d4c957f2d;  // Knuth's MMIX
    const uint64_t high = state_ >> 32;
    state_ = state_ * kMultiplier + step_;
    return static_cast<uint32_t>(high * page_bits_ >> 32);
  }

 private:
  uint64_t state_;
  uint64_t step_;
  uint64_t page_bits_;
};

template <typename T>
void Put(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof bytes);
}

}  // namespace

// Takes values from the front of a dump's header; `good` becomes false at its end.
class BloomFilter::Reader final {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  template <typename T>
  T Take() {
    T value{};
    if (bytes_.size() < sizeof value) {
      good_ = false;
      return value;
    }
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_.remove_prefix(sizeof value);
    return value;
  }
  size_t left() const { return bytes_.size(); }
  bool good() const { return good_; }

 private:
  std::string_view bytes_;
  bool good_ = true;
};

BloomFilter::ItemHash BloomFilter::HashOf(std::string_view item) {
  const XXH128_hash_t hash = XXH3_128bits(item.data(), item.size());
  return {hash.high64, hash.low64, hash.high64};
}

std::optional<BloomFilter::Layer> BloomFilter::MakeLayer(uint64_t capacity, double error_rate,
                                                         uint64_t bytes_max) {
  constexpr double kLn2 = 0.693147180559945309417;
  const double bits_per_item = -std::log(error_rate) / (kLn2 * kLn2);
  const double bits = std::ceil(static_cast<double>(capacity) * bits_per_item);
  if (bits > static_cast<double>(bytes_max) * 8) return std::nullopt;
  Layer layer;
  layer.capacity = capacity;
  layer.error_rate = error_rate;
  layer.hashes = std::clamp(static_cast<uint32_t>(std::ceil(kLn2 * bits_per_item)), 1u, kHashesMax);
  const uint64_t words =
      std::max<uint64_t>(1, (static_cast<uint64_t>(bits) + kWordBits - 1) / kWordBits);
  if (words * kWordBits <= kOnlyPageBitsMax) {
    layer.pages = 1;
    layer.page_bits = static_cast<uint32_t>(words * kWordBits);
  } else {
    layer.pages = static_cast<uint32_t>((words * kWordBits + kPageBits - 1) / kPageBits);
    layer.page_bits = kPageBits;
  }
  layer.bytes = uint64_t{layer.pages} * layer.page_bits / 8;
  return layer;
}

// Takes a layer whose bits are all clear.
void BloomFilter::Append(Layer layer) {
  layer.bits = ChunkedString::Create();
  layer.bits->set_epoch(epoch_);
  layer.bits->Resize(layer.bytes);
  layers_.push_back(layer);
}

BloomFilter* BloomFilter::Create(const Options& options, uint32_t epoch) {
  const double rate = options.scales ? options.error_rate * kTightening : options.error_rate;
  const auto layer = MakeLayer(options.capacity, std::max(rate, kErrorRateMin), kFilterBytesMax);
  if (!layer) return nullptr;
  auto* filter = new (MemoryAllocate(sizeof(BloomFilter))) BloomFilter;
  filter->expansion_ = options.expansion;
  filter->scales_ = options.scales;
  filter->epoch_ = epoch;
  filter->Append(*layer);
  return filter;
}

void BloomFilter::Destroy(BloomFilter* filter) {
  while (!FreeSome(filter, 1)) {
  }
}

bool BloomFilter::FreeSome(BloomFilter* filter, size_t allocations) {
  for (size_t freed = 0; freed < allocations && !filter->layers_.empty();) {
    freed += filter->layers_.back().bits->chunk_count() + 1;
    ChunkedString::Destroy(filter->layers_.back().bits);
    filter->layers_.pop_back();
  }
  if (!filter->layers_.empty()) return false;
  filter->~BloomFilter();
  MemoryFree(filter, sizeof(BloomFilter));
  return true;
}

BloomFilter* BloomFilter::Clone() const {
  auto* copy = new (MemoryAllocate(sizeof(BloomFilter))) BloomFilter;
  copy->layers_ = layers_;
  for (Layer& layer : copy->layers_) layer.bits = layer.bits->Clone();
  copy->size_ = size_;
  copy->expansion_ = expansion_;
  copy->epoch_ = epoch_;
  copy->scales_ = scales_;
  return copy;
}

uint64_t BloomFilter::capacity() const {
  uint64_t total = 0;
  for (const Layer& layer : layers_) total += layer.capacity;
  return total;
}

uint64_t BloomFilter::bit_bytes() const {
  uint64_t total = 0;
  for (const Layer& layer : layers_) total += layer.bytes;
  return total;
}

size_t BloomFilter::allocated_bytes() const {
  size_t total = MemoryRoundUp(sizeof(BloomFilter)) + layers_.capacity() * sizeof(Layer);
  for (const Layer& layer : layers_) total += layer.bits->allocated_bytes();
  return total;
}

void BloomFilter::set_epoch(uint32_t epoch) {
  epoch_ = epoch;
  for (Layer& layer : layers_) layer.bits->set_epoch(epoch);
}

bool BloomFilter::LayerContains(const Layer& layer, const ItemHash& hash) {
  const size_t page = HighHalf(hash.page, layer.pages);
  bool all = true;
  layer.bits->Visit(page * kPageBytes, layer.page_bits / 8, [&](size_t, std::string_view bits) {
    BitSequence sequence(hash.bits, hash.step, layer.page_bits);
    for (uint32_t i = 0; i < layer.hashes && all; ++i) {
      const uint32_t bit = sequence.Next();
      all = (static_cast<uint8_t>(bits[bit / 8]) >> (bit % 8) & 1) != 0;
    }
  });
  return all;
}

void BloomFilter::Set(Layer& layer, const ItemHash& hash) {
  const size_t page = HighHalf(hash.page, layer.pages);
  BitSequence sequence(hash.bits, hash.step, layer.page_bits);
  for (uint32_t i = 0; i < layer.hashes; ++i) {
    const uint32_t bit = sequence.Next();
    const size_t at = page * kPageBytes + bit / 8;
    char byte = 0;
    layer.bits->Read(at, 1, &byte);
    const auto with = static_cast<char>(static_cast<uint8_t>(byte) | 1u << (bit % 8));
    if (with != byte) layer.bits->Write(at, {&with, 1});
  }
}

bool BloomFilter::Contains(std::string_view item) const {
  const ItemHash hash = HashOf(item);
  for (size_t i = layers_.size(); i-- > 0;) {
    if (LayerContains(layers_[i], hash)) return true;
  }
  return false;
}

BloomFilter::Added BloomFilter::Add(std::string_view item) {
  const ItemHash hash = HashOf(item);
  for (size_t i = layers_.size(); i-- > 0;) {
    if (LayerContains(layers_[i], hash)) return Added::kPresent;
  }
  if (layers_.back().size >= layers_.back().capacity) {
    if (!scales_) return Added::kFull;
    if (!Grow()) return Added::kTooLarge;
  }
  Set(layers_.back(), hash);
  ++layers_.back().size;
  ++size_;
  return Added::kNew;
}

bool BloomFilter::Grow() {
  const Layer& last = layers_.back();
  uint64_t capacity = 0;
  if (__builtin_mul_overflow(last.capacity, uint64_t{expansion_}, &capacity)) return false;
  const auto layer = MakeLayer(capacity, std::max(last.error_rate * kTightening, kErrorRateMin),
                               kFilterBytesMax - std::min(kFilterBytesMax, bit_bytes()));
  if (!layer) return false;
  Append(*layer);
  return true;
}

std::string BloomFilter::DumpHeader() const {
  std::string out(kMagic);
  Put(out, kVersion);
  Put(out, static_cast<uint8_t>(scales_ ? 1 : 0));
  Put(out, expansion_);
  Put(out, static_cast<uint32_t>(layers_.size()));
  for (const Layer& layer : layers_) {
    Put(out, layer.capacity);
    Put(out, layer.size);
    Put(out, layer.error_rate);
    Put(out, layer.hashes);
    Put(out, layer.pages);
    Put(out, layer.page_bits);
  }
  return out;
}

bool BloomFilter::ReadLayers(Reader& in, uint32_t count) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < count; ++i) {
    Layer layer;
    layer.capacity = in.Take<uint64_t>();
    layer.size = in.Take<uint64_t>();
    layer.error_rate = in.Take<double>();
    layer.hashes = in.Take<uint32_t>();
    layer.pages = in.Take<uint32_t>();
    layer.page_bits = in.Take<uint32_t>();
    const bool pages = layer.pages == 1 ? layer.page_bits > 0 && layer.page_bits <= kOnlyPageBitsMax
                                        : layer.pages > 1 && layer.page_bits == kPageBits;
    if (!in.good() || !pages || layer.page_bits % kWordBits != 0) return false;
    if (layer.hashes == 0 || layer.hashes > kHashesMax) return false;
    if (!(layer.error_rate > 0 && layer.error_rate < 1)) return false;
    if (layer.capacity == 0 || layer.size > layer.capacity) return false;
    layer.bytes = uint64_t{layer.pages} * layer.page_bits / 8;
    bytes += layer.bytes;
    if (bytes > kFilterBytesMax) return false;
    size_ += layer.size;
    Append(layer);
  }
  return true;
}

BloomFilter* BloomFilter::FromHeader(std::string_view header, uint32_t epoch) {
  if (!header.starts_with(kMagic)) return nullptr;
  Reader in(header.substr(kMagic.size()));
  const auto version = in.Take<uint8_t>();
  const auto scales = in.Take<uint8_t>();
  const auto expansion = in.Take<uint32_t>();
  const auto count = in.Take<uint32_t>();
  constexpr size_t kLayerBytes = 3 * sizeof(uint64_t) + 3 * sizeof(uint32_t);
  if (!in.good() || version != kVersion || scales > 1 || expansion == 0 || count == 0 ||
      in.left() != count * kLayerBytes) {
    return nullptr;
  }
  auto* filter = new (MemoryAllocate(sizeof(BloomFilter))) BloomFilter;
  filter->expansion_ = expansion;
  filter->scales_ = scales == 1;
  filter->epoch_ = epoch;
  if (filter->ReadLayers(in, count)) return filter;
  Destroy(filter);
  return nullptr;
}

BloomFilter::Stretch BloomFilter::StretchAt(uint64_t offset) const {
  for (const Layer& layer : layers_) {
    if (offset < layer.bytes)
      return {layer.bits, offset, std::min<size_t>(layer.bytes - offset, kDumpPieceBytesMax)};
    offset -= layer.bytes;
  }
  return {};
}

BloomFilter::Loaded BloomFilter::Load(uint64_t offset, std::string_view bits) {
  static constexpr char kZeros[ChunkedString::kChunkBytes] = {};
  for (Layer& layer : layers_) {
    if (offset >= layer.bytes) {
      offset -= layer.bytes;
      continue;
    }
    if (bits.size() > layer.bytes - offset) return Loaded::kTooLong;
    // Chunk by chunk, so that what has no bits stays a hole.
    while (!bits.empty()) {
      const size_t chunk = offset / ChunkedString::kChunkBytes;
      const size_t room = ChunkedString::kChunkBytes - offset % ChunkedString::kChunkBytes;
      const std::string_view piece = bits.substr(0, std::min(bits.size(), room));
      const bool zeros = std::memcmp(piece.data(), kZeros, piece.size()) == 0;
      if (!zeros || !layer.bits->is_hole(chunk)) layer.bits->Write(offset, piece);
      offset += piece.size();
      bits.remove_prefix(piece.size());
    }
    return Loaded::kOk;
  }
  return Loaded::kNoLayer;
}

}  // namespace tidegate
