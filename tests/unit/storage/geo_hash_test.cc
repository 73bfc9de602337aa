#include "storage/value/geo_hash.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>

namespace tidegate {
namespace {

constexpr GeoPoint kPalermo{13.361389, 38.115556};
constexpr GeoPoint kCatania{15.087269, 37.502669};

TEST(GeoHashTest, ScoresAndTextAreRedisS) {
  EXPECT_EQ(GeoScore(kPalermo), 3479099956230698u);
  EXPECT_EQ(GeoScore(kCatania), 3479447370796909u);
  const std::array<char, 11> text = GeoHashText(GeoPointOf(3479099956230698));
  EXPECT_EQ(std::string(text.data(), text.size()), "sqc8b49rny0");
}

TEST(GeoHashTest, AScoreLeadsBackToAPointNearby) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> longitude(-kLongitudeMax, kLongitudeMax);
  std::uniform_real_distribution<double> latitude(-kLatitudeMax, kLatitudeMax);
  for (int i = 0; i < 10000; ++i) {
    const GeoPoint point{longitude(random), latitude(random)};
    const GeoPoint back = GeoPointOf(static_cast<double>(GeoScore(point)));
    EXPECT_LT(GeoDistance(point, back), 1.0);
  }
}

TEST(GeoHashTest, NoNumberIsBeyondTheMap) {
  for (const double score : {-1.0, -1e300, 1e300, 1.8e19, 9.3e18, HUGE_VAL, -HUGE_VAL, 0.5}) {
    EXPECT_TRUE(IsOnMap(GeoPointOf(score))) << score;
  }
}

TEST(GeoHashTest, Distances) {
  EXPECT_NEAR(GeoDistance(kPalermo, kCatania), 166274.1516, 1);
  EXPECT_EQ(GeoDistance(kPalermo, kPalermo), 0);
}

// Whatever lies within an area lies in one of its cells.
TEST(GeoHashTest, CellsCoverTheirArea) {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> longitude(-170, 170);
  std::uniform_real_distribution<double> latitude(-60, 60);
  std::uniform_real_distribution<double> aside(-1, 1);
  std::uniform_real_distribution<double> exponent(1, 5.5);
  size_t within = 0;
  for (int i = 0; i < 20000; ++i) {
    GeoArea area;
    area.centre = {longitude(random), latitude(random)};
    area.radius = std::pow(10, exponent(random));
    if (i % 2 == 0) {
      area.shape = GeoArea::Shape::kBox;
      area.width = area.radius;
      area.height = area.radius * (i % 3 + 1) / 2;
    }
    const double degrees = area.radius / 111000;
    const GeoPoint point{area.centre.longitude + degrees * aside(random),
                         area.centre.latitude + degrees * aside(random)};
    if (!IsOnMap(point) || !area.DistanceIfWithin(point)) continue;
    ++within;
    const auto score = static_cast<double>(GeoScore(point));
    const GeoCells cells = CellsCovering(area);
    bool covered = false;
    for (size_t c = 0; c < cells.count; ++c) {
      covered = covered || (score >= cells.cells[c].min && score < cells.cells[c].max);
    }
    EXPECT_TRUE(covered) << i;
  }
  EXPECT_GT(within, 5000u);
}

}  // namespace
}  // namespace tidegate
