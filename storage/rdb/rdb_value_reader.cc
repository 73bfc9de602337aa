#include "storage/rdb/rdb_value_reader.h"

#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "base/text.h"
#include "storage/breathe.h"
#include "storage/engine.h"
#include "storage/keyspace/keyspace.h"
#include "storage/rdb/crc64.h"
#include "storage/rdb/hash_builder.h"
#include "storage/rdb/rdb_format.h"
#include "storage/rdb/rdb_stream.h"
#include "storage/rdb/ziplist.h"
#include "storage/value/bloom_filter.h"
#include "storage/value/intset.h"
#include "storage/value/list_value.h"
#include "storage/value/listpack.h"
#include "storage/value/set_value.h"
#include "storage/value/sorted_set_value.h"

namespace tidegate::rdb {
namespace {

struct Target {
  Database& db;
  const KeyRef& key;
  Entry* existing;

  const EngineSettings& settings() const { return db.keyspace().settings(); }
};

// --- elements, however they are packed: fn(std::string_view) answers false to stop ---

template <typename Fn>
bool ForEachPlain(RdbReader& in, uint64_t count, Fn&& fn) {
  std::string scratch;
  for (; count > 0 && in.ok(); --count) {
    const std::string_view element = in.String(scratch);
    if (!in.ok() || !fn(element)) return false;
  }
  return in.ok();
}

template <typename Fn>
bool ForEachOfListpack(std::string_view bytes, Fn&& fn) {
  if (!ListpackView::Validate(bytes, /*deep=*/true)) return false;
  const ListpackView list(bytes);
  char digits[kListpackDigitsBytes];
  for (size_t at = list.First(); at != list.End(); at = list.Next(at)) {
    if (!fn(list.Get(at).Render(digits))) return false;
  }
  return true;
}

template <typename Fn>
bool ForEachOfZiplist(std::string_view bytes, Fn&& fn) {
  ZiplistReader list(bytes);
  char digits[kListpackDigitsBytes];
  ListpackValue value(0);
  while (list.Next(value)) {
    if (!fn(value.Render(digits))) return false;
  }
  return !list.broken();
}

// All elements of one string that is a listpack or a ziplist.
template <typename Fn>
bool ForEachPacked(RdbReader& in, bool ziplist, Fn&& fn) {
  std::string scratch;
  const std::string_view bytes = in.String(scratch);
  if (!in.ok()) return false;
  return ziplist ? ForEachOfZiplist(bytes, fn) : ForEachOfListpack(bytes, fn);
}

// Makes pairs of single elements: fn(first, second).
template <typename Fn>
class Pairs final {
 public:
  explicit Pairs(Fn fn) : fn_(fn) {}
  bool operator()(std::string_view element) {
    if (!half_) {
      first_ = element;
      half_ = true;
      return true;
    }
    half_ = false;
    return fn_(std::string_view(first_), element);
  }
  bool complete() const { return !half_; }

