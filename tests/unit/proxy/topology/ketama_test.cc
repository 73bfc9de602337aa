// KetamaRing against twemproxy 0.5.0 (nutcracker of Debian 12): each row was found by setting
// 10,000 keys through it in front of five redis-servers and looking where they are; the last rows
// with the second and fourth server killed and ejected.
#include "proxy/topology/ketama.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/text.h"
#include "proxy/topology/md5.h"

namespace tidegate::topology {
namespace {

constexpr size_t kNodes = 5;
constexpr int kKeys = 10'000;

struct Vector {
  const char* distribution;
  const char* hash;
  const char* hash_tag;
  std::array<uint32_t, kNodes> weights;
  const char* live;
  const char* first;             // the nodes of the first forty keys
  std::array<int, kNodes> keys;  // of each node
  uint32_t digest;               // fnv1a_32 of the nodes of all keys, as digits
};

// clang-format off
constexpr Vector kVectors[] = {
    {"ketama", "one_at_a_time", "", {1, 1, 1, 1, 1}, "11111",
     "1210022010002213334013332200404100234342", {2126, 2160, 2126, 1828, 1760}, 0x8f4c469f},
    {"ketama", "one_at_a_time", "", {1, 2, 3, 10, 50}, "11111",
     "4424424044342244334443344444444444434444", {112, 325, 424, 1374, 7765}, 0x73ae1860},
    {"ketama", "md5", "", {1, 1, 1, 1, 1}, "11111",
     "4014141034131131221332041121434230302040", {2073, 2131, 2123, 1871, 1802}, 0xc4df6917},
    {"ketama", "md5", "", {1, 2, 3, 10, 50}, "11111",
     "4444443434414344444434444444434424344444", {100, 331, 392, 1402, 7775}, 0x66af8dda},
    {"ketama", "crc16", "", {1, 1, 1, 1, 1}, "11111",
     "1334141412042141214124142444211223122012", {2071, 2227, 2067, 1913, 1722}, 0x4afb6915},
    {"ketama", "crc16", "", {1, 2, 3, 10, 50}, "11111",
     "4434443444444444444444444444444244444044", {97, 337, 411, 1324, 7831}, 0x2ed4c866},
    {"ketama", "crc32", "", {1, 1, 1, 1, 1}, "11111",
     "4444444444444444444444444444444444444444", {0, 0, 0, 0, 10000}, 0x85e72545},
    {"ketama", "crc32", "", {1, 2, 3, 10, 50}, "11111",
     "4444444444444444444444444444444444444444", {0, 0, 0, 0, 10000}, 0x85e72545},
    {"ketama", "crc32a", "", {1, 1, 1, 1, 1}, "11111",
     "3311024433233030200100401144141210032003", {2095, 2187, 2093, 1769, 1856}, 0xc53682f9},
    {"ketama", "crc32a", "", {1, 2, 3, 10, 50}, "11111",
     "4431344434443344444444444444144444434434", {106, 330, 378, 1301, 7885}, 0xbe008888},
    {"ketama", "fnv1_64", "", {1, 1, 1, 1, 1}, "11111",
     "2221220122403142310331023111311331313141", {1553, 2377, 2623, 1870, 1577}, 0xedfa187c},
    {"ketama", "fnv1_64", "", {1, 2, 3, 10, 50}, "11111",
     "4444444444444144414341444144414341344144", {37, 264, 270, 1359, 8070}, 0x943ca7b2},
    {"ketama", "fnv1a_64", "", {1, 1, 1, 1, 1}, "11111",
     "2114211121401443102414201441143414011430", {2092, 2138, 2402, 1740, 1628}, 0x86c5b57d},
    {"ketama", "fnv1a_64", "", {1, 2, 3, 10, 50}, "11111",
     "4414444344444443444444444444443444434433", {76, 331, 419, 1351, 7823}, 0xab35b9f5},
    {"ketama", "fnv1_32", "", {1, 1, 1, 1, 1}, "11111",
     "0242004002443400310134033313304210101020", {2123, 2141, 2109, 1769, 1858}, 0x54945739},
    {"ketama", "fnv1_32", "", {1, 2, 3, 10, 50}, "11111",
     "2244234424444444444444434343444443444344", {88, 322, 426, 1423, 7741}, 0x9761edaa},
    {"ketama", "fnv1a_32", "", {1, 1, 1, 1, 1}, "11111",
     "1112331203032143101303302003403314404142", {2001, 2289, 2196, 1823, 1691}, 0x542782c9},
    {"ketama", "fnv1a_32", "", {1, 2, 3, 10, 50}, "11111",
     "1414434443144343434444434444444344444444", {91, 324, 383, 1372, 7830}, 0xb0e4286b},
    {"ketama", "hsieh", "", {1, 1, 1, 1, 1}, "11111",
     "1204213402401411422122422210333420403042", {2144, 2178, 2048, 1789, 1841}, 0xdeceff08},
    {"ketama", "hsieh", "", {1, 2, 3, 10, 50}, "11111",
     "1444343444443441424444424444334444443444", {102, 347, 376, 1303, 7872}, 0x239c9ef7},
    {"ketama", "murmur", "", {1, 1, 1, 1, 1}, "11111",
     "3141002200003101111401012414103244341114", {2087, 2220, 2057, 1859, 1777}, 0xb959eb9a},
    {"ketama", "murmur", "", {1, 2, 3, 10, 50}, "11111",
     "3144444234443434444444424444444444444144", {93, 335, 355, 1337, 7880}, 0x746479c3},
    {"ketama", "jenkins", "", {1, 1, 1, 1, 1}, "11111",
     "0010140212144042444440041110431310020102", {2159, 2167, 2143, 1728, 1803}, 0x88b9e2a4},
    {"ketama", "jenkins", "", {1, 2, 3, 10, 50}, "11111",
     "0444444444444444444443444443434342443244", {82, 324, 384, 1371, 7839}, 0x0d465418},
    {"ketama", "fnv1a_64", "{}", {1, 2, 3, 4, 5}, "11111",
     "2144214121331433143414331434143414311433", {865, 1613, 2291, 2551, 2680}, 0x1c015571},
    {"ketama", "md5", "$$", {1, 1, 1, 1, 1}, "11111",
     "4014141134131134221432001122434430322042", {2085, 2166, 2086, 1855, 1808}, 0x00f7f706},
    {"ketama", "fnv1a_64", "", {1000, 999, 1, 7, 333}, "11111",
     "1111110111101441100411401140141414011410", {4431, 4393, 0, 0, 1176}, 0xb60e0b60},
    {"modula", "crc32", "", {1, 2, 3, 10, 50}, "11111",
     "4334344444444444443244444444444434443414", {168, 305, 439, 1574, 7514}, 0x07fa6742},
    {"modula", "jenkins", "", {1, 1, 1, 1, 1}, "11111",
     "2133020242012110142333021040143311344411", {1975, 1963, 2013, 1970, 2079}, 0xed0be204},
    {"ketama", "fnv1a_64", "", {1, 1, 1, 1, 1}, "10101",
     "2424242424400442002404200442042404040420", {3237, 0, 4126, 0, 2637}, 0xfe3e5979},
    {"ketama", "murmur", "", {1, 2, 3, 10, 50}, "10101",
     "4444444244444444444444424444444444444444", {109, 0, 578, 0, 9313}, 0x595b10f9},
    {"ketama", "md5", "", {7, 1, 1, 1, 3}, "10101",
     "4004000044000040400000040000404000000040", {6742, 0, 729, 0, 2529}, 0x3687c9db},
    {"modula", "fnv1a_64", "", {1, 2, 3, 10, 50}, "10101",
     "4444444444444444444444444444444424444444", {154, 0, 566, 0, 9280}, 0x2cdb6165},
};
// clang-format on

// Plain ones, bytes above 127, hash tags of two kinds, and every length of the hashes' blocks.
std::string KeyOf(int i) {
  const std::string number = ToText(i);
  switch (i % 4) {
    case 0:
      return "key:" + number;
    case 1:
      return "\xff\x80key:" + number + "\xc3";
    case 2:
      return "user:{" + ToText(i % 700) + "}:x" + number;
    default:
      return "$" + number + "$" +
             std::string("abcdefghijklmnopqrstuvwxyz").substr(0, static_cast<size_t>(i) % 26);
  }
}

RingOptions OptionsOf(const Vector& vector) {
  return {.distribution = *ParseDistribution(vector.distribution),
          .hash = *ParseRingHash(vector.hash),
          .hash_tag = vector.hash_tag};
}

std::vector<RingNode> NodesOf(const std::array<uint32_t, kNodes>& weights) {
  std::vector<RingNode> nodes;
  for (size_t i = 0; i < kNodes; ++i) {
    nodes.push_back({.name = "server" + ToText(static_cast<int64_t>(i + 1)), .weight = weights[i]});
  }
  return nodes;
}

KetamaRing RingOf(RingOptions options, std::vector<RingNode> nodes) {
  Result<KetamaRing> ring = KetamaRing::Create(std::move(options), std::move(nodes));
  EXPECT_TRUE(ring.ok()) << ring.error().message;
  return std::move(*ring);
}

std::string Digits(const KetamaRing& ring) {
  std::string digits;
  for (int i = 0; i < kKeys; ++i) digits += static_cast<char>('0' + ring.NodeOf(KeyOf(i)));
  return digits;
}

std::string RefusalOf(RingOptions options, std::vector<RingNode> nodes) {
  Result<KetamaRing> ring = KetamaRing::Create(std::move(options), std::move(nodes));
  return ring.ok() ? "" : ring.error().message;
}

TEST(KetamaRingTest, KeysLandWhereTwemproxyPutsThem) {
  for (const Vector& vector : kVectors) {
    const std::string name = std::string(vector.distribution) + " " + vector.hash + " " +
                             vector.hash_tag + " " + vector.live + " " + vector.first;
    std::vector<bool> is_live;
    for (const char digit : std::string_view(vector.live)) is_live.push_back(digit == '1');
    const KetamaRing whole = RingOf(OptionsOf(vector), NodesOf(vector.weights));
    const KetamaRing ring = whole.WithLive(is_live);
    const std::string digits = Digits(ring);
    EXPECT_EQ(digits.substr(0, 40), vector.first) << name;
    for (size_t node = 0; node < kNodes; ++node) {
      EXPECT_EQ(std::count(digits.begin(), digits.end(), '0' + static_cast<char>(node)),
                vector.keys[node])
          << name;
    }
    EXPECT_EQ(HashForRing(RingHash::kFnv1aBits32, digits), vector.digest) << name;
    // Who comes back gets its keys again.
    EXPECT_EQ(Digits(ring.WithLive(std::vector<bool>(kNodes, true))), Digits(whole)) << name;
  }
}

TEST(KetamaRingTest, EjectionMovesOnlyTheKeysOfTheEjected) {
  const KetamaRing all = RingOf({}, NodesOf({1, 1, 1, 1, 1}));
  const KetamaRing four = all.WithLive({true, true, false, true, true});
  EXPECT_EQ(all.points(), 800U);
  EXPECT_EQ(four.points(), 640U);
  EXPECT_EQ(four.live_nodes(), 4U);
  const std::string before = Digits(all);
  const std::string after = Digits(four);
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] == '2') {
      EXPECT_NE(after[i], '2');
    } else {
      EXPECT_EQ(after[i], before[i]);
    }
  }
}

