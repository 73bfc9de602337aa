// SortedSetObject: a large sorted set, which has two halves.
//
//   members   FieldTable   member -> score        ZSCORE, and the old score of ZADD
//   order     ScoreIndex   (score, member), ranked    ranges, ranks, pops
//
// Both hold every member; the two are changed together, and only here, so that they cannot differ.
// Why not one structure: a score is asked for by member as often as a member by rank, and neither
// order helps the other question. Owner: the slot of its key. Cost: a hash look-up of about three
// cache misses and, for what changes or ranks, a descent of three to six.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "storage/value/field_table.h"
#include "storage/value/score_index.h"
#include "storage/value/sorted_set_bounds.h"

namespace tidegate {

class SortedSetObject final {
 public:
  // An empty set; given back to Destroy or FreeSome by its owner. Changes of the order are of this
  // epoch; the table has its own.
  static SortedSetObject* Create(uint32_t epoch);
  // Takes over a table of scores, whose members are not in order yet.
  static SortedSetObject* Adopt(FieldTable* members, uint32_t epoch);
  static void Destroy(SortedSetObject* set);
  // Frees about so many allocations; true when it is gone. Nothing else may be called in between.
  static bool FreeSome(SortedSetObject* set, size_t allocations);
  SortedSetObject* Clone() const;

  SortedSetObject(const SortedSetObject&) = delete;
  SortedSetObject& operator=(const SortedSetObject&) = delete;

  // For CompactSome, and for who writes them to disk: what changes them otherwise has to keep the
  // two in step.
  FieldTable& members_to_move() { return *members_; }
  ScoreIndex& order_to_move() { return order_; }

  uint64_t size() const { return order_.size(); }
  size_t allocated_bytes() const;
  void set_epoch(uint32_t epoch);

  const FieldTable& members() const { return *members_; }
  const ScoreIndex& order() const { return order_; }

  uint64_t Hash(std::string_view member) const { return members_->Hash(member); }
  std::optional<double> Score(uint64_t hash, std::string_view member) const;

  // Adds a member, which must be absent.
  void Insert(uint64_t hash, std::string_view member, double score);
  // Gives a member another score.
  void Update(uint64_t hash, std::string_view member, double old_score, double new_score);
  // False when it is not there.
  bool Erase(std::string_view member);
  // Page by page.
  void Erase(const RankRange& range);

  // For a set made by Adopt: puts a member of the table into the order. Fastest in ascending order.
  void Order(double score, std::string_view member) { order_.Insert(score, member); }

  RankRange Within(const ScoreBounds& bounds) const;
  RankRange Within(const LexBounds& bounds) const;

 private:
  explicit SortedSetObject(FieldTable* members) : members_(members) {}
  ~SortedSetObject() = default;

  FieldTable* members_;  // null while being freed
  ScoreIndex order_;
};

}  // namespace tidegate
