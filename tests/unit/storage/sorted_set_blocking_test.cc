// BZPOPMIN, BZPOPMAX and BZMPOP: who waits is served in the order of arrival, by whatever makes the
// sorted set. The session's part (timeouts, CLIENT UNBLOCK) is tested with the engine's own tests.
#include <gtest/gtest.h>

#include <string>

#include "tests/support/engine_fixture.h"
#include "tests/support/waiting_client.h"

namespace tidegate {
namespace {

using testing::Bulk;
using testing::TestEngine;
using testing::WaitingClient;

TEST(SortedSetBlockingTest, ServedInTheOrderOfArrival) {
  TestEngine engine;
  WaitingClient first(engine, 1);
  WaitingClient second(engine, 2);
  EXPECT_EQ(first.Run({"BZPOPMIN", "z", "other", "0"}), "");
  EXPECT_EQ(second.Run({"BZPOPMAX", "z", "0"}), "");
  EXPECT_EQ(engine.Run("ZADD z 1 a 2 b 3 c"), ":3\r\n");
  EXPECT_EQ(first.Resume(), "*3\r\n" + Bulk("z") + Bulk("a") + Bulk("1"));
  EXPECT_EQ(second.Resume(), "*3\r\n" + Bulk("z") + Bulk("c") + Bulk("3"));
  EXPECT_EQ(engine.Run("ZRANGE z 0 -1"), "*1\r\n" + Bulk("b"));
}

TEST(SortedSetBlockingTest, WhatTakesTheLastMemberRemovesTheKey) {
  TestEngine engine;
  WaitingClient first(engine, 1);
  WaitingClient second(engine, 2);
  EXPECT_EQ(first.Run({"BZMPOP", "0", "2", "y", "z", "MIN", "COUNT", "10"}), "");
  EXPECT_EQ(second.Run({"BZPOPMIN", "z", "0"}), "");
  EXPECT_EQ(engine.Run("ZADD z 1.5 a 2 b"), ":2\r\n");
  EXPECT_EQ(first.Resume(), "*2\r\n" + Bulk("z") + "*2\r\n*2\r\n" + Bulk("a") + Bulk("1.5") +
                                "*2\r\n" + Bulk("b") + Bulk("2"));
  EXPECT_EQ(second.Resume(), "");
  EXPECT_EQ(engine.Run("EXISTS z"), ":0\r\n");
  second.Leave();
}

TEST(SortedSetBlockingTest, OtherTypesAreNothingToWhoWaits) {
  TestEngine engine;
  WaitingClient client(engine, 1);
  EXPECT_EQ(client.Run({"BZPOPMIN", "z", "0"}), "");
  EXPECT_EQ(engine.Run("SET z x"), "+OK\r\n");
  EXPECT_EQ(client.Resume(), "");
  EXPECT_EQ(engine.Run("DEL z"), ":1\r\n");
  EXPECT_EQ(engine.Run("GEOADD z 0 0 origin"), ":1\r\n");
  EXPECT_TRUE(client.Resume().starts_with("*3\r\n" + Bulk("z") + Bulk("origin")));
}

TEST(SortedSetBlockingTest, StoresAndRenamesServeToo) {
  TestEngine engine;
  WaitingClient client(engine, 1);
  client.UseResp3();
  EXPECT_EQ(engine.Run("ZADD {z}from 1 a"), ":1\r\n");
  EXPECT_EQ(client.Run({"BZPOPMIN", "{z}", "0"}), "");
  EXPECT_EQ(engine.Run("ZUNIONSTORE {z} 1 {z}from WEIGHTS 2.5"), ":1\r\n");
  EXPECT_EQ(client.Resume(), "*3\r\n" + Bulk("{z}") + Bulk("a") + ",2.5\r\n");
  EXPECT_EQ(client.Run({"BZMPOP", "0", "1", "{z}", "MAX"}), "");
  EXPECT_EQ(engine.Run("RENAME {z}from {z}"), "+OK\r\n");
  EXPECT_EQ(client.Resume(), "*2\r\n" + Bulk("{z}") + "*1\r\n*2\r\n" + Bulk("a") + ",1\r\n");
}

TEST(SortedSetBlockingTest, TimeIsUp) {
  TestEngine engine;
  WaitingClient client(engine, 1);
  EXPECT_EQ(client.Run({"BZPOPMIN", "z", "0.1"}), "");
  EXPECT_EQ(client.Resume(99), "");
  EXPECT_EQ(client.Resume(100), "*-1\r\n");
  EXPECT_EQ(client.Run({"BZMPOP", "0.0001", "1", "z", "MIN"}), "");
  EXPECT_EQ(client.Resume(1), "*-1\r\n");
}

}  // namespace
}  // namespace tidegate
