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
#include "storage/rdb/packed_elements.h"
#include "storage/rdb/rdb_format.h"
#include "storage/rdb/rdb_stream.h"
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
  int64_t expire_at_ms;  // of strings; others get it when they are there

  const EngineSettings& settings() const { return db.keyspace().settings(); }
};

// --- types ---

using enum ValueOutcome;

ValueOutcome ReadString(RdbReader& in, const Target& to) {
  std::string scratch;
  const std::string_view text = in.BorrowString(scratch);
  if (!in.ok()) return kBroken;
  to.db.SetString(to.key, to.existing, text, to.expire_at_ms);
  return kRead;
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

// What comes from a source can be read once only: when it turns out to be broken, the key is gone.
ValueOutcome ReadStreamedList(Type type, RdbReader& in, const Target& to) {
  ListValue list = ListValue::Instead(to.db, to.key, to.existing);
  const bool sound = ForEachOfList(type, in, [&list](std::string_view element) {
    list.Push(ListEnd::kTail, {&element, 1});
    return true;
  });
  if (!list.exists()) return sound ? kEmpty : kBroken;
  list.Commit();
  if (sound) return kRead;
  to.db.Delete(to.key);
  return kBroken;
}

// Read twice: to see that all is well, and then into the key.
ValueOutcome ReadList(Type type, RdbReader& in, const Target& to) {
  if (in.streams()) return ReadStreamedList(type, in, to);
  RdbReader first_pass = in;
  uint64_t count = 0;
  const bool sound = ForEachOfList(type, first_pass, [&count](std::string_view) {
    ++count;
    return true;
  });
  if (!sound) return kBroken;
  if (count == 0) return kEmpty;
  if (to.existing != nullptr) to.db.Delete(to.key);
  ListValue list(to.db, to.key, nullptr);
  const bool again = ForEachOfList(type, in, [&list](std::string_view element) {
    list.Push(ListEnd::kTail, {&element, 1});
    return true;
  });
  TG_CHECK(again);
  list.Commit();
  return kRead;
}

ValueOutcome ReadSet(Type type, RdbReader& in, const Target& to) {
  SetBuilder set(SetLimits::Of(to.settings()), to.db.epoch());
  const auto add = [&set](std::string_view member) { return set.Add(member); };
  bool sound = false;
  if (type == Type::kSet) {
    sound = ForEachPlain(in, in.Length(), add);
  } else if (type == Type::kSetListpack) {
    sound = ForEachPacked(in, false, add);
  } else {
    std::string scratch;
    const std::string_view bytes = in.BorrowString(scratch);
    if (!in.ok() || !IntsetView::Validate(bytes)) return kBroken;
    const IntsetView integers(bytes);
    char digits[kListpackDigitsBytes];
    sound = true;
    for (size_t i = 0; i < integers.count() && sound; ++i)
      sound = add({digits, FormatInt64(integers.At(i), digits)});
  }
  if (!sound) return kBroken;
  if (set.view().size() == 0) return kEmpty;
  set.Store(to.db, to.key, to.existing);
  to.db.Modified(to.key);
  return kRead;
}

ValueOutcome ReadSortedSet(Type type, RdbReader& in, const Target& to) {
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
  if (!sound || !in.ok()) return kBroken;
  if (set.size() == 0) return kEmpty;
  set.Finish();
  return kRead;
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

// As the fields of one listpack: field, value, and the time or 0 for none.
bool ReadExpiringListpack(RdbReader& in, int64_t now_ms, HashBuilder& hash) {
  (void)in.Fixed64();  // the earliest time: it is known
  std::string scratch;
  const std::string_view bytes = in.BorrowString(scratch);
  if (!in.ok() || !ListpackView::Validate(bytes, /*deep=*/true)) return false;
  const ListpackView list(bytes);
  if (list.count() % 3 != 0) return false;
  char field_digits[kListpackDigitsBytes];
  char value_digits[kListpackDigitsBytes];
  for (size_t at = list.First(); at != list.End();) {
    const std::string_view field = list.Get(at).Render(field_digits);
    at = list.Next(at);
    const std::string_view value = list.Get(at).Render(value_digits);
    at = list.Next(at);
    const ListpackValue time = list.Get(at);
    at = list.Next(at);
    if (!time.is_integer() || time.integer() < 0) return false;
    const int64_t at_ms = time.integer() == 0 ? kNoExpire : time.integer();
    if (!hash.Add(field, value, at_ms, at_ms != kNoExpire && at_ms <= now_ms)) return false;
  }
  return true;
}

ValueOutcome ReadHash(Type type, RdbReader& in, const Target& to) {
  HashBuilder hash(to.settings(), to.db.epoch());
  Pairs pairs([&hash](std::string_view field, std::string_view value) {
    return hash.Add(field, value, kNoExpire, false);
  });
  const auto add = [&pairs](std::string_view element) { return pairs(element); };
  bool sound = false;
  if (type == Type::kHashMetadata) {
    sound = ReadExpiringHash(in, to.db.now_ms(), hash);
  } else if (type == Type::kHashListpackExpiring) {
    sound = ReadExpiringListpack(in, to.db.now_ms(), hash);
  } else if (type == Type::kHashZipmap) {
    std::string scratch;
    const std::string_view bytes = in.BorrowString(scratch);
    sound = in.ok() && ForEachOfZipmap(bytes, add);
  } else if (type == Type::kHash) {
    const uint64_t count = in.Length();
    sound = count <= std::numeric_limits<uint64_t>::max() / 2 && ForEachPlain(in, count * 2, add);
  } else {
    sound = ForEachPacked(in, type == Type::kHashZiplist, add);
  }
  if (!sound || !pairs.complete()) return kBroken;
  if (hash.seen() == 0) return kEmpty;
  hash.Store(to.db, to.key, to.existing);
  to.db.Modified(to.key);
  return kRead;
}

ValueOutcome ReadStreamInto(Type type, RdbReader& in, const Target& to) {
  const EngineSettings& settings = to.settings();
  const StreamValue::Limits limits = {
      settings.stream_node_bytes_max.load(std::memory_order_relaxed),
      settings.stream_node_entries_max.load(std::memory_order_relaxed)};
  StreamValue* stream = ReadStream(type, in, limits, to.db.epoch());
  if (stream == nullptr) return kBroken;
  to.db.PutObject(to.key, to.existing, ValueType::kStream, Encoding::kStream, stream, kNoExpire);
  to.db.Modified(to.key);
  return kRead;
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
    if (in_.Length() != kModuleString) return false;
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

ValueOutcome ReadBloom(RdbReader& in, const Target& to) {
  BloomReader reader(in, to.db.epoch());
  if (!reader.Read()) return kBroken;
  to.db.PutObject(to.key, to.existing, ValueType::kBloom, Encoding::kBloom, reader.Take(),
                  kNoExpire);
  to.db.Modified(to.key);
  return kRead;
}

ValueOutcome ReadAs(Type type, RdbReader& in, const Target& to) {
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
    case Type::kHashZipmap:
    case Type::kHashZiplist:
    case Type::kHashListpack:
    case Type::kHashMetadata:
    case Type::kHashListpackExpiring:
      return ReadHash(type, in, to);
    case Type::kStreamListpacks:
    case Type::kStreamListpacks2:
    case Type::kStreamListpacks3:
      return ReadStreamInto(type, in, to);
    case Type::kModule2:
      return in.Length() == kBloomModuleId ? ReadBloom(in, to) : kBroken;
    case Type::kModule:
      break;
  }
  return kBroken;
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
  const auto type = static_cast<Type>(in.Byte());
  return ReadAs(type, in, {db, key, existing, kNoExpire}) == kRead;
}

namespace {

// Whether its time has come is the caller's concern.
void GiveExpiry(Database& db, const KeyRef& key, int64_t expire_at_ms) {
  constexpr int64_t kBeforeAllTimes = 0;
  Database timeless(db.keyspace(), db.thread(), db.index(), kBeforeAllTimes, {.no_touch = true});
  if (Entry* entry = timeless.Peek(key)) timeless.SetExpire(key, entry, expire_at_ms);
}

}  // namespace

ValueOutcome ReadValueOfType(Type type, RdbReader& in, Database& db, const KeyRef& key,
                             Entry* existing, int64_t expire_at_ms) {
  const ValueOutcome outcome = ReadAs(type, in, {db, key, existing, expire_at_ms});
  const bool wanting = expire_at_ms != kNoExpire && type != Type::kString;
  if (outcome == kRead && wanting) GiveExpiry(db, key, expire_at_ms);
  return outcome;
}

ValueOutcome ReadBloomFilter(RdbReader& in, Database& db, const KeyRef& key, Entry* existing,
                             int64_t expire_at_ms) {
  const ValueOutcome outcome = ReadBloom(in, {db, key, existing, expire_at_ms});
  if (outcome == kRead && expire_at_ms != kNoExpire) GiveExpiry(db, key, expire_at_ms);
  return outcome;
}

bool SkipModuleParts(RdbReader& in) {
  std::string scratch;
  while (in.ok()) {
    switch (in.Length()) {
      case kModuleEnd:
        return in.ok();
      case kModuleSigned:
      case kModuleUnsigned:
        (void)in.Length();
        break;
      case kModuleFloat:
        (void)in.Fixed32();
        break;
      case kModuleDouble:
        (void)in.Fixed64();
        break;
      case kModuleString:
        (void)in.BorrowString(scratch);
        break;
      default:
        return false;
    }
  }
  return false;
}

}  // namespace tidegate::rdb
