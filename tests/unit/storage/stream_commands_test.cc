#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "storage/value/radix_nodes.h"
#include "storage/value/stream.h"
#include "tests/support/engine_fixture.h"

namespace tidegate {
namespace {

using testing::Bulk;
using testing::Integer;
using testing::kNull;
using testing::kOk;
using testing::TestEngine;

TEST(StreamIdTest, ReadsWhatRedisReads) {
  const auto parse = [](std::string_view text, StreamIdForm form = StreamIdForm::kStrict) {
    return ParseStreamId(text, 7, form);
  };
  EXPECT_EQ(parse("5")->id, (StreamId{5, 7}));
  EXPECT_EQ(parse("5-3")->id, (StreamId{5, 3}));
  EXPECT_EQ(parse("05-003")->id, (StreamId{5, 3}));
  EXPECT_EQ(parse("18446744073709551615-18446744073709551615")->id, StreamId::Max());
  EXPECT_FALSE(parse("5-*", StreamIdForm::kStrictWithStar)->has_seq);
  EXPECT_EQ(parse("+", StreamIdForm::kRange)->id, StreamId::Max());
  EXPECT_EQ(parse("-", StreamIdForm::kRange)->id, StreamId{});
  for (const char* text : {"", "-", "+", "5-", "-5", "x", "5-x", "5-*", "18446744073709551616"})
    EXPECT_FALSE(parse(text)) << text;
  EXPECT_FALSE(StreamId::Max().Next());
  EXPECT_FALSE(StreamId{}.Previous());
  EXPECT_EQ((StreamId{1, UINT64_MAX}.Next()), (StreamId{2, 0}));
  EXPECT_EQ((StreamId{2, 0}.Previous()), (StreamId{1, UINT64_MAX}));
}

TEST(StreamCommandsTest, AnEntryGetsItsIdFromTheClock) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("XADD s * a 1"), Bulk("1700000000000-0"));
  EXPECT_EQ(engine.Run("XADD s * a 2"), Bulk("1700000000000-1"));
  engine.AdvanceMs(5);
  EXPECT_EQ(engine.Run("XADD s * a 3"), Bulk("1700000000005-0"));
  engine.AdvanceMs(-100);  // a clock that goes back
  EXPECT_EQ(engine.Run("XADD s * a 4"), Bulk("1700000000005-1"));
  EXPECT_EQ(engine.Run("XLEN s"), Integer(4));
}

TEST(StreamCommandsTest, IdleTimesComeFromTheClock) {
  TestEngine engine;
  EXPECT_EQ(engine.Run("XADD s 1 a 1"), Bulk("1-0"));
  EXPECT_EQ(engine.Run("XGROUP CREATE s g 0"), kOk);
  engine.Run("XREADGROUP GROUP g alice STREAMS s >");
  engine.AdvanceMs(250);
  EXPECT_EQ(engine.Run("XPENDING s g - + 10"),
            "*1\r\n*4\r\n$3\r\n1-0\r\n$5\r\nalice\r\n:250\r\n:1\r\n");
  EXPECT_EQ(engine.Run("XPENDING s g IDLE 251 - + 10"), "*0\r\n");
  EXPECT_EQ(engine.Run("XCLAIM s g bob 251 1 JUSTID"), "*0\r\n");
  EXPECT_EQ(engine.Run("XCLAIM s g bob 250 1 JUSTID"), "*1\r\n$3\r\n1-0\r\n");
  EXPECT_EQ(engine.Run("XINFO CONSUMERS s g"),
            "*2\r\n*8\r\n$4\r\nname\r\n$5\r\nalice\r\n$7\r\npending\r\n:0\r\n$4\r\nidle\r\n:250\r\n"
            "$8\r\ninactive\r\n:250\r\n"
            "*8\r\n$4\r\nname\r\n$3\r\nbob\r\n$7\r\npending\r\n:1\r\n$4\r\nidle\r\n:0\r\n"
            "$8\r\ninactive\r\n:0\r\n");
}

TEST(StreamCommandsTest, TrimsWholePagesOrToTheEntry) {
  TestEngine engine;
  engine.engine().settings().stream_node_entries_max = 10;
  for (int i = 1; i <= 100; ++i) engine.Run("XADD s " + std::to_string(i) + " a 1");
  EXPECT_EQ(engine.Run("XTRIM s MAXLEN ~ 75"), Integer(20));
  EXPECT_EQ(engine.Run("XTRIM s MAXLEN 75"), Integer(5));
  EXPECT_EQ(engine.Run("XTRIM s MINID ~ 45 LIMIT 10"), Integer(5));
  EXPECT_EQ(engine.Run("XTRIM s MINID ~ 45"), Integer(10));
  EXPECT_EQ(engine.Run("XTRIM s MINID 45"), Integer(4));
  EXPECT_EQ(engine.Run("XLEN s"), Integer(56));
  EXPECT_EQ(engine.Run("XRANGE s - + COUNT 1"),
            "*1\r\n*2\r\n$4\r\n45-0\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n");
}

