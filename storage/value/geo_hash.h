// Geohash: a point on Earth as a 52-bit integer, which a double holds exactly, so that points are
// members of a sorted set whose scores are close when the points are.
//
//   latitude   l0 l1 l2 …     26 bits each: halvings of the range of
//   longitude  L0 L1 L2 …     latitudes (±85.05…) and of longitudes (±180)
//   geohash    L0 l0 L1 l1 …  interleaved, the longitude first
//
// A cell is a geohash of fewer steps: all points that begin with it, one range of scores. A search
// looks at the cell of its centre and the eight around it, of a size that the nine cover what is
// searched, and then at the distance of each point found. Scores, cells and distances are computed
// as Redis does, operation by operation, since the same text must come out of the same data.
//
// Pure functions; any thread. Source: G. M. Morton, "A Computer Oriented Geodetic Data Base", 1966;
// G. Niemeyer's geohash; Redis's geohash.c and geohash_helper.c for the constants and the order of
// operations.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace tidegate {

// In degrees.
struct GeoPoint {
  double longitude = 0;
  double latitude = 0;
};

inline constexpr double kLongitudeMax = 180;
inline constexpr double kLatitudeMax = 85.05112878;  // of the Mercator square, EPSG:900913
// Of a point's score.
inline constexpr int kGeoStepsMax = 26;

constexpr bool IsOnMap(const GeoPoint& point) {
  return point.longitude >= -kLongitudeMax && point.longitude <= kLongitudeMax &&
         point.latitude >= -kLatitudeMax && point.latitude <= kLatitudeMax;
}

// The score of a point, which is on the map, and the middle of the cell that a score names.
uint64_t GeoScore(const GeoPoint& point);
GeoPoint GeoPointOf(double score);

// The eleven characters of geohash.org, whose latitudes go to the poles.
std::array<char, 11> GeoHashText(const GeoPoint& point);

// Metres, on a sphere.
double GeoDistance(const GeoPoint& a, const GeoPoint& b);

// What a search covers: a circle or a box around a point. Lengths are in metres.
struct GeoArea {
  enum class Shape : uint8_t { kCircle, kBox };

  GeoPoint centre;
  Shape shape = Shape::kCircle;
  // In the unit of the search, which is so many metres long.
  double radius = 0;
  double width = 0;
  double height = 0;
  double unit = 1;

  // How far the point is from the centre, when it lies within.
  std::optional<double> DistanceIfWithin(const GeoPoint& point) const;
};

// Scores [min, max) of one cell.
struct GeoScoreRange {
  double min = 0;
  double max = 0;
};

// The cells that cover an area, in the order in which Redis looks at them.
struct GeoCells {
  std::array<GeoScoreRange, 9> cells;
  size_t count = 0;
};
GeoCells CellsCovering(const GeoArea& area);

}  // namespace tidegate
