// A sorted set of a key, whichever way it is held: packed (packed_sorted_set.h) or large
// (sorted_set_object.h).
//
// SortedSetView reads one that is there. SortedSetWriter changes one, makes the key when it is
// absent, and lets a packed set become large when it grows beyond zset-max-listpack-entries or gets
// a member longer than zset-max-listpack-value; as in Redis it never becomes packed again. What is
// new is built on the stack and becomes an entry once, in Finish, so that ZADD of a new key takes
// one allocation. Commands never look at encodings: they speak of members, scores, and ranges of
// ranks.
//
// Both need the slot's lock of the key. Texts that they give are valid until the next change.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "storage/engine.h"
#include "storage/keyspace/database.h"
#include "storage/keyspace/entry_buffer.h"
#include "storage/value/packed_scratch.h"
#include "storage/value/packed_sorted_set.h"
#include "storage/value/sorted_set_bounds.h"
#include "storage/value/sorted_set_object.h"

namespace tidegate {

struct ScoredMember {
  double score = 0;
  std::string_view member;

  friend bool operator<(const ScoredMember& a, const ScoredMember& b) {
    return a.score < b.score || (a.score == b.score && a.member < b.member);
  }
};

class SortedSetView final {
 public:
  struct Place {
    uint64_t rank;
    double score;
  };

  explicit SortedSetView(const Entry& entry) : entry_(entry) {}

  uint64_t size() const { return is_packed() ? packed().size() : large().size(); }
  std::optional<double> Score(std::string_view member) const;
  std::optional<Place> Find(std::string_view member) const;

  template <typename Bounds>
  RankRange Within(const Bounds& bounds, bool backwards = false) const {
    return is_packed() ? packed().Within(bounds, backwards) : large().Within(bounds);
  }

  // Calls fn(std::string_view member, double score) for a range, in order or backwards.
  template <typename Fn>
  void ForEach(const RankRange& range, bool backwards, Fn&& fn) const {
    if (is_packed()) return packed().ForEach(range, backwards, fn);
    uint64_t left = range.size();
    if (left == 0) return;
    ScoreIndex::Iterator at = large().order().At(backwards ? range.last - 1 : range.first);
    for (; left > 0; --left) {
      fn(at.member(), at.score());
      backwards ? at.Previous() : at.Next();
    }
  }
  template <typename Fn>
  void ForEach(Fn&& fn) const {
    ForEach({0, size()}, false, fn);
  }

  // ZSCAN: calls visit(member, text of its score) for about `count` members from the cursor on, all
  // of a packed set; returns the next cursor, 0 at the end.
  using ScanVisitor = std::function<void(std::string_view member, std::string_view score)>;
  uint64_t Scan(uint64_t cursor, uint64_t count, const ScanVisitor& visit) const;

 private:
  bool is_packed() const { return entry_.encoding() != Encoding::kSortedSet; }
  PackedSortedSetView packed() const { return PackedSortedSetView(PackedBytes(entry_)); }
  const SortedSetObject& large() const { return *entry_.object<SortedSetObject>(); }

  const Entry& entry_;
};

// What ZADD is told beside members and scores.
struct SortedSetAdd {
  bool only_absent = false;   // NX
  bool only_present = false;  // XX
  bool only_greater = false;  // GT
  bool only_less = false;     // LT
  bool increment = false;     // INCR
};

class SortedSetWriter final {
 public:
  enum class Outcome : uint8_t {
    kAdded,
    kUpdated,
    kUnchanged,   // it had that score
    kSkipped,     // the options say so
    kNotANumber,  // inf was added to -inf
  };

  // Changes the sorted set that Find gave for the key; null: makes one.
  SortedSetWriter(Database& db, const KeyRef& key, Entry* entry, const EngineSettings& settings);
  // Makes a new one in place of whatever the key holds, not before Finish.
  static SortedSetWriter Instead(Database& db, const KeyRef& key, Entry* existing,
                                 const EngineSettings& settings) {
    return {db, key, existing, settings, true};
  }
  ~SortedSetWriter();
  SortedSetWriter(const SortedSetWriter&) = delete;
  SortedSetWriter& operator=(const SortedSetWriter&) = delete;

  uint64_t size();

  // `score` becomes what the member has in the end, unless it was skipped.
  Outcome Add(std::string_view member, double& score, const SortedSetAdd& options);
  void Add(std::string_view member, double score) { (void)Add(member, score, SortedSetAdd()); }
  bool Erase(std::string_view member);
  void Erase(const RankRange& range);
  // In place of all that is there: members, sorted and without equals, of which `table` may hold
  // the scores already. Takes the table over, and is done with `sorted` in the end.
  void Assign(std::span<const ScoredMember> sorted, FieldTable* table);

  // After changes: the key holds what was made, or is removed when nothing is left (true).
  bool Finish();

 private:
  SortedSetWriter(Database& db, const KeyRef& key, Entry* entry, const EngineSettings& settings,
                  bool instead);
  PackedBuffer& buffer() {
    if (fresh_) return scratch_;
    return entry_buffer_;
  }
  // Whether another member may come into the packed form.
  bool FitsPacked(uint64_t members, size_t member_bytes) const;
  void MakeLarge();
  Outcome AddPacked(std::string_view member, double& score, const SortedSetAdd& options);
  Outcome AddLarge(std::string_view member, double& score, const SortedSetAdd& options);

  Database& db_;
  const KeyRef& key_;
  Entry* entry_;
  const uint64_t entries_max_;
  const uint64_t value_bytes_max_;
  SortedSetObject* large_ = nullptr;  // null: packed. The entry's, or ours while fresh_
  bool fresh_;                        // not in the entry yet
  EntryBuffer entry_buffer_;
  PackedScratch scratch_;
};

}  // namespace tidegate