 private:
  Fn fn_;
  std::string first_;
  bool half_ = false;
};

// --- types ---

bool ReadString(RdbReader& in, const Target& to) {
  std::string scratch;
  const std::string_view text = in.String(scratch);
  if (!in.ok()) return false;
  to.db.SetString(to.key, to.existing, text, kNoExpire);
  return true;
}

// Visits all elements of a list.
template <typename Fn>
bool ForEachOfList(Type type, RdbReader& in, Fn&& fn) {
  if (type == Type::kListZiplist) return ForEachPacked(in, true, fn);
  const uint64_t count = in.Length();
  if (type == Type::kList) return ForEachPlain(in, count, fn);
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    Breathe();
    if (type == Type::kListQuicklist) {
      if (!ForEachPacked(in, true, fn)) return false;
      continue;
    }
    const uint64_t container = in.Length();
    if (container == kContainerPlain) {
      if (!ForEachPlain(in, 1, fn)) return false;
    } else if (container != kContainerPacked || !ForEachPacked(in, false, fn)) {
      return false;
    }
  }
  return in.ok();
}

// Read twice: to see that all is well, and then into the key.
bool ReadList(Type type, RdbReader& in, const Target& to) {
  RdbReader first_pass = in;
  uint64_t count = 0;
  const bool sound = ForEachOfList(type, first_pass, [&count](std::string_view) {
    ++count;
    return true;
  });
  if (!sound || count == 0) return false;
  if (to.existing != nullptr) to.db.Delete(to.key);
  ListValue list(to.db, to.key, nullptr);
  const bool again = ForEachOfList(type, in, [&list](std::string_view element) {
    list.Push(ListEnd::kTail, {&element, 1});
    return true;
  });
  TG_CHECK(again);
  list.Commit();
  return true;
}

bool ReadSet(Type type, RdbReader& in, const Target& to) {
  SetBuilder set(SetLimits::Of(to.settings()), to.db.epoch());
  const auto add = [&set](std::string_view member) { return set.Add(member); };
  bool sound = false;
  if (type == Type::kSet) {
    sound = ForEachPlain(in, in.Length(), add);
  } else if (type == Type::kSetListpack) {
    sound = ForEachPacked(in, false, add);
  } else {
    std::string scratch;
    const std::string_view bytes = in.String(scratch);
    if (!in.ok() || !IntsetView::Validate(bytes)) return false;
    const IntsetView integers(bytes);
    char digits[kListpackDigitsBytes];
    sound = true;
    for (size_t i = 0; i < integers.count() && sound; ++i)
      sound = add({digits, FormatInt64(integers.At(i), digits)});
  }
  if (!sound || set.view().size() == 0) return false;
  set.Store(to.db, to.key, to.existing);
  to.db.Modified(to.key);
  return true;
}

bool ReadSortedSet(Type type, RdbReader& in, const Target& to) {
  auto set = SortedSetWriter::Instead(to.db, to.key, to.existing, to.settings());
  const auto add = [&set](std::string_view member, double score) {
    if (std::isnan(score)) return false;
    return set.Add(member, score, SortedSetAdd()) == SortedSetWriter::Outcome::kAdded;
  };
  bool sound = true;
  if (type == Type::kSortedSet || type == Type::kSortedSet2) {
    std::string scratch;
    for (uint64_t left = in.Length(); left > 0 && sound; --left) {
      const std::string_view member = in.String(scratch);
      const double score = type == Type::kSortedSet ? in.TextDouble() : in.Double();
      sound = in.ok() && add(member, score);
    }
  } else {
    Pairs pairs([&add](std::string_view member, std::string_view text) {
      const std::optional<double> score = ParseDouble(text);
      return score && add(member, *score);
    });
    sound = ForEachPacked(in, type == Type::kSortedSetZiplist,
                          [&pairs](std::string_view element) { return pairs(element); }) &&
            pairs.complete();
  }
  if (!sound || !in.ok() || set.size() == 0) return false;
  set.Finish();
  return true;
}

// A time is what it is later than the earliest, and one; 0 is none.
bool ReadExpiringHash(RdbReader& in, int64_t now_ms, HashBuilder& hash) {
  const auto earliest_ms = static_cast<int64_t>(in.Fixed64());
  if (earliest_ms < 0) return false;
  std::string field_scratch;
  std::string value_scratch;
  for (uint64_t left = in.Length(); left > 0; --left) {
    const uint64_t later = in.Length();
    const std::string_view field = in.String(field_scratch);
    const std::string_view value = in.String(value_scratch);
    if (!in.ok() ||
        later > static_cast<uint64_t>(std::numeric_limits<int64_t>::max() - earliest_ms))
      return false;
    const int64_t at_ms = later == 0 ? kNoExpire : earliest_ms + static_cast<int64_t>(later) - 1;
    if (!hash.Add(field, value, at_ms, at_ms != kNoExpire && at_ms <= now_ms)) return false;
  }
  return in.ok();
}

bool ReadHash(Type type, RdbReader& in, const Target& to) {
  HashBuilder hash(to.settings(), to.db.epoch());
  Pairs pairs([&hash](std::string_view field, std::string_view value) {
    return hash.Add(field, value, kNoExpire, false);
  });
  const auto add = [&pairs](std::string_view element) { return pairs(element); };
  bool sound = false;
  if (type == Type::kHashMetadata) {
    sound = ReadExpiringHash(in, to.db.now_ms(), hash);
  } else if (type == Type::kHash) {
    const uint64_t count = in.Length();
    sound = count <= std::numeric_limits<uint64_t>::max() / 2 && ForEachPlain(in, count * 2, add);
  } else {
    sound = ForEachPacked(in, type == Type::kHashZiplist, add);
  }
  if (!sound || !pairs.complete() || hash.seen() == 0) return false;
  hash.Store(to.db, to.key, to.existing);
  to.db.Modified(to.key);
  return true;
}

bool ReadStreamInto(Type type, RdbReader& in, const Target& to) {
  const EngineSettings& settings = to.settings();
  const StreamValue::Limits limits = {
      settings.stream_node_bytes_max.load(std::memory_order_relaxed),
      settings.stream_node_entries_max.load(std::memory_order_relaxed)};
  StreamValue* stream = ReadStream(type, in, limits, to.db.epoch());
  if (stream == nullptr) return false;
  to.db.PutObject(to.key, to.existing, ValueType::kStream, Encoding::kStream, stream, kNoExpire);
  to.db.Modified(to.key);
  return true;
}

// The parts that WriteBloom makes. Owns what it has read until Take.
class BloomReader final {
 public:
  BloomReader(RdbReader& in, uint32_t epoch) : in_(in), epoch_(epoch) {}
  ~BloomReader() {
    if (filter_ != nullptr) BloomFilter::Destroy(filter_);
  }
  BloomReader(const BloomReader&) = delete;
  BloomReader& operator=(const BloomReader&) = delete;

