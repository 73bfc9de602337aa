// GEOSEARCH, GEOSEARCHSTORE and the GEORADIUS family before them: points within a circle or a box.
//
// A search goes over the scores of up to nine cells, keeps the members that are near enough, sorts
// them when it is asked to or when only some are wanted, and replies with them or stores them.
#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "base/text.h"
#include "storage/breathe.h"
#include "storage/commands/effect_words.h"
#include "storage/commands/geo_commands.h"
#include "storage/commands/sorted_set_commands.h"

namespace tidegate {
namespace {

enum class SearchKind : uint8_t { kRadius, kRadiusByMember, kSearch };
enum class SearchOrder : uint8_t { kAsFound, kNearestFirst, kFarthestFirst };

struct SearchArguments {
  SearchKind kind = SearchKind::kSearch;
  size_t source = 1;  // argument of the sorted set
  bool may_store = false;
  GeoArea area;
  bool has_centre = false;
  bool has_shape = false;
  bool from_member = false;
  bool stores = false;
  bool store_distances = false;
  bool with_distance = false;
  bool with_hash = false;
  bool with_point = false;
  bool any = false;
  uint64_t count = 0;  // 0: all
  SearchOrder order = SearchOrder::kAsFound;

  bool is_search() const { return kind == SearchKind::kSearch; }
};

struct FoundPoint {
  std::string_view member;
  double score;
  double distance;  // in metres
  GeoPoint point;
};

// What a search found. Points stand in blocks, and what is sorted are their addresses: millions of
// them are never moved at once.
struct Findings {
  Findings() = default;
  ~Findings() {
    BreathingSpaces<256> spaces;
    for (; !points.empty(); points.pop_back()) spaces.Step();
  }
  Findings(const Findings&) = delete;
  Findings& operator=(const Findings&) = delete;

