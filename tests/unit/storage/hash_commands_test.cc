#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/engine_fixture.h"
#include "tests/support/key_events.h"
#include "tests/support/resp_value.h"

namespace tidegate {
namespace {

using testing::Bulk;
using testing::Integer;
using testing::KeyEvents;
using testing::kNull;
using testing::kOk;
using testing::ParseResp;
using testing::RespValue;
using testing::TestEngine;

constexpr std::string_view kWrongType =
    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

using Model = std::map<std::string, std::string>;

Model All(TestEngine& engine, const std::string& key) {
  const RespValue reply = ParseResp(engine.RunWords({"HGETALL", key}));
  Model all;
  for (size_t i = 0; i + 1 < reply.items.size(); i += 2) {
    EXPECT_TRUE(all.emplace(reply.items[i].text, reply.items[i + 1].text).second);
  }
  return all;
}

TEST(HashCommandsTest, SetThenGet) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("HSET h a 1 b two a 3"), Integer(2));
  EXPECT_EQ(engine.Run("HGET h a"), Bulk("3"));
  EXPECT_EQ(engine.Run("HGET h nosuch"), kNull);
  EXPECT_EQ(engine.Run("HMGET h b nosuch a"), "*3\r\n$3\r\ntwo\r\n$-1\r\n$1\r\n3\r\n");
  EXPECT_EQ(engine.Run("HLEN h"), Integer(2));
  EXPECT_EQ(engine.Run("HSTRLEN h b"), Integer(3));
  EXPECT_EQ(engine.Run("HDEL h a b"), Integer(2));
  EXPECT_EQ(engine.Run("EXISTS h"), Integer(0));
  EXPECT_EQ(engine.Run("SET s x"), kOk);
  EXPECT_EQ(engine.Run("HSET s a 1"), kWrongType);
  EXPECT_EQ(engine.Run("HSET s a 1 b"), "-ERR wrong number of arguments for 'hset' command\r\n");
}

TEST(HashCommandsTest, ValuesOfAllSizesComeBack) {
  TestEngine engine;
  engine.engine().settings().hash_listpack_value_bytes_max = 5000;
  for (const size_t size : {0, 1, 63, 64, 500, 1000, 4095, 4096, 5001, 20'000, 3, 100'000, 900}) {
    const std::string value(size, static_cast<char>('a' + size % 26));
    engine.RunWords({"HSET", "h", "field", value});
    EXPECT_EQ(engine.Run("HGET h field"), Bulk(value)) << size;
    EXPECT_EQ(engine.Run("HSTRLEN h field"), Integer(static_cast<int64_t>(size)));
    engine.RunWords({"HSET", "names", value, "v"});
    EXPECT_EQ(engine.RunWords({"HGET", "names", value}), Bulk("v")) << size;
  }
  EXPECT_EQ(engine.Run("HLEN names"), Integer(13));
}

TEST(HashCommandsTest, AValueThatIsTooLargeForAnIntegerIsNone) {
  TestEngine engine;
  engine.RunWords({"HSET", "h", "f", std::string(5000, '1')});
  EXPECT_EQ(engine.Run("HINCRBY h f 1"), "-ERR hash value is not an integer\r\n");
  EXPECT_EQ(engine.Run("HINCRBYFLOAT h f x"), "-ERR value is not a valid float\r\n");
}

TEST(HashCommandsTest, TheEncodingFollowsTheThresholds) {
  TestEngine engine;
  engine.engine().settings().hash_listpack_entries_max = 3;
  engine.Run("HSET h a 1 b 2 c 3");
  EXPECT_EQ(engine.Run("OBJECT ENCODING h"), Bulk("listpack"));
  engine.Run("HSET h c 4");
  EXPECT_EQ(engine.Run("OBJECT ENCODING h"), Bulk("listpack"));
  engine.Run("EXPIRE h 100");
  engine.Run("HINCRBY h d 5");
  EXPECT_EQ(engine.Run("OBJECT ENCODING h"), Bulk("hashtable"));
  EXPECT_EQ(All(engine, "h"), (Model{{"a", "1"}, {"b", "2"}, {"c", "4"}, {"d", "5"}}));
  EXPECT_EQ(engine.Run("TTL h"), Integer(100));
  engine.Run("HSET many a 1 b 2 c 3 d 4");
  EXPECT_EQ(engine.Run("OBJECT ENCODING many"), Bulk("hashtable"));
}

