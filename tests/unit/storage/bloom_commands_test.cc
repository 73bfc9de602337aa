#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "storage/rdb/crc64.h"
#include "storage/rdb/rdb_writer.h"
#include "storage/value/bloom_filter.h"
#include "tests/support/engine_fixture.h"

namespace tidegate {
namespace {

using testing::Bulk;
using testing::Integer;
using testing::kOk;
using testing::TestEngine;

std::string Item(const char* kind, uint64_t i) { return kind + std::to_string(i); }

struct FilterDeleter {
  void operator()(BloomFilter* filter) const { BloomFilter::Destroy(filter); }
};
using FilterPtr = std::unique_ptr<BloomFilter, FilterDeleter>;

FilterPtr Make(const BloomFilter::Options& options) {
  return FilterPtr(BloomFilter::Create(options, 0));
}

// How often items that were not added seem to be there.
double FalsePositiveRate(const BloomFilter& filter) {
  constexpr uint64_t kProbes = 100'000;
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < kProbes; ++i) wrong += filter.Contains(Item("absent:", i)) ? 1 : 0;
  return static_cast<double>(wrong) / kProbes;
}

TEST(BloomFilterTest, WhatWasAddedIsThereAndFewOthersAre) {
  struct Case {
    uint64_t capacity;
    double error_rate;
    bool scales;
    uint64_t items;
  };
  // One page, several pages, several layers.
  for (const Case& c : {Case{1000, 0.01, false, 1000}, Case{100'000, 0.01, false, 100'000},
                        Case{100'000, 0.001, true, 100'000}, Case{100, 0.01, true, 50'000},
                        Case{20'000, 0.05, true, 100'000}}) {
    const FilterPtr filter =
        Make({.capacity = c.capacity, .error_rate = c.error_rate, .scales = c.scales});
    uint64_t added = 0;
    for (uint64_t i = 0; i < c.items; ++i)
      added += filter->Add(Item("item:", i)) == BloomFilter::Added::kNew ? 1 : 0;
    EXPECT_EQ(filter->size(), added);
    EXPECT_GE(static_cast<double>(added), static_cast<double>(c.items) * (1 - 3 * c.error_rate));
    for (uint64_t i = 0; i < c.items; ++i) ASSERT_TRUE(filter->Contains(Item("item:", i)));
    const double rate = FalsePositiveRate(*filter);
    EXPECT_LE(rate, c.error_rate * 1.3) << c.capacity;
    if (!c.scales) EXPECT_GE(rate, c.error_rate * 0.4) << c.capacity;
  }
}

TEST(BloomFilterTest, OneThatDoesNotScaleIsFull) {
  const FilterPtr filter = Make({.capacity = 10, .scales = false});
  uint64_t next = 0;
  while (filter->size() < 10) (void)filter->Add(Item("", next++));
  EXPECT_EQ(filter->Add("one more"), BloomFilter::Added::kFull);
  EXPECT_EQ(filter->Add("0"), BloomFilter::Added::kPresent);
  EXPECT_EQ(filter->size(), 10);
}

TEST(BloomFilterTest, ReservedRoomIsFreeUntilItIsUsed) {
  const FilterPtr filter = Make({.capacity = 1'000'000'000});
  ASSERT_NE(filter, nullptr);
  EXPECT_GT(filter->bit_bytes(), 1'000'000'000);
  EXPECT_LT(filter->allocated_bytes(), 4'000'000);
  EXPECT_EQ(filter->Add("a"), BloomFilter::Added::kNew);
  EXPECT_TRUE(filter->Contains("a"));
  EXPECT_FALSE(filter->Contains("b"));
  EXPECT_EQ(Make({.capacity = uint64_t{1} << 62}), nullptr);
}

TEST(BloomFilterTest, AFilterOfManyLayersStaysRight) {
  const FilterPtr filter = Make({.capacity = 4, .expansion = 1});
  for (uint64_t i = 0; i < 400; ++i) (void)filter->Add(Item("item:", i));
  EXPECT_GT(filter->layer_count(), 90);
  for (uint64_t i = 0; i < 400; ++i) EXPECT_TRUE(filter->Contains(Item("item:", i)));
  EXPECT_LE(FalsePositiveRate(*filter), 0.013);
}

TEST(BloomFilterTest, ACloneIsAnotherFilter) {
  const FilterPtr filter = Make({});
  for (uint64_t i = 0; i < 500; ++i) (void)filter->Add(Item("item:", i));
  const FilterPtr clone(filter->Clone());
  EXPECT_EQ(clone->DumpHeader(), filter->DumpHeader());
  for (uint64_t i = 0; i < 500; ++i) EXPECT_TRUE(clone->Contains(Item("item:", i)));
  for (uint64_t i = 500; i < 600; ++i) (void)clone->Add(Item("item:", i));
  EXPECT_LT(filter->size(), clone->size());
}

TEST(BloomFilterTest, FreesInSteps) {
  BloomFilter* filter = BloomFilter::Create({.capacity = 10}, 0);
  for (uint64_t i = 0; i < 1000; ++i) (void)filter->Add(Item("", i));
  int steps = 1;
  while (!BloomFilter::FreeSome(filter, 1)) ++steps;
  EXPECT_GT(steps, 3);
}

TEST(BloomFilterTest, HeadersThatAreNoneAreRefused) {
  const FilterPtr filter = Make({.capacity = 50'000});
  for (uint64_t i = 0; i < 120'000; ++i) (void)filter->Add(Item("", i));
  const std::string header = filter->DumpHeader();
  const FilterPtr copy(BloomFilter::FromHeader(header, 0));
  ASSERT_NE(copy, nullptr);
  EXPECT_EQ(copy->DumpHeader(), header);
  for (size_t size = 0; size < header.size(); ++size)
    EXPECT_EQ(BloomFilter::FromHeader(std::string_view(header).substr(0, size), 0), nullptr);
  EXPECT_EQ(BloomFilter::FromHeader(header + "x", 0), nullptr);
  // Any byte may be wrong: what is made of it must still be a filter.
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    std::string wrong = header;
    wrong[random() % wrong.size()] = static_cast<char>(random());
    const FilterPtr made(BloomFilter::FromHeader(wrong, 0));
    if (made == nullptr) continue;
    (void)made->Add("item");
    (void)made->Contains("other");
  }
}

TEST(BloomCommandsTest, RepliesFollowTheProtocol) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("BF.ADD b a"), Integer(1));
  EXPECT_EQ(engine.Run("BF.ADD b a"), Integer(0));
  EXPECT_EQ(engine.Run("BF.MADD b a c"), "*2\r\n:0\r\n:1\r\n");
  EXPECT_EQ(engine.Run("TYPE b"), "+MBbloom--\r\n");
  EXPECT_EQ(engine.Run("OBJECT ENCODING b"), Bulk("raw"));
  engine.UseResp3();
  EXPECT_EQ(engine.Run("BF.ADD b a"), "#f\r\n");
  EXPECT_EQ(engine.Run("BF.EXISTS b a"), "#t\r\n");
  EXPECT_EQ(engine.Run("BF.MEXISTS b a x"), "*2\r\n#t\r\n#f\r\n");
  EXPECT_EQ(engine.Run("BF.INFO b"),
            "%5\r\n+Capacity\r\n:100\r\n+Size\r\n:240\r\n+Number of filters\r\n:1\r\n"
            "+Number of items inserted\r\n:2\r\n+Expansion rate\r\n:2\r\n");
}

TEST(BloomCommandsTest, GenericCommandsKnowTheType) {
  TestEngine engine;
  for (int i = 0; i < 5000; ++i) engine.Run("BF.ADD b " + std::to_string(i));
  EXPECT_EQ(engine.Run("COPY b c"), Integer(1));
  EXPECT_EQ(engine.Run("RENAME b d"), kOk);
  EXPECT_EQ(engine.Run("BF.EXISTS c 4999"), Integer(1));
  EXPECT_EQ(engine.Run("BF.EXISTS d 4999"), Integer(1));
  EXPECT_EQ(engine.Run("EXPIRE d 10"), Integer(1));
  EXPECT_EQ(engine.Run("BF.EXISTS d 17"), Integer(1));
  engine.AdvanceMs(11'000);
  EXPECT_EQ(engine.Run("BF.EXISTS d 17"), Integer(0));
  EXPECT_NE(engine.Run("MEMORY USAGE c"), std::string(testing::kNull));
  EXPECT_EQ(engine.Run("GET c").substr(0, 10), "-WRONGTYPE");
  EXPECT_EQ(engine.Run("SET c text"), kOk);
  EXPECT_EQ(engine.Run("BF.ADD c a").substr(0, 10), "-WRONGTYPE");
  EXPECT_EQ(engine.Run("UNLINK c"), Integer(1));
}

// The bytes of a bulk string reply.
std::string BulkOf(const std::string& reply) {
  const size_t header = reply.find("\r\n") + 2;
  return reply.substr(header, reply.size() - header - 2);
}

TEST(BloomCommandsTest, RestoreMakesTheSameFilterOfWhatDumpGave) {
  TestEngine engine;
  // Several layers; and a large one with hardly a bit, which must not become large by this.
  for (int i = 0; i < 5000; ++i) engine.Run("BF.ADD b " + std::to_string(i));
  engine.Run("BF.RESERVE sparse 0.01 100000000 NONSCALING");
  engine.Run("BF.MADD sparse a b c");
  for (const std::string key : {"b", "sparse"}) {
    const std::string dump = BulkOf(engine.Run("DUMP " + key));
    EXPECT_LT(dump.size(), 40'000u);
    EXPECT_EQ(engine.RunWords({"RESTORE", "copy", "0", dump, "REPLACE"}), kOk);
    EXPECT_EQ(engine.Run("BF.INFO copy"), engine.Run("BF.INFO " + key));
    EXPECT_EQ(engine.Run("MEMORY USAGE copy SAMPLES 0").size(),
              engine.Run("MEMORY USAGE " + key + " SAMPLES 0").size());
    EXPECT_EQ(BulkOf(engine.Run("DUMP copy")), dump);
    for (int i = 0; i < 6000; ++i) {
      const std::string item = std::to_string(i);
      ASSERT_EQ(engine.Run("BF.EXISTS copy " + item), engine.Run("BF.EXISTS " + key + " " + item));
    }
  }
  EXPECT_EQ(engine.Run("BF.MEXISTS copy a b c"), "*3\r\n:1\r\n:1\r\n:1\r\n");
}

TEST(BloomCommandsTest, RestoreRefusesABrokenFilterAndLeavesTheKey) {
  TestEngine engine;
  engine.Run("BF.MADD b x y z");
  engine.Run("SET key old");
  const std::string dump = BulkOf(engine.Run("DUMP b"));
  const std::string body = dump.substr(0, dump.size() - 10);
  for (size_t cut = 1; cut < body.size(); ++cut) {
    std::string payload = body.substr(0, cut);
    rdb::RdbWriter out(payload);
    out.Fixed16(10);
    out.Fixed64(rdb::Crc64(0, payload));
    EXPECT_EQ(engine.RunWords({"RESTORE", "key", "0", payload, "REPLACE"}),
              "-ERR Bad data format\r\n")
        << cut;
  }
  EXPECT_EQ(engine.Run("GET key"), "$3\r\nold\r\n");
}

TEST(BloomCommandsTest, ADumpMakesTheSameFilter) {
  TestEngine engine;
  engine.Run("BF.RESERVE b 0.001 3000");
  for (int i = 0; i < 200'000; ++i) engine.Run("BF.ADD b " + std::to_string(i));
  std::string iterator = "0";
  int pieces = 0;
  for (;; ++pieces) {
    // *2 :iterator $size data
    const std::string reply = engine.RunWords({"BF.SCANDUMP", "b", iterator});
    const size_t colon = reply.find(':');
    const size_t dollar = reply.find('$', colon);
    iterator = reply.substr(colon + 1, dollar - colon - 3);
    if (iterator == "0") break;
    const size_t data = reply.find('\n', dollar) + 1;
    const std::string piece = reply.substr(data, reply.size() - data - 2);
    ASSERT_EQ(engine.RunWords({"BF.LOADCHUNK", "c", iterator, piece}), kOk);
  }
  EXPECT_GT(pieces, 3);
  EXPECT_EQ(engine.Run("BF.INFO b"), engine.Run("BF.INFO c"));
  for (int i = 0; i < 200'000; i += 17)
    ASSERT_EQ(engine.Run("BF.EXISTS c " + std::to_string(i)), Integer(1));
  for (int i = 200'000; i < 210'000; ++i) {
    const std::string item = std::to_string(i);
    ASSERT_EQ(engine.Run("BF.EXISTS c " + item), engine.Run("BF.EXISTS b " + item));
  }
}

// Random commands against a set: what was added is there, and counts agree with the replies.
TEST(BloomCommandsTest, AgreesWithASet) {
  TestEngine engine;
  std::mt19937 random(3);
  std::unordered_set<std::string> model;
  int64_t added = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string item = std::to_string(random() % 8000);
    if (random() % 3 == 0) {
      const bool known = model.count(item) > 0;
      const std::string reply = engine.Run("BF.EXISTS b " + item);
      if (known) ASSERT_EQ(reply, Integer(1));
    } else {
      const bool known = !model.insert(item).second;
      const std::string reply = engine.Run("BF.ADD b " + item);
      if (known) ASSERT_EQ(reply, Integer(0));
      added += reply == Integer(1) ? 1 : 0;
    }
  }
  EXPECT_EQ(engine.Run("BF.CARD b"), Integer(added));
  EXPECT_GT(added, static_cast<int64_t>(model.size()) * 97 / 100);
}

}  // namespace
}  // namespace tidegate