TEST(StreamCommandsTest, ANewConsumerHasNotBeenActive) {
  TestEngine engine;
  engine.Run("XGROUP CREATE s g 0 MKSTREAM");
  engine.Run("XGROUP CREATECONSUMER s g alice");
  engine.AdvanceMs(100);
  const auto info = [](int idle, int inactive) {
    return "*1\r\n*8\r\n$4\r\nname\r\n$5\r\nalice\r\n$7\r\npending\r\n:0\r\n$4\r\nidle\r\n" +
           Integer(idle) + "$8\r\ninactive\r\n" + Integer(inactive);
  };
  EXPECT_EQ(engine.Run("XINFO CONSUMERS s g"), info(100, -1));
  engine.Run("XADD s 1 a 1");
  engine.Run("XREADGROUP GROUP g alice STREAMS s >");
  engine.Run("XACK s g 1");
  engine.AdvanceMs(50);
  engine.Run("XREADGROUP GROUP g alice STREAMS s 0");  // its history: it asked, and got nothing
  EXPECT_EQ(engine.Run("XINFO CONSUMERS s g"), info(0, 50));
  engine.Run("COPY s t");
  EXPECT_EQ(engine.Run("XINFO CONSUMERS t g"), info(0, 50));
}

// By hand, for IDs that share 15, 7 and no bytes.
TEST(StreamTest, CountsTheNodesOfARadixTree) {
  const auto count = [](std::initializer_list<StreamId> ids) {
    RadixNodeCounter counter;
    for (const StreamId& id : ids) counter.Add(id);
    return counter.Finish();
  };
  EXPECT_EQ(count({}), 1u);
  EXPECT_EQ(count({{1, 0}}), 2u);
  EXPECT_EQ(count({{1, 0}, {1, 1}}), 4u);
  EXPECT_EQ(count({{1, 0}, {2, 0}}), 6u);
  EXPECT_EQ(count({{1, 0}, {1, 1}, {2, 0}}), 8u);
  EXPECT_EQ(count({{1, 0}, {uint64_t{1} << 56, 0}}), 5u);
}

// Random commands on a stream and on a map of its entries.
class StreamModel final {
 public:
  StreamModel(TestEngine& engine, uint64_t seed) : engine_(engine), random_(seed) {}

  void Step() {
    switch (Below(8)) {
      case 0:
        return Delete();
      case 1:
        return Trim();
      case 2:
        return CompareRange();
      default:
        return Add();
    }
  }
  void Check() {
    engine_.WithDatabase("s", [](Database& db, const KeyRef& key) {
      const Entry* entry = db.Peek(key);
      if (entry != nullptr) entry->object<StreamValue>()->Check();
    });
  }

 private:
  using Fields = std::vector<std::string>;

