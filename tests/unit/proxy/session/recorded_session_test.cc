// Sessions of a server whose engine records: what a transaction leaves in the record, and what
// clients are told while writes are refused or have to wait for room.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "proxy/commands/families.h"
#include "tests/support/effect_capture.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

using testing::EffectCapture;

class RecordedSessionTest : public ::testing::Test {
 protected:
  RecordedSessionTest()
      : server_(
            ProxyCommandFamilies(), [](Options&) {},
            [this](Server& server) { server.engine().SetEffectSink(&capture_); }),
        client_(server_.port()) {}

  EffectCapture capture_;
  TestServer server_;
  TestClient client_;
};

TEST_F(RecordedSessionTest, ATransactionIsOneRecord) {
  constexpr std::string_view kReplies =
      "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n$-1\r\n:1\r\n";
  EXPECT_EQ(client_.Ask("MULTI\r\nSET a 1\r\nGET b\r\nSADD s x\r\nEXEC\r\n", kReplies), kReplies);
  EXPECT_EQ(capture_.TakeText(), "SET a 1 | SADD s x");
  EXPECT_EQ(client_.Ask("MULTI\r\nGET a\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1\r\n"),
            "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1\r\n");
  EXPECT_EQ(capture_.TakeText(), "");
}

TEST_F(RecordedSessionTest, RefusedWritesEndATransaction) {
  constexpr std::string_view kQueued = "+OK\r\n+QUEUED\r\n";
  EXPECT_EQ(client_.Ask("MULTI\r\nSET a 1\r\n", kQueued), kQueued);
  capture_.Answer(EffectSink::Admission::kRefused);
  constexpr std::string_view kAborted =
      "-EXECABORT Transaction discarded because of: MISCONF no more of this\r\n";
  EXPECT_EQ(client_.Ask("EXEC\r\n", kAborted), kAborted);
  constexpr std::string_view kRefused = "-MISCONF no more of this\r\n";
  EXPECT_EQ(client_.Ask("SET a 1\r\n", kRefused), kRefused);
  constexpr std::string_view kNotQueued =
      "+OK\r\n-MISCONF no more of this\r\n"
      "-EXECABORT Transaction discarded because of previous errors.\r\n";
  EXPECT_EQ(client_.Ask("MULTI\r\nSET a 1\r\nEXEC\r\n", kNotQueued), kNotQueued);
  constexpr std::string_view kRead = "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n";
  EXPECT_EQ(client_.Ask("MULTI\r\nGET a\r\nEXEC\r\n", kRead), kRead);
  constexpr std::string_view kNoTransaction = "-ERR EXEC without MULTI\r\n";
  EXPECT_EQ(client_.Ask("EXEC\r\n", kNoTransaction), kNoTransaction);
  EXPECT_EQ(capture_.TakeText(), "");
}

TEST_F(RecordedSessionTest, ATransactionWaitsForRoom) {
  capture_.Answer(EffectSink::Admission::kLater);
  constexpr std::string_view kQueued = "+OK\r\n+QUEUED\r\n";
  EXPECT_EQ(client_.Ask("MULTI\r\nSET a 1\r\nEXEC\r\n", kQueued), kQueued);
  EXPECT_TRUE(Eventually([this] { return capture_.waiting() == 1; }));
  EXPECT_EQ(capture_.TakeText(), "");
  // Another client leaves while it waits.
  TestClient other(server_.port());
  other.Send("SET b 1\r\n");
  EXPECT_TRUE(Eventually([this] { return capture_.waiting() == 2; }));
  other.Close();
  EXPECT_TRUE(Eventually([this] { return capture_.waiting() == 1; }));
  capture_.Answer(EffectSink::Admission::kYes);
  constexpr std::string_view kDone = "*1\r\n+OK\r\n";
  EXPECT_EQ(client_.Read(kDone.size()), kDone);
  EXPECT_EQ(capture_.TakeText(), "SET a 1");
}

}  // namespace
}  // namespace tidegate
