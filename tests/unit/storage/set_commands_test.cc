#include <gtest/gtest.h>

#include <algorithm>
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

using Model = std::set<std::string>;

Model MembersOf(const RespValue& reply) {
  Model members;
  for (const RespValue& item : reply.items) {
    EXPECT_TRUE(members.insert(item.text).second) << item.text;
  }
  return members;
}
Model All(TestEngine& engine, const std::string& key) {
  return MembersOf(ParseResp(engine.RunWords({"SMEMBERS", key})));
}

TEST(SetCommandsTest, AddAskAndRemove) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("SADD s 1 2 x 2"), Integer(3));
  EXPECT_EQ(engine.Run("SISMEMBER s 2"), Integer(1));
  EXPECT_EQ(engine.Run("SISMEMBER s 02"), Integer(0));
  EXPECT_EQ(engine.Run("SMISMEMBER s x y"), "*2\r\n:1\r\n:0\r\n");
  EXPECT_EQ(engine.Run("SREM s x y"), Integer(1));
  EXPECT_EQ(engine.Run("SREM s 1 2"), Integer(2));
  EXPECT_EQ(engine.Run("EXISTS s"), Integer(0));
}

TEST(SetCommandsTest, TheEncodingFollowsTheRulesOfRedis72) {
  TestEngine engine;
  EngineSettings& settings = engine.engine().settings();
  settings.set_intset_entries_max = 4;
  settings.set_listpack_entries_max = 3;
  settings.set_listpack_value_bytes_max = 10;
  const auto encoding = [&](const std::string& key) {
    return ParseResp(engine.RunWords({"OBJECT", "ENCODING", key})).text;
  };
  engine.Run("SADD n 1 2 3");
  EXPECT_EQ(encoding("n"), "intset");
  engine.Run("SADD n 4");
  EXPECT_EQ(encoding("n"), "intset");
  engine.Run("SADD n 5");
  EXPECT_EQ(encoding("n"), "hashtable");
  engine.Run("SADD t a 1");
  EXPECT_EQ(encoding("t"), "listpack");
  engine.Run("SADD t b");
  EXPECT_EQ(encoding("t"), "listpack");
  engine.Run("SADD t c");
  EXPECT_EQ(encoding("t"), "hashtable");
  engine.Run("SADD mixed 1 2");
  engine.Run("EXPIRE mixed 50");
  engine.Run("SADD mixed x");
  EXPECT_EQ(encoding("mixed"), "listpack");
  EXPECT_EQ(engine.Run("TTL mixed"), Integer(50));
  engine.Run("SADD full 1 2 3");
  engine.Run("SADD full x");
  EXPECT_EQ(encoding("full"), "hashtable");
  engine.Run("SADD long 1");
  engine.Run("SADD long elevenbytes");
  EXPECT_EQ(encoding("long"), "hashtable");
  EXPECT_EQ(All(engine, "long"), (Model{"1", "elevenbytes"}));
  engine.Run("SADD wide 12345678901");
  engine.Run("SADD wide x");
  EXPECT_EQ(encoding("wide"), "hashtable");
  // Many at once go straight to a table.
  engine.Run("SADD many 1 2 3 4 5");
  EXPECT_EQ(encoding("many"), "hashtable");
  engine.Run("SUNIONSTORE d mixed long");
  EXPECT_EQ(encoding("d"), "hashtable");
  engine.Run("SADD numbers 1 2 y");
  engine.Run("SINTERSTORE d numbers mixed");
  EXPECT_EQ(encoding("d"), "intset");
}