TEST(HashCommandsTest, NotificationsAndChangesAreThoseOfRedis) {
  TestEngine engine;
  KeyEvents events(engine.engine());
  const auto changes = [&] { return engine.engine().Stats().changes; };
  uint64_t before = changes();
  const auto changed = [&] {
    const uint64_t now = changes();
    return now - std::exchange(before, now);
  };
  engine.Run("HSET h a 1 b 2");
  EXPECT_EQ(events.Take(), "hset:h");
  EXPECT_EQ(changed(), 1u);
  engine.Run("HMSET h a 1");
  EXPECT_EQ(events.Take(), "hset:h");
  engine.Run("HSETNX h c 1");
  EXPECT_EQ(events.Take(), "hset:h");
  EXPECT_EQ(changed(), 2u);
  engine.Run("HSETNX h c 1");
  engine.Run("HDEL h nosuch");
  engine.Run("HINCRBY h a x");
  EXPECT_EQ(events.Take(), "");
  EXPECT_EQ(changed(), 0u);
  engine.Run("HINCRBY h a 1");
  engine.Run("HINCRBYFLOAT h a 1");
  EXPECT_EQ(events.Take(), "hincrby:h hincrbyfloat:h");
  engine.Run("HDEL h a nosuch b");
  EXPECT_EQ(events.Take(), "hdel:h");
  EXPECT_EQ(changed(), 3u);
  engine.Run("HDEL h c");
  EXPECT_EQ(events.Take(), "hdel:h del:h");
  EXPECT_EQ(changed(), 1u);
}

TEST(HashCommandsTest, ScanFindsEveryFieldOnceWhileNothingChanges) {
  TestEngine engine;
  for (int i = 0; i < 3000; ++i) {
    engine.RunWords({"HSET", "h", "f" + std::to_string(i), std::to_string(i)});
  }
  std::set<std::string> seen;
  std::string cursor = "0";
  int calls = 0;
  do {
    const RespValue reply = ParseResp(engine.RunWords({"HSCAN", "h", cursor, "COUNT", "50"}));
    cursor = reply.items[0].text;
    const auto& found = reply.items[1].items;
    for (size_t i = 0; i < found.size(); i += 2) {
      EXPECT_EQ(found[i].text, "f" + found[i + 1].text);
      EXPECT_TRUE(seen.insert(found[i].text).second);
    }
    ++calls;
  } while (cursor != "0");
  EXPECT_EQ(seen.size(), 3000u);
  EXPECT_GT(calls, 40);
  const RespValue names = ParseResp(engine.Run("HSCAN h 0 COUNT 100000 MATCH f299* NOVALUES"));
  EXPECT_EQ(names.items[1].items.size(), 11u);
}

class HashRandomTest : public ::testing::TestWithParam<int> {};

