// RequestParser: what it takes from a stream, however the stream is cut, and Redis's errors.
#include "proxy/resp/request_parser.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "storage/command.h"

namespace tidegate {
namespace {

using Words = std::vector<std::string>;

std::string Resp(const Words& words) {
  std::string out = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words)
    out += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return out;
}

// A session's use of the parser: keeps what is incomplete, comes back with more.
class Stream {
 public:
  explicit Stream(bool authenticated = true) : limits_{512u << 20, authenticated} {}

  void Feed(std::string_view bytes) {
    if (failed()) return;
    kept_.append(bytes);
    for (;;) {
      const ParseStop stop = parser_.Parse(kept_, limits_, *commands_, batch_);
      for (const Request& request : batch_.requests()) {
        requests_.emplace_back(request.args.begin(), request.args.end());
        Words keys;
        for (const KeyRef& key : request.keys) {
          EXPECT_EQ(key.hash, KeyHash(key.name));
          EXPECT_EQ(key.slot, KeySlot(key.name));
          keys.emplace_back(key.name);
        }
        keys_.push_back(keys);
      }
      if (stop == ParseStop::kProtocolError) {
        error_ = parser_.error();
        return;
      }
      kept_.erase(0, batch_.consumed());
      if (stop == ParseStop::kNeedInput) return;
    }
  }

  void Expect(const Words& request, const Words& keys) {
    requests_.push_back(request);
    keys_.push_back(keys);
  }

  bool failed() const { return !error_.empty(); }
  const std::string& error() const { return error_; }
  const std::vector<Words>& requests() const { return requests_; }
  const std::vector<Words>& keys() const { return keys_; }
  const std::string& kept() const { return kept_; }
  RequestParser& parser() { return parser_; }