TEST(SetCommandsTest, NotificationsAndChangesAreThoseOfRedis) {
  TestEngine engine;
  KeyEvents events(engine.engine());
  uint64_t before = engine.engine().Stats().changes;
  const auto changed = [&] {
    const uint64_t now = engine.engine().Stats().changes;
    return now - std::exchange(before, now);
  };
  engine.Run("SADD s a b c d");
  EXPECT_EQ(events.Take(), "sadd:s");
  EXPECT_EQ(changed(), 1u);
  engine.Run("SADD s a");
  engine.Run("SREM s x");
  engine.Run("SMOVE s t x");
  EXPECT_EQ(events.Take(), "");
  EXPECT_EQ(changed(), 0u);
  engine.Run("SREM s a x");
  EXPECT_EQ(events.Take(), "srem:s");
  engine.Run("SMOVE s t b");
  EXPECT_EQ(events.Take(), "srem:s sadd:t");
  EXPECT_EQ(changed(), 3u);
  engine.Run("SPOP s");
  EXPECT_EQ(events.Take(), "spop:s");
  engine.Run("SPOP s 5");
  EXPECT_EQ(events.Take(), "spop:s del:s");
  EXPECT_EQ(changed(), 2u);
  engine.Run("SADD u b");
  events.Take();
  engine.Run("SMOVE u t b");
  EXPECT_EQ(events.Take(), "srem:u del:u");
  engine.Run("SUNIONSTORE d t");
  engine.Run("SINTERSTORE d t t");
  engine.Run("SDIFFSTORE d t nosuch");
  EXPECT_EQ(events.Take(), "sunionstore:d sinterstore:d sdiffstore:d");
  engine.Run("SDIFFSTORE d t t");
  EXPECT_EQ(events.Take(), "del:d");
  engine.Run("SDIFFSTORE d t t");
  EXPECT_EQ(events.Take(), "");
}

TEST(SetCommandsTest, ScanFindsEveryMemberOnceWhileNothingChanges) {
  TestEngine engine;
  for (int i = 0; i < 3000; ++i) engine.RunWords({"SADD", "s", "m" + std::to_string(i)});
  Model seen;
  std::string cursor = "0";
  do {
    const RespValue reply = ParseResp(engine.RunWords({"SSCAN", "s", cursor, "COUNT", "70"}));
    cursor = reply.items[0].text;
    for (const RespValue& item : reply.items[1].items) {
      EXPECT_TRUE(seen.insert(item.text).second);
    }
  } while (cursor != "0");
  EXPECT_EQ(seen.size(), 3000u);
}

struct RandomCase {
  const char* prefix;
  int members;
};
class SetRandomTest : public ::testing::TestWithParam<RandomCase> {
 protected:
  void SetUp() override {
    for (int i = 0; i < GetParam().members; ++i) {
      engine_.RunWords({"SADD", "s", GetParam().prefix + std::to_string(i)});
    }
  }
  TestEngine engine_;
};

TEST_P(SetRandomTest, DrawsAreMembersAndDifferentWhenTheyShallBe) {
  const Model all = All(engine_, "s");
  const int size = GetParam().members;
  for (const int count : {1, 2, size / 10, size / 2, size - 1, size, size + 5}) {
    const Model drawn =
        MembersOf(ParseResp(engine_.RunWords({"SRANDMEMBER", "s", std::to_string(count)})));
    EXPECT_EQ(drawn.size(), static_cast<size_t>(std::min(count, size)));
    EXPECT_TRUE(std::includes(all.begin(), all.end(), drawn.begin(), drawn.end()));
  }
  const RespValue many = ParseResp(engine_.Run("SRANDMEMBER s -3000"));
  EXPECT_EQ(many.items.size(), 3000u);
  for (const RespValue& item : many.items) EXPECT_EQ(all.count(item.text), 1u);
}

TEST_P(SetRandomTest, PopsTakeEachMemberOnce) {
  Model left = All(engine_, "s");
  for (size_t count = 1; !left.empty(); count = count * 2 + 1) {
    const size_t size = left.size();
    const Model popped =
        count == 1 ? Model{ParseResp(engine_.Run("SPOP s")).text}
                   : MembersOf(ParseResp(engine_.RunWords({"SPOP", "s", std::to_string(count)})));
    for (const std::string& member : popped) EXPECT_EQ(left.erase(member), 1u) << member;
    EXPECT_EQ(left.size(), size - std::min(count, size));
    ASSERT_EQ(All(engine_, "s"), left);
  }
  EXPECT_EQ(engine_.Run("EXISTS s"), Integer(0));
  EXPECT_EQ(engine_.Run("SPOP s"), kNull);
}

INSTANTIATE_TEST_SUITE_P(Forms, SetRandomTest,
                         ::testing::Values(RandomCase{"", 100}, RandomCase{"m", 100},
                                           RandomCase{"", 2000}, RandomCase{"member:", 2000}));

// Random commands over a few sets, against std::set.
class SetModelTest : public ::testing::TestWithParam<int> {
 protected:
  static constexpr unsigned kSets = 4;