  bool Read() {
    if (in_.Length() != kBloomModuleId || in_.Length() != kModuleString) return false;
    const std::string_view header = in_.String(scratch_);
    if (!in_.ok()) return false;
    filter_ = BloomFilter::FromHeader(header, epoch_);
    if (filter_ == nullptr) return false;
    for (;;) {
      const uint64_t part = in_.Length();
      if (part == kModuleEnd) return in_.ok();
      if (part != kModuleUnsigned || !ReadBits()) return false;
    }
  }
  BloomFilter* Take() { return std::exchange(filter_, nullptr); }

 private:
  bool ReadBits() {
    const uint64_t offset = in_.Length();
    if (in_.Length() != kModuleString) return false;
    const std::string_view bits = in_.String(scratch_);
    return in_.ok() && !bits.empty() && filter_->Load(offset, bits) == BloomFilter::Loaded::kOk;
  }

  RdbReader& in_;
  const uint32_t epoch_;
  std::string scratch_;
  BloomFilter* filter_ = nullptr;
};

bool ReadBloom(RdbReader& in, const Target& to) {
  BloomReader reader(in, to.db.epoch());
  if (!reader.Read()) return false;
  to.db.PutObject(to.key, to.existing, ValueType::kBloom, Encoding::kBloom, reader.Take(),
                  kNoExpire);
  to.db.Modified(to.key);
  return true;
}

}  // namespace

bool TakeFooter(std::string_view& payload) {
  if (payload.size() < kFooterBytes) return false;
  RdbReader footer(payload.substr(payload.size() - kFooterBytes));
  const auto version = static_cast<uint16_t>(footer.Byte() | footer.Byte() << 8);
  const uint64_t sum = footer.Fixed64();
  constexpr size_t kSumBytes = 8;
  if (version > kVersionMax || sum != Crc64InPieces(payload.substr(0, payload.size() - kSumBytes)))
    return false;
  payload.remove_suffix(kFooterBytes);
  return true;
}

bool ReadValue(RdbReader& in, Database& db, const KeyRef& key, Entry* existing) {
  const Target to{db, key, existing};
  const auto type = static_cast<Type>(in.Byte());
  switch (type) {
    case Type::kString:
      return ReadString(in, to);
    case Type::kList:
    case Type::kListZiplist:
    case Type::kListQuicklist:
    case Type::kListQuicklist2:
      return ReadList(type, in, to);
    case Type::kSet:
    case Type::kSetIntset:
    case Type::kSetListpack:
      return ReadSet(type, in, to);
    case Type::kSortedSet:
    case Type::kSortedSet2:
    case Type::kSortedSetZiplist:
    case Type::kSortedSetListpack:
      return ReadSortedSet(type, in, to);
    case Type::kHash:
    case Type::kHashZiplist:
    case Type::kHashListpack:
    case Type::kHashMetadata:
      return ReadHash(type, in, to);
    case Type::kStreamListpacks:
    case Type::kStreamListpacks2:
    case Type::kStreamListpacks3:
      return ReadStreamInto(type, in, to);
    case Type::kModule2:
      return ReadBloom(in, to);
  }
  return false;
}

}  // namespace tidegate::rdb