 private:
  std::unique_ptr<CommandTable> commands_ = CommandTable::Create(StorageCommandFamilies());
  ParseLimits limits_;
  RequestParser parser_;
  RequestBatch batch_;
  std::string kept_;
  std::string error_;
  std::vector<Words> requests_;
  std::vector<Words> keys_;
};

std::string ErrorOf(std::string_view input, bool authenticated = true) {
  Stream stream(authenticated);
  stream.Feed(input);
  return stream.error();
}

TEST(RequestParser, FindsCommandsAndTheirKeys) {
  Stream stream;
  stream.Feed(Resp({"GET", "a"}) + Resp({"mset", "b", "1", "c", "2"}) + Resp({"nosuch", "x"}));
  EXPECT_EQ(stream.requests(),
            (std::vector<Words>{{"GET", "a"}, {"mset", "b", "1", "c", "2"}, {"nosuch", "x"}}));
  EXPECT_EQ(stream.keys(), (std::vector<Words>{{"a"}, {"b", "c"}, {}}));
  EXPECT_TRUE(stream.kept().empty());
}

TEST(RequestParser, NamesNoKeysWhenTheNumberOfArgumentsIsWrong) {
  Stream stream;
  stream.Feed(Resp({"GET"}) + Resp({"GET", "a", "b"}));
  EXPECT_EQ(stream.keys(), (std::vector<Words>{{}, {}}));
}

TEST(RequestParser, EverySplitGivesWhatTheWholeGives) {
  const std::string whole = Resp({"SET", "key", std::string("a\r\n\0b", 5)}) + "\r\n" +
                            "get  key \"quo\\x41ted\" 'it\\'s'\r\n" + "*0\r\n*-1\r\n" +
                            Resp({"MGET", "", "{tag}1", "{tag}2"}) + "ping\n" +
                            Resp({"SET", "big", std::string(5000, 'x')}) + Resp({"GET", "last"});
  Stream reference;
  reference.Feed(whole);
  ASSERT_EQ(reference.requests().size(), 6u);
  ASSERT_FALSE(reference.failed());
  for (size_t cut = 0; cut <= whole.size(); ++cut) {
    Stream stream;
    stream.Feed(std::string_view(whole).substr(0, cut));
    stream.Feed(std::string_view(whole).substr(cut));
    ASSERT_EQ(stream.requests(), reference.requests()) << "cut at " << cut;
    ASSERT_EQ(stream.keys(), reference.keys()) << "cut at " << cut;
    ASSERT_TRUE(stream.kept().empty()) << "cut at " << cut;
  }
}

TEST(RequestParser, EveryByteAloneGivesWhatTheWholeGives) {
  Words many = {"MSET"};
  for (int i = 0; i < 800; ++i) {
    many.push_back("key" + std::to_string(i));
    many.push_back(std::string(static_cast<size_t>(i % 13), 'v'));
  }
  const std::string whole = Resp({"GET", "a"}) + Resp(many) + Resp({"GET", "b"});
  Stream reference;
  reference.Feed(whole);
  Stream stream;
  for (const char byte : whole) stream.Feed({&byte, 1});
  EXPECT_EQ(stream.requests(), reference.requests());
  EXPECT_EQ(stream.keys(), reference.keys());
}

// A batch knows the opening of the command before; a command alone does not.
TEST(RequestParser, CommandsThatBeginAlikeAreWhatEachIsAlone) {
  const std::vector<Words> words = {
      {"GET"},     {"get"},          {"Get", "k"},         {"SET"},
      {"DEL", ""}, {"OBJECT"},       {"OBJECT", "FREQ"},   {"nosuch"},
      {"GETDEL"},  {"PEXPIRETIMES"}, {"PEXPIRETIME", "k"}, {"LPUSH", "k"}};
  std::minstd_rand random(7);
  std::string whole;
  Stream each;
  for (int i = 0; i < 5000; ++i) {
    Words command = words[random() % words.size()];
    while (random() % 2 == 0) command.push_back("key:" + std::to_string(random() % 3));
    // Often the same thing several times.
    for (uint32_t times = random() % 3; times > 0; --times) {
      whole += Resp(command);
      Stream alone;
      alone.Feed(Resp(command));
      ASSERT_EQ(alone.requests().size(), 1u);
      each.Expect(alone.requests()[0], alone.keys()[0]);
    }
  }
  Stream stream;
  stream.Feed(whole);
  EXPECT_EQ(stream.requests(), each.requests());
  EXPECT_EQ(stream.keys(), each.keys());
  EXPECT_EQ(ErrorOf(Resp({"GET", "a"}) + Resp({"GET", "b"}) + "*2\r\n$3\r\nGET\r\n$x\r\n      "),
            "Protocol error: invalid bulk length");
}

TEST(RequestParser, ManyArgumentsMoveTheArraysAndKeepTheViews) {
  Words many = {"MGET"};
  for (int i = 0; i < 40000; ++i) many.push_back("k" + std::to_string(i));
  Stream stream;
  stream.Feed(Resp({"GET", "first"}) + Resp(many) + Resp({"GET", "last"}));
  ASSERT_EQ(stream.requests().size(), 3u);
  EXPECT_EQ(stream.requests()[0], (Words{"GET", "first"}));
  EXPECT_EQ(stream.requests()[1], many);
  EXPECT_EQ(stream.keys()[1].size(), 40000u);
  EXPECT_EQ(stream.keys()[1].back(), "k39999");
  EXPECT_EQ(stream.keys()[0], (Words{"first"}));
}

TEST(RequestParser, ABatchIsBounded) {
  std::string input;
  for (size_t i = 0; i < kBatchRequestsMax + 5; ++i) input += Resp({"GET", std::to_string(i)});
  const auto commands = CommandTable::Create(StorageCommandFamilies());
  RequestParser parser;
  RequestBatch batch;
  EXPECT_EQ(parser.Parse(input, {1000, true}, *commands, batch), ParseStop::kBatchFull);
  ASSERT_EQ(batch.size(), kBatchRequestsMax);
  EXPECT_EQ(batch.end_of(batch.size() - 1), batch.consumed());
  EXPECT_EQ(parser.Parse(std::string_view(input).substr(batch.consumed()), {1000, true}, *commands,
                         batch),
            ParseStop::kNeedInput);
  EXPECT_EQ(batch.size(), 5u);
}

TEST(RequestParser, SaysHowManyBytesAnAnnouncedBulkNeeds) {
  Stream stream;
  const std::string head = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n";
  stream.Feed(head + "abc");
  EXPECT_EQ(stream.parser().bytes_wanted(), head.size() + 100000 + 2);
  stream.Feed(std::string(10000, 'x'));
  EXPECT_EQ(stream.parser().bytes_wanted(), head.size() + 100000 + 2);
  EXPECT_GT(stream.parser().partial_argument_bytes(), 0u);
  stream.Feed(std::string(100000 - 10003, 'x') + "\r\n");
  ASSERT_EQ(stream.requests().size(), 1u);
  EXPECT_EQ(stream.requests()[0][2].size(), 100000u);
  EXPECT_EQ(stream.parser().bytes_wanted(), 0u);
}

TEST(RequestParser, ErrorsAreThoseOfRedis) {
  EXPECT_EQ(ErrorOf("*x\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(ErrorOf("*2147483648\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(ErrorOf("*\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(ErrorOf("*01\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(ErrorOf("*1\r\n:4\r\n"), "Protocol error: expected '$', got ':'");
  EXPECT_EQ(ErrorOf("*1\r\n$-1\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(ErrorOf("*1\r\n$4x\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(ErrorOf("*1\r\n$536870913\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(ErrorOf("*1\r\n$9999999999999999999\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(ErrorOf("set \"a\r\n"), "Protocol error: unbalanced quotes in request");
  EXPECT_EQ(ErrorOf("set 'a'b\r\n"), "Protocol error: unbalanced quotes in request");
  EXPECT_EQ(ErrorOf(std::string(65537, 'a')), "Protocol error: too big inline request");
  EXPECT_EQ(ErrorOf("*" + std::string(65536, '1')), "Protocol error: too big mbulk count string");
  EXPECT_EQ(ErrorOf("*1\r\n$" + std::string(65536, '1')),
            "Protocol error: too big bulk count string");
  EXPECT_EQ(ErrorOf(std::string(65536, 'a')), "");
  EXPECT_EQ(ErrorOf("*2147483647\r\n"), "");
  EXPECT_EQ(ErrorOf("*1\r\nx"), "");  // no line end yet
}

TEST(RequestParser, AnErrorLeavesTheCommandsBeforeIt) {
  Stream stream;
  stream.Feed(Resp({"GET", "a"}) + "*1\r\n!\r\n" + Resp({"GET", "b"}));
  EXPECT_EQ(stream.requests(), (std::vector<Words>{{"GET", "a"}}));
  EXPECT_EQ(stream.error(), "Protocol error: expected '$', got '!'");
}

TEST(RequestParser, UnauthenticatedClientsAnnounceLittle) {
  EXPECT_EQ(ErrorOf("*11\r\n", false), "Protocol error: unauthenticated multibulk length");
  EXPECT_EQ(ErrorOf("*10\r\n", false), "");
  EXPECT_EQ(ErrorOf("*1\r\n$16385\r\n", false), "Protocol error: unauthenticated bulk length");
  EXPECT_EQ(ErrorOf("*1\r\n$16384\r\n", false), "");
}

TEST(RequestParser, UnauthenticatedClientsAreParsedOneCommandAtATime) {
  const auto commands = CommandTable::Create(StorageCommandFamilies());
  RequestParser parser;
  RequestBatch batch;
  const std::string input = Resp({"GET", "a"}) + Resp({"GET", "b"});
  EXPECT_EQ(parser.Parse(input, {1000, false}, *commands, batch), ParseStop::kBatchFull);
  EXPECT_EQ(batch.size(), 1u);
}

TEST(RequestParser, InlineWordsFollowRedisRules) {
  Stream stream;
  stream.Feed(" set\t a  b \r\n\"\" x\"y z\" '\\n' \"\\x00\\n\\q\"\nfoo'bar'\n");
  EXPECT_EQ(stream.requests(),
            (std::vector<Words>{
                {"set", "a", "b"}, {"", "xy z", "\\n", std::string("\0\nq", 3)}, {"foobar"}}));
}

TEST(RequestParser, ANulHidesTheEndOfALineAsInRedis) {
  Stream stream;
  stream.Feed(std::string_view("get\0a\r\n", 7));
  EXPECT_TRUE(stream.requests().empty());
  EXPECT_FALSE(stream.failed());
}

}  // namespace
}  // namespace tidegate