  std::deque<FoundPoint> points;
  bool keeps_members = false;  // of a packed set, in which they have no lasting place
  std::deque<std::string> members;
  std::vector<const FoundPoint*> order;
};

bool Refuse(CommandContext& ctx, std::string_view error) {
  ctx.Fail(error);
  return false;
}

// The functions that read arguments return false when the error is written.

bool ReadCentreOfMember(CommandContext& ctx, const Entry& entry, size_t i,
                        SearchArguments& arguments) {
  const std::optional<double> score = SortedSetView(entry).Score(ctx.arg(i));
  if (!score) return Refuse(ctx, "ERR could not decode requested zset member");
  arguments.area.centre = GeoPointOf(*score);
  return true;
}

bool ReadCentre(CommandContext& ctx, size_t i, SearchArguments& arguments) {
  const std::optional<GeoPoint> point = GeoPointArg(ctx, i);
  if (!point) return false;
  arguments.area.centre = *point;
  return true;
}

bool ReadUnit(CommandContext& ctx, size_t i, GeoArea& area) {
  const std::optional<double> unit = GeoUnitArg(ctx, i);
  if (unit) area.unit = *unit;
  return unit.has_value();
}

// radius unit
bool ReadCircle(CommandContext& ctx, size_t i, GeoArea& area) {
  const std::optional<double> radius = GeoNumberArg(ctx, i, "ERR need numeric radius");
  if (!radius) return false;
  if (*radius < 0) return Refuse(ctx, "ERR radius cannot be negative");
  area.shape = GeoArea::Shape::kCircle;
  area.radius = *radius;
  return ReadUnit(ctx, i + 1, area);
}

// width height unit
bool ReadBox(CommandContext& ctx, size_t i, GeoArea& area) {
  const std::optional<double> width = GeoNumberArg(ctx, i, "ERR need numeric width");
  if (!width) return false;
  const std::optional<double> height = GeoNumberArg(ctx, i + 1, "ERR need numeric height");
  if (!height) return false;
  if (*width < 0 || *height < 0) return Refuse(ctx, "ERR height or width cannot be negative");
  area.shape = GeoArea::Shape::kBox;
  area.width = *width;
  area.height = *height;
  return ReadUnit(ctx, i + 2, area);
}

// Words that stand alone; false when it is none.
bool ReadFlag(std::string_view word, SearchArguments& arguments) {
  if (EqualsIgnoreCase(word, "withdist")) return arguments.with_distance = true;
  if (EqualsIgnoreCase(word, "withhash")) return arguments.with_hash = true;
  if (EqualsIgnoreCase(word, "withcoord")) return arguments.with_point = true;
  if (EqualsIgnoreCase(word, "any")) return arguments.any = true;
  if (EqualsIgnoreCase(word, "asc")) {
    arguments.order = SearchOrder::kNearestFirst;
    return true;
  }
  if (EqualsIgnoreCase(word, "desc")) {
    arguments.order = SearchOrder::kFarthestFirst;
    return true;
  }
  return false;
}

bool ReadCount(CommandContext& ctx, size_t i, SearchArguments& arguments) {
  const std::optional<int64_t> count = ctx.IntegerArg(i);
  if (!count) return false;
  if (*count <= 0) return Refuse(ctx, "ERR COUNT must be > 0");
  arguments.count = static_cast<uint64_t>(*count);
  return true;
}

// Options of the GEORADIUS family alone; `i` moves to the last argument it takes.
bool ReadRadiusOption(CommandContext& ctx, size_t& i, SearchArguments& arguments) {
  const bool distances = EqualsIgnoreCase(ctx.arg(i), "storedist");
  const bool stores = distances || EqualsIgnoreCase(ctx.arg(i), "store");
  if (!stores || !arguments.may_store || i + 1 >= ctx.argc()) return Refuse(ctx, errors::kSyntax);
  arguments.stores = true;
  arguments.store_distances = distances;
  ++i;
  return true;
}

// Options of GEOSEARCH and GEOSEARCHSTORE alone. Without a source, a member has no place, and what
// is wrong with the rest is still said.
bool ReadSearchOption(CommandContext& ctx, const Entry* entry, size_t& i,
                      SearchArguments& arguments) {
  const std::string_view word = ctx.arg(i);
  const size_t behind = ctx.argc() - i - 1;
  const bool circle = arguments.has_shape && arguments.area.shape == GeoArea::Shape::kCircle;
  const bool box = arguments.has_shape && arguments.area.shape == GeoArea::Shape::kBox;
  if (behind >= 1 && EqualsIgnoreCase(word, "frommember") &&
      (!arguments.has_centre || arguments.from_member)) {
    arguments.has_centre = arguments.from_member = true;
    ++i;
    return entry == nullptr || ReadCentreOfMember(ctx, *entry, i, arguments);
  }
  if (behind >= 2 && EqualsIgnoreCase(word, "fromlonlat") && !arguments.from_member) {
    arguments.has_centre = true;
    i += 2;
    return ReadCentre(ctx, i - 1, arguments);
  }
  if (behind >= 2 && EqualsIgnoreCase(word, "byradius") && !box) {
    arguments.has_shape = true;
    i += 2;
    return ReadCircle(ctx, i - 1, arguments.area);
  }
  if (behind >= 3 && EqualsIgnoreCase(word, "bybox") && !circle) {
    arguments.has_shape = true;
    i += 3;
    return ReadBox(ctx, i - 2, arguments.area);
  }
  if (arguments.stores && EqualsIgnoreCase(word, "storedist")) {
    return arguments.store_distances = true;
  }
  return Refuse(ctx, errors::kSyntax);
}

// What stands in front of the options; `next` becomes the argument of the first of these.
bool ReadFixedArguments(CommandContext& ctx, const Entry* entry, SearchArguments& arguments,
                        size_t& next) {
  next = arguments.source + 1;
  switch (arguments.kind) {
    case SearchKind::kSearch:
      return true;
    case SearchKind::kRadius:
      next += 4;
      return ReadCentre(ctx, next - 4, arguments) && ReadCircle(ctx, next - 2, arguments.area);
    case SearchKind::kRadiusByMember:
      next += 3;
      if (entry == nullptr) return true;
      return ReadCentreOfMember(ctx, *entry, next - 3, arguments) &&
             ReadCircle(ctx, next - 2, arguments.area);
  }
  return false;
}

bool CheckTogether(CommandContext& ctx, const SearchArguments& arguments) {
  if (arguments.stores &&
      (arguments.with_distance || arguments.with_hash || arguments.with_point)) {
    return Refuse(ctx,
                  std::string("ERR ") +
                      (arguments.is_search() ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS") +
                      " is not compatible with WITHDIST, WITHHASH and WITHCOORD options");
  }
  const std::string name(ctx.arg(0));
  if (arguments.is_search() && !arguments.has_centre) {
    return Refuse(ctx, "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for " + name);
  }
  if (arguments.is_search() && !arguments.has_shape) {
    return Refuse(ctx, "ERR exactly one of BYRADIUS and BYBOX can be specified for " + name);
  }
  if (arguments.any && arguments.count == 0) {
    return Refuse(ctx, "ERR the ANY argument requires COUNT argument");
  }
  return true;
}

bool ReadArguments(CommandContext& ctx, const Entry* entry, SearchArguments& arguments) {
  size_t i = 0;
  if (!ReadFixedArguments(ctx, entry, arguments, i)) return false;
  for (; i < ctx.argc(); ++i) {
    if (ReadFlag(ctx.arg(i), arguments)) continue;
    if (i + 1 < ctx.argc() && EqualsIgnoreCase(ctx.arg(i), "count")) {
      if (!ReadCount(ctx, ++i, arguments)) return false;
    } else if (!(arguments.is_search() ? ReadSearchOption(ctx, entry, i, arguments)
                                       : ReadRadiusOption(ctx, i, arguments))) {
      return false;
    }
  }
  if (!CheckTogether(ctx, arguments)) return false;
  // Some of the points without an order are the nearest ones, unless any will do.
  if (arguments.count > 0 && !arguments.any && arguments.order == SearchOrder::kAsFound) {
    arguments.order = SearchOrder::kNearestFirst;
  }
  return true;
}

// The points of one cell, as long as fewer than `wanted` were found (0: all).
void CollectCell(const SortedSetView& set, const GeoScoreRange& cell, const GeoArea& area,
                 uint64_t wanted, Findings& found) {
  // Between looks at how many there are.
  constexpr uint64_t kStep = 64;
  RankRange range = set.Within(ScoreBounds{cell.min, cell.max, false, true});
  while (!range.empty() && (wanted == 0 || found.points.size() < wanted)) {
    const RankRange step{range.first, std::min(range.last, range.first + kStep)};
    set.ForEach(wanted == 0 ? range : step, false, [&](std::string_view member, double score) {
      const GeoPoint point = GeoPointOf(score);
      const std::optional<double> distance = area.DistanceIfWithin(point);
      if (!distance || (wanted != 0 && found.points.size() >= wanted)) return;
      const std::string_view kept =
          found.keeps_members ? std::string_view(found.members.emplace_back(member)) : member;
      found.points.push_back({kept, score, *distance, point});
    });
    range.first = wanted == 0 ? range.last : step.last;
  }
}

void Search(const Entry& entry, const SearchArguments& arguments, Findings& found) {
  found.keeps_members = entry.encoding() != Encoding::kSortedSet;
  const SortedSetView set(entry);
  const GeoCells cells = CellsCovering(arguments.area);
  const uint64_t wanted = arguments.any ? arguments.count : 0;
  for (size_t i = 0; i < cells.count; ++i) {
    if (wanted != 0 && found.points.size() >= wanted) break;
    CollectCell(set, cells.cells[i], arguments.area, wanted, found);
  }
  BreathingSpaces<256> spaces;
  found.order.reserve(found.points.size());
  for (const FoundPoint& point : found.points) {
    spaces.Step();
    found.order.push_back(&point);
  }
  if (arguments.order != SearchOrder::kAsFound) {
    const bool nearest_first = arguments.order == SearchOrder::kNearestFirst;
    std::stable_sort(found.order.begin(), found.order.end(),
                     [&](const FoundPoint* a, const FoundPoint* b) {
                       spaces.Step();
                       return nearest_first ? a->distance < b->distance : a->distance > b->distance;
                     });
  }
  if (arguments.count > 0 && found.order.size() > arguments.count) {
    found.order.resize(static_cast<size_t>(arguments.count));
  }
}

// Whether the cells hold so many points that looking at them is a long command.
bool IsLongSearch(const CommandContext& ctx, const Entry& entry, const SearchArguments& arguments) {
  const SortedSetView set(entry);
  if (!ctx.IsLong(set.size())) return false;
  const GeoCells cells = CellsCovering(arguments.area);
  uint64_t points = 0;
  for (size_t i = 0; i < cells.count; ++i)
    points += set.Within(ScoreBounds{cells.cells[i].min, cells.cells[i].max, false, true}).size();
  return ctx.IsLong(points);
}

void ReplyFound(ReplyWriter& reply, const Findings& found, const SearchArguments& arguments) {
  const size_t extras =
      size_t{arguments.with_distance} + size_t{arguments.with_hash} + size_t{arguments.with_point};
  reply.Array(found.order.size());
  BreathingSpaces<64> spaces;
  for (const FoundPoint* one : found.order) {
    spaces.Step();
    if (extras > 0) reply.Array(1 + extras);
    reply.Bulk(one->member);
    if (arguments.with_distance) ReplyGeoDistance(reply, one->distance / arguments.area.unit);
    if (arguments.with_hash) reply.Integer(static_cast<int64_t>(one->score));
    if (arguments.with_point) ReplyGeoPoint(reply, one->point);
  }
}

// What was found is recorded, not how: another mathematical library may find others at the edge.
// The members follow.
void BeginRecordOfStored(CommandContext& ctx, const KeyRef& target, const Findings& found,
                         bool replaces) {
  ctx.RecordNothing();
  if (replaces) ctx.RecordAs({"DEL", target.name});
  if (found.order.empty()) return;
  ctx.BeginRecordAs(2 + 2 * found.order.size());
  ctx.thread().effects.Word("ZADD");
  ctx.thread().effects.Word(target.name);
}

void StoreFound(CommandContext& ctx, const KeyRef& target, const Findings& found,
                const SearchArguments& arguments) {
  Entry* replaced = ctx.db().FindForWrite(target);
  SortedSetWriter writer =
      SortedSetWriter::Instead(ctx.db(), target, replaced, ctx.engine().settings());
  if (ctx.records()) BeginRecordOfStored(ctx, target, found, replaced != nullptr);
  for (const FoundPoint* one : found.order) {
    const double score =
        arguments.store_distances ? one->distance / arguments.area.unit : one->score;
    writer.Add(one->member, score);
    if (!ctx.records()) continue;
    ctx.thread().effects.Word(DoubleWord(score));
    ctx.thread().effects.Word(one->member);
  }
  StoreSortedSet(ctx, writer, target, arguments.is_search() ? "geosearchstore" : "georadiusstore");
}

// `source` is the key that is searched; what is stored goes to `target`.
ExecStatus RunSearch(CommandContext& ctx, SearchArguments& arguments, const KeyRef& source,
                     const KeyRef& target) {
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, source, false, &entry)) return ExecStatus::kDone;
  if (!ReadArguments(ctx, entry, arguments)) return ExecStatus::kDone;
  if (entry != nullptr && IsLongSearch(ctx, *entry, arguments)) return ctx.RunLong();
  Findings found;
  if (entry != nullptr) Search(*entry, arguments, found);
  if (arguments.stores) {
    StoreFound(ctx, target, found, arguments);
  } else {
    ReplyFound(ctx.reply(), found, arguments);
  }
  return ExecStatus::kDone;
}

// The target of STORE and STOREDIST is the last key, as the row's finder gives it.
ExecStatus RadiusSearch(CommandContext& ctx, SearchKind kind, bool may_store) {
  SearchArguments arguments;
  arguments.kind = kind;
  arguments.may_store = may_store;
  return RunSearch(ctx, arguments, ctx.key(), ctx.keys().back());
}

}  // namespace

ExecStatus CmdGeoRadius(CommandContext& ctx) {
  return RadiusSearch(ctx, SearchKind::kRadius, true);
}

ExecStatus CmdGeoRadiusRo(CommandContext& ctx) {
  return RadiusSearch(ctx, SearchKind::kRadius, false);
}

ExecStatus CmdGeoRadiusByMember(CommandContext& ctx) {
  return RadiusSearch(ctx, SearchKind::kRadiusByMember, true);
}

ExecStatus CmdGeoRadiusByMemberRo(CommandContext& ctx) {
  return RadiusSearch(ctx, SearchKind::kRadiusByMember, false);
}

ExecStatus CmdGeoSearch(CommandContext& ctx) {
  SearchArguments arguments;
  return RunSearch(ctx, arguments, ctx.key(), ctx.key());
}

ExecStatus CmdGeoSearchStore(CommandContext& ctx) {
  SearchArguments arguments;
  arguments.source = 2;
  arguments.stores = true;
  return RunSearch(ctx, arguments, ctx.key(1), ctx.key(0));
}

}  // namespace tidegate
