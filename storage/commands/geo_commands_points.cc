// GEOADD, GEODIST, GEOHASH, GEOPOS, and what they share with searches.
#include <cstdio>
#include <string>
#include <vector>

#include "base/text.h"
#include "storage/commands/effect_words.h"
#include "storage/commands/geo_commands.h"
#include "storage/commands/sorted_set_commands.h"

namespace tidegate {
namespace {

struct GeoAddArguments {
  SortedSetAdd options;
  bool count_changes = false;
  size_t first = 2;  // argument of the first longitude
};

bool ParseGeoAddOption(std::string_view word, GeoAddArguments& arguments) {
  if (EqualsIgnoreCase(word, "nx")) return arguments.options.only_absent = true;
  if (EqualsIgnoreCase(word, "xx")) return arguments.options.only_present = true;
  if (EqualsIgnoreCase(word, "ch")) return arguments.count_changes = true;
  return false;
}

// As ZADD of the scores, so that nothing is computed anew.
void RecordPoints(CommandContext& ctx, const GeoAddArguments& arguments,
                  const std::vector<double>& scores) {
  const SortedSetAdd& options = arguments.options;
  const bool option = options.only_absent || options.only_present;
  ctx.BeginRecordAs(2 + (option ? 1 : 0) + 2 * scores.size());
  EffectLog& effects = ctx.thread().effects;
  effects.Word("ZADD");
  effects.Word(ctx.key().name);
  if (option) effects.Word(options.only_absent ? "NX" : "XX");
  for (size_t i = 0; i < scores.size(); ++i) {
    effects.Word(DoubleWord(scores[i]));
    effects.Word(ctx.arg(arguments.first + 3 * i + 2));
  }
}

std::optional<GeoPoint> FindPoint(const Entry* entry, std::string_view member) {
  std::optional<double> score;
  if (entry != nullptr) score = SortedSetView(*entry).Score(member);
  if (!score) return std::nullopt;
  return GeoPointOf(*score);
}

// Calls reply_point(point) or reply_none() for every member.
template <typename ReplyPoint, typename ReplyNone>
ExecStatus ReplyPoints(CommandContext& ctx, ReplyPoint&& reply_point, ReplyNone&& reply_none) {
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, ctx.key(), false, &entry)) return ExecStatus::kDone;
  ctx.reply().Array(ctx.argc() - 2);
  for (size_t i = 2; i < ctx.argc(); ++i) {
    const std::optional<GeoPoint> point = FindPoint(entry, ctx.arg(i));
    point ? reply_point(*point) : reply_none();
  }
  return ExecStatus::kDone;
}

void ReplyCoordinate(ReplyWriter& reply, double degrees) {
  const std::string text = FormatLongDouble(degrees);
  if (!reply.resp3()) return reply.Bulk(text);
  reply.Raw("," + text + "\r\n");
}

}  // namespace

std::optional<double> GeoNumberArg(CommandContext& ctx, size_t i, std::string_view error) {
  const std::optional<double> number = ParseDouble(ctx.arg(i));
  if (!number) ctx.Fail(error);
  return number;
}

std::optional<GeoPoint> GeoPointArg(CommandContext& ctx, size_t i) {
  const std::optional<double> longitude = GeoNumberArg(ctx, i, errors::kNotFloat);
  if (!longitude) return std::nullopt;
  const std::optional<double> latitude = GeoNumberArg(ctx, i + 1, errors::kNotFloat);
  if (!latitude) return std::nullopt;
  const GeoPoint point{*longitude, *latitude};
  if (IsOnMap(point)) return point;
  // Any double, with all digits before the point.
  std::vector<char> text(1024);
  const int bytes =
      std::snprintf(text.data(), text.size(), "ERR invalid longitude,latitude pair %f,%f",
                    point.longitude, point.latitude);
  ctx.Fail({text.data(), static_cast<size_t>(bytes)});
  return std::nullopt;
}

