#include "storage/value/geo_hash.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace tidegate {
namespace {

constexpr double kEarthRadius = 6372797.560856;  // metres
constexpr double kMercatorMax = 20037726.37;     // metres, half of the map's side
constexpr double kRadiansPerDegree = M_PI / 180;
constexpr uint64_t kEvenBits = 0x5555555555555555;  // latitudes
constexpr uint64_t kOddBits = 0xaaaaaaaaaaaaaaaa;   // longitudes

double ToRadians(double degrees) { return degrees * kRadiansPerDegree; }
double ToDegrees(double radians) { return radians / kRadiansPerDegree; }

// A cell: the bits of so many halvings of each range.
struct Cell {
  uint64_t bits = 0;
  int steps = 0;

  friend bool operator==(const Cell&, const Cell&) = default;
};

// Its edges, in degrees.
struct CellEdges {
  double west;
  double east;
  double south;
  double north;
};

// Bit i of `value` goes to bit 2i.
uint64_t Spread(uint32_t value) {
  uint64_t bits = value;
  bits = (bits | bits << 16) & 0x0000ffff0000ffff;
  bits = (bits | bits << 8) & 0x00ff00ff00ff00ff;
  bits = (bits | bits << 4) & 0x0f0f0f0f0f0f0f0f;
  bits = (bits | bits << 2) & 0x3333333333333333;
  return (bits | bits << 1) & kEvenBits;
}

// The other way round.
uint32_t Gather(uint64_t bits) {
  bits &= kEvenBits;
  bits = (bits | bits >> 1) & 0x3333333333333333;
  bits = (bits | bits >> 2) & 0x0f0f0f0f0f0f0f0f;
  bits = (bits | bits >> 4) & 0x00ff00ff00ff00ff;
  bits = (bits | bits >> 8) & 0x0000ffff0000ffff;
  return static_cast<uint32_t>(bits | bits >> 16);
}

// Where a value lies in [-max, max], in units of the range's 2^steps-th part.
uint32_t PartOf(double value, double max, int steps) {
  const double part = (value + max) / (max + max);
  return static_cast<uint32_t>(part * static_cast<double>(uint64_t{1} << steps));
}

Cell CellOf(const GeoPoint& point, double latitude_max, int steps) {
  const uint64_t latitude = Spread(PartOf(point.latitude, latitude_max, steps));
  const uint64_t longitude = Spread(PartOf(point.longitude, kLongitudeMax, steps));
  return {latitude | longitude << 1, steps};
}

CellEdges EdgesOf(const Cell& cell) {
  const double parts = static_cast<double>(uint64_t{1} << cell.steps);
  const auto latitude = static_cast<double>(Gather(cell.bits));
  const auto longitude = static_cast<double>(Gather(cell.bits >> 1));
  const auto edge = [parts](double part, double max) { return -max + part / parts * (max + max); };
  return {edge(longitude, kLongitudeMax), edge(longitude + 1, kLongitudeMax),
          edge(latitude, kLatitudeMax), edge(latitude + 1, kLatitudeMax)};
}

// One of the two interleaved numbers moved by -1, 0 or 1, around the edge of the map. `mask` has
// its bits, `rest` those of the other one.
uint64_t Moved(uint64_t bits, int by, uint64_t mask, uint64_t rest, int steps) {
  const int unused = 64 - 2 * steps;
  const uint64_t fill = rest >> unused;
  uint64_t moved = bits & mask;
  if (by == 0) return moved;  // at longitude 180 it is beyond the last cell, where scores are, too
  if (by > 0) moved += fill + 1;
  if (by < 0) moved = (moved | fill) - (fill + 1);
  return moved & (mask >> unused);
}

Cell Neighbour(const Cell& cell, int east, int north) {
  const uint64_t longitude = Moved(cell.bits, east, kOddBits, kEvenBits, cell.steps);
  const uint64_t latitude = Moved(cell.bits, north, kEvenBits, kOddBits, cell.steps);
  return {longitude | latitude, cell.steps};
}

GeoScoreRange ScoresOf(const Cell& cell) {
  const int shift = 2 * (kGeoStepsMax - cell.steps);
  return {static_cast<double>(cell.bits << shift), static_cast<double>((cell.bits + 1) << shift)};
}

// The box around the area, whose width at the wider of its two latitudes counts.
CellEdges BoxAround(const GeoArea& area) {
  const bool circle = area.shape == GeoArea::Shape::kCircle;
  const double height = area.unit * (circle ? area.radius : area.height / 2);
  const double width = area.unit * (circle ? area.radius : area.width / 2);
  const auto [longitude, latitude] = area.centre;
  const double up = ToDegrees(height / kEarthRadius);
  const double top = ToDegrees(width / kEarthRadius / std::cos(ToRadians(latitude + up)));
  const double bottom = ToDegrees(width / kEarthRadius / std::cos(ToRadians(latitude - up)));
  const double aside = latitude < 0 ? bottom : top;
  return {longitude - aside, longitude + aside, latitude - up, latitude + up};
}

// How small cells may be for nine of them to cover a circle of so many metres; near the poles they
// are narrow.
int StepsFor(double metres, double latitude) {
  if (metres == 0) return kGeoStepsMax;
  int steps = 1;
  for (; metres < kMercatorMax; metres *= 2) ++steps;
  steps -= 2;  // so that the circle is covered wherever in its cell the centre is
  if (std::abs(latitude) > 66) --steps;
  if (std::abs(latitude) > 80) --steps;
  return std::clamp(steps, 1, kGeoStepsMax);
}

double RadiusAround(const GeoArea& area) {
  if (area.shape == GeoArea::Shape::kCircle) return area.radius * area.unit;
  const double x = area.width / 2;
  const double y = area.height / 2;
  return std::sqrt(x * x + y * y) * area.unit;
}

// Whether the cells around this one reach as far as the box.
bool ReachesBox(const Cell& cell, const CellEdges& box) {
  return !(EdgesOf(Neighbour(cell, 0, 1)).north < box.north ||
           EdgesOf(Neighbour(cell, 0, -1)).south > box.south ||
           EdgesOf(Neighbour(cell, 1, 0)).east < box.east ||
           EdgesOf(Neighbour(cell, -1, 0)).west > box.west);
}

// A score need not be one of GEOADD's: any number is read as a 64-bit integer.
uint64_t BitsOf(double score) {
  constexpr double kHalf = 9223372036854775808.0;  // 2^63
  constexpr uint64_t kTopBit = uint64_t{1} << 63;
  if (score < -kHalf) return kTopBit;
  if (score < kHalf) return static_cast<uint64_t>(static_cast<int64_t>(score));
  return score < 2 * kHalf ? static_cast<uint64_t>(score) : 0;
}

double LatitudeDistance(double a, double b) {
  return kEarthRadius * std::fabs(ToRadians(b) - ToRadians(a));
}

}  // namespace