TEST_P(HashRandomTest, DrawsAreFieldsAndDifferentWhenTheyShallBe) {
  TestEngine engine;
  const int fields = GetParam();
  for (int i = 0; i < fields; ++i) {
    engine.RunWords({"HSET", "h", "f" + std::to_string(i), std::to_string(i)});
  }
  for (const int count : {1, 2, fields / 10, fields / 2, fields - 1, fields, fields + 5}) {
    const RespValue reply =
        ParseResp(engine.RunWords({"HRANDFIELD", "h", std::to_string(count), "WITHVALUES"}));
    std::set<std::string> seen;
    for (size_t i = 0; i < reply.items.size(); i += 2) {
      EXPECT_EQ(reply.items[i].text, "f" + reply.items[i + 1].text);
      EXPECT_TRUE(seen.insert(reply.items[i].text).second);
    }
    EXPECT_EQ(seen.size(), static_cast<size_t>(std::min(count, fields)));
  }
  const RespValue many = ParseResp(engine.RunWords({"HRANDFIELD", "h", "-2000"}));
  EXPECT_EQ(many.items.size(), 2000u);
  std::map<std::string, int> times;
  for (const RespValue& item : many.items) ++times[item.text];
  // About 2000 / fields each.
  if (fields == 20) {
    EXPECT_EQ(times.size(), 20u);
    for (const auto& [field, count] : times) EXPECT_GT(count, 40) << field;
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, HashRandomTest, ::testing::Values(20, 500, 2000));

// Random commands against a map.
class HashModelTest : public ::testing::TestWithParam<int> {
 protected:
  unsigned Pick(unsigned n) { return random_() % n; }
  std::string Field() { return "field:" + std::to_string(Pick(GetParam() < 100 ? 60 : 900)); }
  std::string Text() {
    switch (Pick(5)) {
      case 0:
        return std::to_string(static_cast<int32_t>(random_()) % 1000);
      case 1:
        return std::string(Pick(100), static_cast<char>('a' + Pick(26)));
      case 2:
        return std::to_string(random_()) + std::to_string(random_());
      case 3:
        return Pick(40) == 0 ? std::string(Pick(5000), 'L') : std::string("short");
      default:
        return "value" + std::to_string(Pick(1000));
    }
  }

  void Step() {
    const std::string field = Field();
    const std::string value = Text();
    const auto at = model_.find(field);
    const bool there = at != model_.end();
    switch (Pick(8)) {
      case 0:
      case 1:
        EXPECT_EQ(engine_.RunWords({"HSET", "h", field, value}), Integer(there ? 0 : 1));
        model_[field] = value;
        break;
      case 2: {
        const std::string other = Field();
        engine_.RunWords({"HSET", "h", field, "first", other, value, field, value});
        model_[field] = model_[other] = value;
        break;
      }
      case 3:
        EXPECT_EQ(engine_.RunWords({"HSETNX", "h", field, value}), Integer(there ? 0 : 1));
        model_.emplace(field, value);
        break;
      case 4:
      case 5:
        EXPECT_EQ(engine_.RunWords({"HDEL", "h", field}), Integer(there ? 1 : 0));
        model_.erase(field);
        break;
      case 6:
        EXPECT_EQ(engine_.RunWords({"HGET", "h", field}),
                  there ? Bulk(at->second) : std::string(kNull));
        break;
      default: {
        const std::string reply = engine_.RunWords({"HINCRBY", "h", field, "7"});
        if (reply[0] == ':') model_[field] = reply.substr(1, reply.size() - 3);
      }
    }
  }

  TestEngine engine_;
  std::mt19937 random_{static_cast<unsigned>(GetParam()) + 1};
  Model model_;
};

TEST_P(HashModelTest, AgreesWithAMap) {
  engine_.engine().settings().hash_listpack_entries_max = static_cast<uint64_t>(GetParam());
  for (int step = 0; step < 12'000; ++step) {
    Step();
    if (step % 500 == 0) {
      ASSERT_EQ(All(engine_, "h"), model_) << step;
    }
    if (Pick(4000) == 0) {
      engine_.Run("DEL h");
      model_.clear();
    }
  }
  EXPECT_EQ(All(engine_, "h"), model_);
  EXPECT_EQ(engine_.Run("HLEN h"), Integer(static_cast<int64_t>(model_.size())));
  engine_.Run("COPY h copy");
  EXPECT_EQ(All(engine_, "copy"), model_);
}

INSTANTIATE_TEST_SUITE_P(Thresholds, HashModelTest, ::testing::Values(0, 10, 40, 512, 5000));

}  // namespace
}  // namespace tidegate
