#include "base/reply_writer.h"

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tidegate {
namespace {

using std::string_literals::operator""s;

std::string Written(Protocol protocol, const std::function<void(ReplyWriter&)>& write) {
  OutputBlockPool pool;
  OutputBuffer buffer(pool);
  ReplyWriter writer(buffer);
  writer.set_protocol(protocol);
  write(writer);
  std::vector<OutputBuffer::Piece> pieces(100);
  std::string text;
  const size_t count = buffer.Peek(pieces.data(), pieces.size());
  for (size_t i = 0; i < count; ++i) text.append(pieces[i].data, pieces[i].size);
  return text;
}

std::string Resp2(const std::function<void(ReplyWriter&)>& write) {
  return Written(Protocol::kResp2, write);
}
std::string Resp3(const std::function<void(ReplyWriter&)>& write) {
  return Written(Protocol::kResp3, write);
}

TEST(ReplyWriter, StringsAreTheSameInBothProtocols) {
  for (const Protocol protocol : {Protocol::kResp2, Protocol::kResp3}) {
    EXPECT_EQ(Written(protocol, [](auto& w) { w.Ok(); }), "+OK\r\n");
    EXPECT_EQ(Written(protocol, [](auto& w) { w.SimpleString("PONG"); }), "+PONG\r\n");
    EXPECT_EQ(Written(protocol, [](auto& w) { w.Bulk(""); }), "$0\r\n\r\n");
    EXPECT_EQ(Written(protocol, [](auto& w) { w.Bulk({}); }), "$0\r\n\r\n");
    EXPECT_EQ(Written(protocol, [](auto& w) { w.Bulk("a\r\n\0"s); }), "$4\r\na\r\n\0\r\n"s);
    EXPECT_EQ(Written(protocol, [](auto& w) { w.BulkInteger(-12); }), "$3\r\n-12\r\n");
    EXPECT_EQ(Written(protocol, [](auto& w) { w.Error("ERR syntax error"); }),
              "-ERR syntax error\r\n");
    EXPECT_EQ(Written(protocol, [](auto& w) { w.Array(0); }), "*0\r\n");
  }
}

TEST(ReplyWriter, Integers) {
  EXPECT_EQ(Resp2([](auto& w) { w.Integer(0); }), ":0\r\n");
  EXPECT_EQ(Resp2([](auto& w) { w.Integer(9); }), ":9\r\n");
  EXPECT_EQ(Resp2([](auto& w) { w.Integer(10); }), ":10\r\n");
  EXPECT_EQ(Resp2([](auto& w) { w.Integer(-1); }), ":-1\r\n");
  EXPECT_EQ(Resp2([](auto& w) { w.Integer(std::numeric_limits<int64_t>::min()); }),
            ":-9223372036854775808\r\n");
  EXPECT_EQ(Resp2([](auto& w) { w.Integer(std::numeric_limits<int64_t>::max()); }),
            ":9223372036854775807\r\n");
}

TEST(ReplyWriter, AnErrorTextCannotForgeASecondReply) {
  EXPECT_EQ(Resp2([](auto& w) { w.Error("ERR bad '\r\n+OK\r\n'"); }), "-ERR bad '  +OK  '\r\n");
}

TEST(ReplyWriter, BulksOfEverySizeAroundTheLimitsAreWhole) {
  for (const size_t size :
       {1u, 9u, 10u, 99u, 4095u, 4096u, 4097u, 16383u, 16384u, 16385u, 70000u}) {
    const std::string bytes(size, 'x');
    EXPECT_EQ(Resp2([&](auto& w) { w.Bulk(bytes); }),
              "$" + std::to_string(size) + "\r\n" + bytes + "\r\n");
  }
}

TEST(ReplyWriter, ABulkMayComeInPieces) {
  EXPECT_EQ(Resp2([](auto& w) {
              w.BeginBulk(5);
              w.BulkPart("abc");
              w.BulkPart("");
              w.BulkPart("de");
              w.EndBulk();
            }),
            "$5\r\nabcde\r\n");
}

TEST(ReplyWriter, Nulls) {
  EXPECT_EQ(Resp2([](auto& w) { w.Null(); }), "$-1\r\n");
  EXPECT_EQ(Resp2([](auto& w) { w.NullArray(); }), "*-1\r\n");
  EXPECT_EQ(Resp3([](auto& w) { w.Null(); }), "_\r\n");
  EXPECT_EQ(Resp3([](auto& w) { w.NullArray(); }), "_\r\n");
}

TEST(ReplyWriter, ContainersFallBackToArraysInResp2) {
  EXPECT_EQ(Resp2([](auto& w) { w.Map(2); }), "*4\r\n");
  EXPECT_EQ(Resp3([](auto& w) { w.Map(2); }), "%2\r\n");
  EXPECT_EQ(Resp2([](auto& w) { w.Set(3); }), "*3\r\n");
  EXPECT_EQ(Resp3([](auto& w) { w.Set(3); }), "~3\r\n");
  EXPECT_EQ(Resp2([](auto& w) { w.Push(2); }), "*2\r\n");
  EXPECT_EQ(Resp3([](auto& w) { w.Push(2); }), ">2\r\n");
  EXPECT_EQ(Resp3([](auto& w) { w.Attribute(1); }), "|1\r\n");
}

TEST(ReplyWriter, Scalars) {
  EXPECT_EQ(Resp2([](auto& w) { w.Double(3.5); }), "$3\r\n3.5\r\n");
  EXPECT_EQ(Resp3([](auto& w) { w.Double(3.5); }), ",3.5\r\n");
  EXPECT_EQ(Resp3([](auto& w) { w.Double(-std::numeric_limits<double>::infinity()); }),
            ",-inf\r\n");
  EXPECT_EQ(Resp2([](auto& w) { w.Boolean(true); }), ":1\r\n");
  EXPECT_EQ(Resp2([](auto& w) { w.Boolean(false); }), ":0\r\n");
  EXPECT_EQ(Resp3([](auto& w) { w.Boolean(true); }), "#t\r\n");
  EXPECT_EQ(Resp3([](auto& w) { w.Boolean(false); }), "#f\r\n");
  EXPECT_EQ(Resp2([](auto& w) { w.BigNumber("12345678901234567890123"); }),
            "$23\r\n12345678901234567890123\r\n");
  EXPECT_EQ(Resp3([](auto& w) { w.BigNumber("12345678901234567890123"); }),
            "(12345678901234567890123\r\n");
  EXPECT_EQ(Resp2([](auto& w) { w.Verbatim("txt", "ab\r\n"); }), "$4\r\nab\r\n\r\n");
  EXPECT_EQ(Resp3([](auto& w) { w.Verbatim("txt", "ab\r\n"); }), "=8\r\ntxt:ab\r\n\r\n");
}

TEST(ReplyWriter, ReplaysWhatWasEncodedAndTellsOfErrors) {
  OutputBlockPool pool;
  OutputBuffer out(pool);
  ReplyWriter writer(out);
  std::string told;
  writer.ObserveErrors(
      [](void* seen, std::string_view text) { static_cast<std::string*>(seen)->append(text); },
      &told);
  writer.Replay("*2\r\n$1\r\na\r\n:1\r\n");
  EXPECT_EQ(told, "");
  writer.Replay("-NOGROUP no such group\r\n");
  EXPECT_EQ(told, "NOGROUP no such group");
  EXPECT_EQ(out.CopyFrom(0), "*2\r\n$1\r\na\r\n:1\r\n-NOGROUP no such group\r\n");
}

TEST(ReplyWriter, CanGoOnIntoAnotherBuffer) {
  OutputBlockPool pool;
  OutputBuffer first(pool);
  OutputBuffer second(pool);
  ReplyWriter writer(first);
  writer.Ok();
  writer.Retarget(second);
  writer.Integer(1);
  EXPECT_EQ(first.size(), 5u);
  EXPECT_EQ(second.size(), 4u);
}

}  // namespace
}  // namespace tidegate