uint64_t GeoScore(const GeoPoint& point) { return CellOf(point, kLatitudeMax, kGeoStepsMax).bits; }

GeoPoint GeoPointOf(double score) {
  const CellEdges edges = EdgesOf({BitsOf(score), kGeoStepsMax});
  return {std::clamp((edges.west + edges.east) / 2, -kLongitudeMax, kLongitudeMax),
          std::clamp((edges.south + edges.north) / 2, -kLatitudeMax, kLatitudeMax)};
}

std::array<char, 11> GeoHashText(const GeoPoint& point) {
  constexpr std::string_view kAlphabet = "0123456789bcdefghjkmnpqrstuvwxyz";
  constexpr double kPole = 90;
  const uint64_t bits = CellOf(point, kPole, kGeoStepsMax).bits;
  std::array<char, 11> text{};
  // 52 bits make ten characters and two bits, which Redis leaves out.
  for (size_t i = 0; i < 10; ++i) text[i] = kAlphabet[bits >> (52 - 5 * (i + 1)) & 0x1f];
  text[10] = kAlphabet[0];
  return text;
}

double GeoDistance(const GeoPoint& a, const GeoPoint& b) {
  const double v = std::sin((ToRadians(b.longitude) - ToRadians(a.longitude)) / 2);
  if (v == 0) return LatitudeDistance(a.latitude, b.latitude);
  const double from = ToRadians(a.latitude);
  const double to = ToRadians(b.latitude);
  const double u = std::sin((to - from) / 2);
  return 2.0 * kEarthRadius * std::asin(std::sqrt(u * u + std::cos(from) * std::cos(to) * v * v));
}

std::optional<double> GeoArea::DistanceIfWithin(const GeoPoint& point) const {
  if (shape == Shape::kBox) {
    if (LatitudeDistance(point.latitude, centre.latitude) > height * unit / 2) return std::nullopt;
    const GeoPoint beside{centre.longitude, point.latitude};
    if (GeoDistance(point, beside) > width * unit / 2) return std::nullopt;
    return GeoDistance(centre, point);
  }
  const double distance = GeoDistance(centre, point);
  if (distance > radius * unit) return std::nullopt;
  return distance;
}

GeoCells CellsCovering(const GeoArea& area) {
  const CellEdges box = BoxAround(area);
  int steps = StepsFor(RadiusAround(area), area.centre.latitude);
  Cell centre = CellOf(area.centre, kLatitudeMax, steps);
  if (steps > 1 && !ReachesBox(centre, box)) centre = CellOf(area.centre, kLatitudeMax, --steps);

  // Sides of the centre that the box does not reach need no neighbours. A box without end is not a
  // number in places: every comparison is made so that it then keeps the neighbour.
  const CellEdges edges = EdgesOf(centre);
  const bool all = steps < 2;
  const bool south = all || !(edges.south < box.south);
  const bool north = all || !(edges.north > box.north);
  const bool west = all || !(edges.west < box.west);
  const bool east = all || !(edges.east > box.east);

  struct Step {
    int east;
    int north;
    bool wanted;
  };
  const Step around[] = {{0, 0, true},           {0, 1, north},          {0, -1, south},
                         {1, 0, east},           {-1, 0, west},          {1, 1, north && east},
                         {-1, 1, north && west}, {1, -1, south && east}, {-1, -1, south && west}};
  GeoCells found;
  Cell last;
  for (const Step& step : around) {
    if (!step.wanted) continue;
    const Cell cell = Neighbour(centre, step.east, step.north);
    if (found.count > 1 && cell == last) continue;  // of few cells, neighbours may be the same one
    found.cells[found.count++] = ScoresOf(cell);
    last = cell;
  }
  return found;
}

}  // namespace tidegate