TEST(KetamaRingTest, WithoutALiveNodeKeysStay) {
  const KetamaRing last =
      RingOf({}, NodesOf({1, 1, 1, 1, 1})).WithLive({false, false, true, false, false});
  EXPECT_EQ(last.NodeOf("a"), 2U);
  const KetamaRing none = last.WithLive(std::vector<bool>(kNodes, false));
  EXPECT_EQ(none.live_nodes(), 0U);
  EXPECT_EQ(none.NodeOf("a"), 2U);
}

TEST(KetamaRingTest, HashTags) {
  const KetamaRing ring = RingOf({.hash_tag = "{}"}, NodesOf({1, 1, 1, 1, 1}));
  EXPECT_EQ(ring.HashedPart("a{b}c"), "b");
  EXPECT_EQ(ring.HashedPart("a{b}{c}"), "b");
  EXPECT_EQ(ring.HashedPart("a}b{c}"), "c");
  EXPECT_EQ(ring.HashedPart("a{}c{d}"), "a{}c{d}") << "an empty one does not count";
  EXPECT_EQ(ring.HashedPart("a{b"), "a{b");
  EXPECT_EQ(ring.HashedPart(""), "");
  EXPECT_EQ(ring.HashOf(""), 0U);
  const KetamaRing same = RingOf({.hash_tag = "$$"}, NodesOf({1, 1, 1, 1, 1}));
  EXPECT_EQ(same.HashedPart("a$b$c"), "b");
  EXPECT_EQ(RingOf({}, NodesOf({1, 1, 1, 1, 1})).HashedPart("a{b}c"), "a{b}c");
}