  std::string Member() {
    switch (Pick(4)) {
      case 0:
        return std::to_string(static_cast<int64_t>(Pick(80)) - 40);
      case 1:
        return std::to_string((int64_t{1} << Pick(62)) + Pick(3));
      case 2:
        return Pick(20) == 0 ? std::string(Pick(3000), 'L') : "00" + std::to_string(Pick(9));
      default:
        return "member:" + std::to_string(Pick(60));
    }
  }
  // Integers alone for the first set, so that intsets last for a while.
  std::string MemberFor(unsigned set) {
    return set == 0 ? std::to_string(static_cast<int64_t>(Pick(400)) - 200) : Member();
  }
  unsigned Pick(unsigned n) { return static_cast<unsigned>(random_() % n); }
  static std::string Key(unsigned set) { return "s" + std::to_string(set); }

  void Algebra() {
    const unsigned a = Pick(kSets);
    const unsigned b = Pick(kSets);
    const unsigned c = Pick(kSets);
    Model both;
    Model either = models_[a];
    Model only;
    for (const std::string& member : models_[a]) {
      if (models_[b].count(member) != 0) both.insert(member);
      if (models_[b].count(member) == 0 && models_[c].count(member) == 0) only.insert(member);
    }
    either.insert(models_[b].begin(), models_[b].end());
    const auto run = [&](const char* command, bool third) {
      std::vector<std::string> words = {command, Key(a), Key(b)};
      if (third) words.push_back(Key(c));
      return MembersOf(ParseResp(engine_.RunWords(words)));
    };
    EXPECT_EQ(run("SINTER", false), both);
    EXPECT_EQ(run("SUNION", false), either);
    EXPECT_EQ(run("SDIFF", true), only);
    EXPECT_EQ(engine_.RunWords({"SINTERCARD", "2", Key(a), Key(b)}),
              Integer(static_cast<int64_t>(both.size())));
    const unsigned target = Pick(kSets);
    if (Pick(10) != 0) return;
    EXPECT_EQ(engine_.RunWords({"SINTERSTORE", Key(target), Key(a), Key(b)}),
              Integer(static_cast<int64_t>(both.size())));
    models_[target] = both;
  }

  void Step() {
    const unsigned set = Pick(kSets);
    const std::string member = MemberFor(set);
    Model& model = models_[set];
    switch (Pick(8)) {
      case 0:
      case 1:
      case 2:
        EXPECT_EQ(engine_.RunWords({"SADD", Key(set), member}),
                  Integer(model.insert(member).second ? 1 : 0));
        break;
      case 3: {
        const std::string other = MemberFor(set);
        engine_.RunWords({"SADD", Key(set), member, other, member});
        model.insert({member, other});
        break;
      }
      case 4:
        EXPECT_EQ(engine_.RunWords({"SREM", Key(set), member}),
                  Integer(static_cast<int64_t>(model.erase(member))));
        break;
      case 5:
        EXPECT_EQ(engine_.RunWords({"SISMEMBER", Key(set), member}),
                  Integer(static_cast<int64_t>(model.count(member))));
        break;
      case 6: {
        const unsigned to = Pick(kSets);
        const bool there = model.count(member) != 0;
        EXPECT_EQ(engine_.RunWords({"SMOVE", Key(set), Key(to), member}), Integer(there ? 1 : 0));
        if (there) {
          model.erase(member);
          models_[to].insert(member);
        }
        break;
      }
      default:
        if (Pick(10) == 0) {
          Algebra();
        } else if (const RespValue popped = ParseResp(engine_.RunWords({"SPOP", Key(set)}));
                   !popped.is_null()) {
          EXPECT_EQ(model.erase(popped.text), 1u);
        }
    }
  }

  TestEngine engine_;
  std::mt19937_64 random_{static_cast<uint64_t>(GetParam()) + 5};
  Model models_[kSets];
};

TEST_P(SetModelTest, AgreesWithSets) {
  engine_.engine().settings().set_listpack_entries_max = static_cast<uint64_t>(GetParam());
  engine_.engine().settings().set_intset_entries_max = static_cast<uint64_t>(GetParam()) * 2;
  for (int step = 0; step < 12'000; ++step) {
    Step();
    if (step % 300 == 0) {
      for (unsigned set = 0; set < kSets; ++set) ASSERT_EQ(All(engine_, Key(set)), models_[set]);
    }
    if (Pick(1000) == 0) {
      const unsigned set = Pick(kSets);
      engine_.RunWords({"DEL", Key(set)});
      models_[set].clear();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Thresholds, SetModelTest, ::testing::Values(0, 5, 30, 128, 1000));

}  // namespace
}  // namespace tidegate