  size_t Below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }

  static std::string Text(const std::pair<const StreamId, Fields>& entry) {
    char id[kStreamIdTextBytesMax];
    std::string text = "*2\r\n" + Bulk(FormatStreamId(entry.first, id));
    text += "*" + std::to_string(entry.second.size()) + "\r\n";
    for (const std::string& word : entry.second) text += Bulk(word);
    return text;
  }
  std::string IdText(StreamId id) {
    char text[kStreamIdTextBytesMax];
    return std::string(FormatStreamId(id, text));
  }
  StreamId SomeId() { return {1 + Below(last_.ms + 2), Below(3)}; }

  void Add() {
    last_ = Below(2) == 0 ? StreamId{last_.ms, last_.seq + 1 + Below(2)}
                          : StreamId{last_.ms + 1 + Below(3), Below(3)};
    Fields fields;
    const size_t pairs = 1 + Below(3);
    for (size_t i = 0; i < pairs; ++i) {
      fields.push_back("field" + std::to_string(Below(8) == 0 ? Below(3) : i));
      fields.push_back(Below(4) == 0 ? std::string(Below(200), 'v') : std::to_string(Below(1000)));
    }
    std::vector<std::string> words = {"XADD", "s", IdText(last_)};
    words.insert(words.end(), fields.begin(), fields.end());
    ASSERT_EQ(engine_.RunWords(words), Bulk(IdText(last_)));
    model_.emplace(last_, fields);
  }
  void Delete() {
    const StreamId id = SomeId();
    ASSERT_EQ(engine_.RunWords({"XDEL", "s", IdText(id)}),
              Integer(static_cast<int64_t>(model_.erase(id))));
  }
  void Trim() {
    if (Below(6) != 0) return;
    size_t gone = 0;
    if (Below(2) == 0) {
      const size_t length = model_.size() - std::min(model_.size(), Below(40));
      for (; model_.size() > length; ++gone) model_.erase(model_.begin());
      ASSERT_EQ(engine_.RunWords({"XTRIM", "s", "MAXLEN", std::to_string(length)}),
                Integer(static_cast<int64_t>(gone)));
    } else {
      const StreamId id = {SomeId().ms / 4, 1};
      for (; !model_.empty() && model_.begin()->first < id; ++gone) model_.erase(model_.begin());
      ASSERT_EQ(engine_.RunWords({"XTRIM", "s", "MINID", IdText(id)}),
                Integer(static_cast<int64_t>(gone)));
    }
  }
  void CompareRange() {
    StreamId first = Below(4) == 0 ? StreamId{} : SomeId();
    StreamId last = Below(4) == 0 ? StreamId::Max() : SomeId();
    const size_t count = 1 + Below(50);
    std::string forward;
    std::string backward;
    size_t found = 0;
    for (auto at = model_.lower_bound(first);
         at != model_.end() && at->first <= last && found < count; ++at, ++found) {
      forward += Text(*at);
    }
    const std::string header = "*" + std::to_string(found) + "\r\n";
    ASSERT_EQ(engine_.RunWords(
                  {"XRANGE", "s", IdText(first), IdText(last), "COUNT", std::to_string(count)}),
              header + forward);
    auto at = model_.upper_bound(last);
    for (found = 0; at != model_.begin() && found < count; ++found) {
      --at;
      if (at->first < first) break;
      backward += Text(*at);
    }
    ASSERT_EQ(engine_.RunWords(
                  {"XREVRANGE", "s", IdText(last), IdText(first), "COUNT", std::to_string(count)}),
              "*" + std::to_string(found) + "\r\n" + backward);
    ASSERT_EQ(engine_.Run("XLEN s"), Integer(static_cast<int64_t>(model_.size())));
  }

  TestEngine& engine_;
  std::mt19937_64 random_;
  std::map<StreamId, Fields> model_;
  StreamId last_;
};

TEST(StreamCommandsTest, BehavesAsAMap) {
  for (const uint64_t entries_max : {100, 1, 7, 0}) {
    const uint64_t seed = 4321 + entries_max;
    SCOPED_TRACE("seed " + std::to_string(seed));
    TestEngine engine;
    engine.engine().settings().stream_node_entries_max = entries_max;
    StreamModel model(engine, seed);
    for (int i = 0; i < 3000 && !::testing::Test::HasFatalFailure(); ++i) {
      model.Step();
      if (i % 64 == 0) model.Check();
    }
  }
}

TEST(StreamTest, IsCopiedAndFreedInPieces) {
  StreamValue* stream = StreamValue::Create(0);
  const std::string_view fields[] = {"sensor", "12", "value", "98.6"};
  constexpr uint64_t kEntries = 20'000;
  for (uint64_t i = 1; i <= kEntries; ++i) stream->Append({i, 0}, fields, {4096, 100});
  StreamGroup& group =
      stream->groups().try_emplace("g", StreamId{}, kEntriesReadUnknown).first->second;
  StreamConsumer& alice = group.AddConsumer("alice", 1);
  StreamConsumer& bob = group.AddConsumer("bob", 1);
  for (uint64_t i = 1; i <= 1000; ++i) group.Assign({i, 0}, i % 2 == 0 ? alice : bob, 5);
  stream->Check();
  StreamValue* copy = stream->Clone();
  EXPECT_EQ(group.RemoveConsumer(alice), 500u);
  EXPECT_EQ(group.pending().size(), 500u);
  copy->Check();
  const StreamGroup& copied = *copy->FindGroup("g");
  EXPECT_EQ(copied.pending().size(), 1000u);
  EXPECT_EQ(copied.consumers().find("alice")->second.pending.size(), 500u);
  EXPECT_EQ(copy->length(), kEntries);
  EXPECT_GE(copy->allocated_bytes(), 150'000u);
  int calls = 0;
  while (!StreamValue::FreeSome(copy, 64)) ++calls;
  EXPECT_GT(calls, 10);
  StreamValue::Destroy(stream);
}

}  // namespace
}  // namespace tidegate