TEST(KetamaRingTest, RandomTakesAnyNumber) {
  const KetamaRing ring =
      RingOf({.distribution = Distribution::kRandom, .hash_tag = ""}, NodesOf({1, 2, 3, 4, 5}))
          .WithLive({true, false, true, false, true});
  EXPECT_EQ(ring.NodeOfHash(0), 0U);
  EXPECT_EQ(ring.NodeOfHash(1), 2U);
  EXPECT_EQ(ring.NodeOfHash(2), 4U);
  EXPECT_EQ(ring.NodeOfHash(UINT32_MAX), 0U);
}

TEST(KetamaRingTest, WhatIsNoRing) {
  EXPECT_EQ(RefusalOf({}, {}), "a ring needs nodes");
  EXPECT_EQ(RefusalOf({}, {{.name = "", .weight = 1}}), "a node's name of 0 bytes");
  EXPECT_EQ(RefusalOf({}, {{.name = std::string(262, 'x'), .weight = 1}}),
            "a node's name of 262 bytes");
  EXPECT_EQ(RefusalOf({}, {{.name = "a", .weight = 0}}), "node a has no weight");
  EXPECT_EQ(RefusalOf({.hash_tag = "{"}, {{.name = "a", .weight = 1}}),
            "hash tag '{' is not two characters");
  EXPECT_EQ(RefusalOf({}, {{.name = "a", .weight = 1}, {.name = "b", .weight = INT32_MAX}}),
            "the weights of a ring add up to too much");
  EXPECT_EQ(RefusalOf({}, std::vector<RingNode>(kRingNodesMax + 1, {.name = "a", .weight = 1})),
            "a ring of more than 4096 nodes");
}