std::optional<double> GeoUnitArg(CommandContext& ctx, size_t i) {
  struct Unit {
    std::string_view name;
    double metres;
  };
  constexpr Unit kUnits[] = {{"m", 1}, {"km", 1000}, {"ft", 0.3048}, {"mi", 1609.34}};
  for (const Unit& unit : kUnits) {
    if (EqualsIgnoreCase(ctx.arg(i), unit.name)) return unit.metres;
  }
  ctx.Fail("ERR unsupported unit provided. please use M, KM, FT, MI");
  return std::nullopt;
}

void ReplyGeoDistance(ReplyWriter& reply, double distance) {
  char text[512];
  const int bytes = std::snprintf(text, sizeof text, "%.4f", distance);
  reply.Bulk({text, static_cast<size_t>(bytes)});
}

void ReplyGeoPoint(ReplyWriter& reply, const GeoPoint& point) {
  reply.Array(2);
  ReplyCoordinate(reply, point.longitude);
  ReplyCoordinate(reply, point.latitude);
}

ExecStatus CmdGeoAdd(CommandContext& ctx) {
  GeoAddArguments arguments;
  size_t& first = arguments.first;
  while (first < ctx.argc() && ParseGeoAddOption(ctx.arg(first), arguments)) ++first;
  const SortedSetAdd& options = arguments.options;
  const size_t points = (ctx.argc() - first) / 3;
  if ((ctx.argc() - first) % 3 != 0 || points == 0 ||
      (options.only_absent && options.only_present)) {
    return ctx.Fail(errors::kSyntax);
  }
  std::vector<double> scores(points);
  for (size_t i = 0; i < points; ++i) {
    const std::optional<GeoPoint> point = GeoPointArg(ctx, first + 3 * i);
    if (!point) return ExecStatus::kDone;
    scores[i] = static_cast<double>(GeoScore(*point));
  }
  const KeyRef& key = ctx.key();
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, key, true, &entry)) return ExecStatus::kDone;
  int64_t added = 0;
  int64_t updated = 0;
  if (entry != nullptr || !options.only_present) {
    using Outcome = SortedSetWriter::Outcome;
    SortedSetWriter set(ctx.db(), key, entry, ctx.engine().settings());
    for (size_t i = 0; i < points; ++i) {
      const Outcome outcome = set.Add(ctx.arg(first + 3 * i + 2), scores[i], options);
      if (outcome == Outcome::kAdded) ++added;
      if (outcome == Outcome::kUpdated) ++updated;
    }
    if (added + updated > 0) {
      FinishSortedSet(ctx, set, key, "zadd");
      if (ctx.records()) RecordPoints(ctx, arguments, scores);
    }
  }
  ctx.reply().Integer(arguments.count_changes ? added + updated : added);
  return ExecStatus::kDone;
}

ExecStatus CmdGeoDist(CommandContext& ctx) {
  double unit = 1;
  if (ctx.argc() == 5) {
    const std::optional<double> wanted = GeoUnitArg(ctx, 4);
    if (!wanted) return ExecStatus::kDone;
    unit = *wanted;
  } else if (ctx.argc() > 5) {
    return ctx.Fail(errors::kSyntax);
  }
  Entry* entry = nullptr;
  if (!FindSortedSet(ctx, ctx.key(), false, &entry)) return ExecStatus::kDone;
  const std::optional<GeoPoint> from = FindPoint(entry, ctx.arg(2));
  const std::optional<GeoPoint> to = FindPoint(entry, ctx.arg(3));
  if (from && to) {
    ReplyGeoDistance(ctx.reply(), GeoDistance(*from, *to) / unit);
  } else {
    ctx.reply().Null();
  }
  return ExecStatus::kDone;
}

ExecStatus CmdGeoHash(CommandContext& ctx) {
  ReplyWriter& reply = ctx.reply();
  return ReplyPoints(
      ctx,
      [&reply](const GeoPoint& point) {
        const std::array<char, 11> text = GeoHashText(point);
        reply.Bulk({text.data(), text.size()});
      },
      [&reply] { reply.Null(); });
}

ExecStatus CmdGeoPos(CommandContext& ctx) {
  ReplyWriter& reply = ctx.reply();
  return ReplyPoints(
      ctx, [&reply](const GeoPoint& point) { ReplyGeoPoint(reply, point); },
      [&reply] { reply.NullArray(); });
}

}  // namespace tidegate
