// Consumers that wait with XREADGROUP hear it when their stream goes, however it goes.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/engine_fixture.h"
#include "tests/support/waiting_client.h"

namespace tidegate {
namespace {

using testing::Integer;
using testing::kOk;
using testing::TestEngine;
using testing::WaitingClient;

constexpr std::string_view kGone = "-UNBLOCKED the stream key no longer exists\r\n";

class StreamBlockingTest : public ::testing::Test {
 protected:
  // A stream with a group, for which a consumer waits.
  void Wait() {
    ASSERT_EQ(engine_.Run("XGROUP CREATE {s} g $ MKSTREAM"), kOk);
    const std::vector<std::string> command = {"XREADGROUP", "GROUP",   "g",   "alice", "BLOCK",
                                              "0",          "STREAMS", "{s}", ">"};
    ASSERT_EQ(consumer_.Run(command), "");
    ASSERT_EQ(consumer_.Resume(), "");
  }

  TestEngine engine_;
  WaitingClient consumer_{engine_, 1};
};

TEST_F(StreamBlockingTest, Overwritten) {
  Wait();
  EXPECT_EQ(engine_.Run("SET {s} v"), kOk);
  EXPECT_EQ(consumer_.Resume(), kGone);
}

TEST_F(StreamBlockingTest, Flushed) {
  Wait();
  EXPECT_EQ(engine_.Run("FLUSHDB"), kOk);
  EXPECT_EQ(consumer_.Resume(), kGone);
}

TEST_F(StreamBlockingTest, AFlushOfAnotherDatabaseIsNothingToIt) {
  Wait();
  engine_.client().db = 1;
  engine_.Run("SET k v");
  EXPECT_EQ(engine_.Run("FLUSHDB"), kOk);
  EXPECT_EQ(consumer_.Resume(), "");
}

TEST_F(StreamBlockingTest, ReplacedByARename) {
  Wait();
  EXPECT_EQ(engine_.Run("SET {s}other v"), kOk);
  EXPECT_EQ(engine_.Run("RENAME {s}other {s}"), kOk);
  EXPECT_EQ(consumer_.Resume(), kGone);
}

TEST_F(StreamBlockingTest, ExpiredAndFoundByACommand) {
  Wait();
  EXPECT_EQ(engine_.Run("PEXPIRE {s} 100"), Integer(1));
  engine_.AdvanceMs(100);
  EXPECT_EQ(engine_.Run("EXISTS {s}"), Integer(0));
  EXPECT_EQ(consumer_.Resume(), kGone);
}

TEST_F(StreamBlockingTest, ExpiredAndFoundByAWalk) {
  Wait();
  EXPECT_EQ(engine_.Run("PEXPIRE {s} 100"), Integer(1));
  engine_.AdvanceMs(100);
  EXPECT_EQ(engine_.Run("KEYS *"), "*0\r\n");
  EXPECT_EQ(consumer_.Resume(), kGone);
}

TEST_F(StreamBlockingTest, ExpiredAndSweptAway) {
  Wait();
  EXPECT_EQ(engine_.Run("PEXPIRE {s} 100"), Integer(1));
  engine_.AdvanceMs(2000);
  engine_.engine().BackgroundStep(engine_.thread(), engine_.now_ms(), 0, 1, 50'000'000);
  EXPECT_EQ(engine_.engine().Stats().expired_keys, 1u);
  EXPECT_EQ(consumer_.Resume(), kGone);
}

}  // namespace
}  // namespace tidegate