TEST(KetamaRingTest, NamesOfNodes) {
  EXPECT_EQ(RingName("10.0.0.1", 6379), "10.0.0.1:6379");
  EXPECT_EQ(RingName("10.0.0.1", 11211), "10.0.0.1");
  EXPECT_EQ(RingName("/run/redis.sock", 0), "/run/redis.sock:");
}

TEST(RingHashTest, Names) {
  for (int i = 0; i < kRingHashCount; ++i) {
    const auto hash = static_cast<RingHash>(i);
    EXPECT_EQ(ParseRingHash(NameOf(hash)), hash);
  }
  EXPECT_EQ(ParseRingHash("sha1"), std::nullopt);
  EXPECT_EQ(ParseDistribution("modulo"), std::nullopt);
}

TEST(RingHashTest, EmptyAndLongKeys) {
  for (int i = 0; i < kRingHashCount; ++i) {
    const auto hash = static_cast<RingHash>(i);
    HashForRing(hash, "");
    // Whatever the alignment: some of the originals read words.
    const std::string text(1000, '\xe9');
    for (size_t shift = 1; shift < 4; ++shift) {
      const std::string shifted = std::string(shift, 'x') + text;
      EXPECT_EQ(HashForRing(hash, std::string_view(shifted).substr(shift)),
                HashForRing(hash, text));
    }
  }
  EXPECT_EQ(HashForRing(RingHash::kCrc32a, "123456789"), 0xcbf43926U) << "the usual check value";
  EXPECT_EQ(HashForRing(RingHash::kFnv1aBits32, "foobar"), 0xbf9cf968U);
}

// Of RFC 1321.
TEST(Md5Test, Rfc1321) {
  const auto hex = [](std::string_view text) {
    std::string out;
    for (const uint8_t byte : Md5(text)) {
      for (const int digit : {byte >> 4, byte & 15}) out += "0123456789abcdef"[digit];
    }
    return out;
  };
  EXPECT_EQ(hex(""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(hex("abc"), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(hex("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
  EXPECT_EQ(hex("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
            "d174ab98d277d9f5a5611c2c9f419d9f");
  EXPECT_EQ(hex("12345678901234567890123456789012345678901234567890123456789012345678901234567890"),
            "57edf4a22be3c955ac49da2e2107b67a");
}

}  // namespace
}  // namespace tidegate::topology
