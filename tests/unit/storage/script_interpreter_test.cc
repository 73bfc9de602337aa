// Scripts by themselves: what they return, what they may reach, and what ends them. The calls they
// make are answered by the test.
#include "storage/script_interpreter.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tidegate {
namespace {

class FakeHost final : public ScriptHost {
 public:
  CallResult Call(std::span<const std::string_view> args, ReplyWriter& reply,
                  std::string& error) override {
    calls.emplace_back();
    for (const std::string_view arg : args) calls.back() += std::string(arg) + " ";
    if (args[0] == "refused") {
      error = "no such thing";
      return CallResult::kRefused;
    }
    if (args[0] == "end") return CallResult::kEnd;
    args[0] == "fail" ? reply.Error("WRONGTYPE not that") : reply.Bulk(args.back());
    return CallResult::kReplied;
  }
  bool GoOn() override { return --turns >= 0; }
  std::string_view ending() const override { return "ended by the test"; }
  bool Knows(std::span<const std::string_view> args) override { return args[0] == "get"; }

  std::vector<std::string> calls;
  int turns = 1'000'000;
};

class ScriptInterpreterTest : public ::testing::Test {
 protected:
  // The reply of a script that was not compiled before.
  std::string Run(std::string_view text) {
    const std::string sha = "sha" + std::to_string(++scripts_);
    std::string error;
    if (!interpreter_.Compile(sha, text, error)) return "not compiled: " + error;
    return Call(sha);
  }
  std::string Call(const std::string& sha) {
    const std::vector<std::string_view> keys = {"k1"};
    const std::vector<std::string_view> args = {"a1", "a2"};
    interpreter_.Run({.sha = sha, .keys = keys, .args = args, .host = &host_});
    OutputBuffer out(blocks_);
    ReplyWriter reply(out);
    interpreter_.WriteReply(reply);
    return out.CopyFrom(0);
  }

  OutputBlockPool blocks_;
  FakeHost host_;
  ScriptInterpreter interpreter_{blocks_};
  int scripts_ = 0;
};

TEST_F(ScriptInterpreterTest, KeysAndArgumentsAreGlobals) {
  EXPECT_EQ(Run("return {KEYS[1], ARGV[1], ARGV[2], #KEYS, #ARGV}"),
            "*5\r\n$2\r\nk1\r\n$2\r\na1\r\n$2\r\na2\r\n:1\r\n:2\r\n");
}

TEST_F(ScriptInterpreterTest, CallsReachTheHostAsWords) {
  EXPECT_EQ(Run("return redis.call('set', KEYS[1], 0.1, 3)"), "$1\r\n3\r\n");
  EXPECT_EQ(host_.calls, std::vector<std::string>{"set k1 0.10000000000000001 3 "});
}

TEST_F(ScriptInterpreterTest, ErrorsOfCallsSayWhere) {
  EXPECT_EQ(Run("return redis.call('refused')"),
            "-ERR no such thing script: sha1, on @user_script:1.\r\n");
  EXPECT_EQ(Run("\nreturn redis.call('fail')"),
            "-WRONGTYPE not that script: sha2, on @user_script:2.\r\n");
  EXPECT_EQ(Run("return redis.pcall('fail')"), "-WRONGTYPE not that\r\n");
}

TEST_F(ScriptInterpreterTest, WhatEndsAScriptIsNotCaught) {
  EXPECT_EQ(Run("while true do pcall(redis.call, 'end') end"),
            "-ERR ended by the test script: sha1, on @user_script:1.\r\n");
  host_.turns = 3;
  EXPECT_EQ(Run("while true do pcall(function() while true do end end) end"),
            "-ERR ended by the test script: sha2, on @user_script:1.\r\n");
  host_.turns = 3;
  EXPECT_TRUE(
      Run("while true do coroutine.wrap(function() while true do end end)() end").starts_with("-"));
  EXPECT_EQ(Run("return 1"), ":1\r\n");
}

TEST_F(ScriptInterpreterTest, ScriptsDoNotSeeEachOther) {
  for (const char* attempt :
       {"x = 1", "_G.x = 1", "rawset(_G, 'x', 1)", "redis.x = 1", "rawset(string, 'x', 1)",
        "getmetatable('').__index.x = 1", "setmetatable(_G, {})", "table.insert(redis, 1)",
        "math.random = nil", "function x() end", "getmetatable(_G).__newindex = nil", "cjson.x = 1",
        "KEYS = {}", "_G.KEYS = {}"}) {
    EXPECT_TRUE(Run(attempt).starts_with("-")) << attempt;
  }
  EXPECT_EQ(Run("return rawget(_G, 'x') == nil and rawget(redis, 'x') == nil and #redis"),
            ":0\r\n");
  for (const char* absent : {"print", "dofile", "loadfile", "require", "os", "io", "debug",
                             "package", "newproxy", "module", "getfenv", "setfenv"}) {
    EXPECT_EQ(Run("return rawget(_G, '" + std::string(absent) + "') == nil"), ":1\r\n") << absent;
  }
}

TEST_F(ScriptInterpreterTest, BytecodeIsNotLoaded) {
  EXPECT_EQ(Run("return loadstring(string.dump(function() return 1 end)) == nil"), ":1\r\n");
  EXPECT_EQ(Run("local done = false return load(function() if done then return nil end done = true "
                "return string.dump(function() end) end) == nil"),
            ":1\r\n");
  EXPECT_TRUE(Run("\033Lua").starts_with("not compiled: Error compiling script"));
}

TEST_F(ScriptInterpreterTest, MemoryIsLimited) {
  EXPECT_EQ(Run("return #string.rep('x', 512 * 1024 * 1024)"),
            "-ERR Error running script sha1, not enough memory\r\n");
  EXPECT_EQ(Run("local s = 'x' while true do s = s .. s end"),
            "-ERR Error running script sha2, not enough memory\r\n");
  EXPECT_EQ(Run("return 1"), ":1\r\n");
  EXPECT_LT(interpreter_.memory_bytes(), (16_MiB).count);
}

TEST_F(ScriptInterpreterTest, DepthIsLimited) {
  EXPECT_NE(Run("local function f() return 1 + f() end return f()").find("stack overflow"),
            std::string::npos);
  EXPECT_NE(Run("local t = {} t[1] = t return t").find("reached lua stack limit"),
            std::string::npos);
  EXPECT_NE(Run("return string.find('a', string.rep('a?', 100000))").find("pattern too long"),
            std::string::npos);
  EXPECT_NE(Run("return loadstring('return ' .. string.rep('(', 1000))() ").find("-ERR"),
            std::string::npos);
}

TEST_F(ScriptInterpreterTest, AReplyWithoutEndIsAnError) {
  EXPECT_EQ(Run("local t = {} t[1] = t t[2] = t return t"),
            "-ERR the reply of the script has too many elements\r\n");
}

TEST_F(ScriptInterpreterTest, ATextCannotForgeAReply) {
  EXPECT_EQ(Run("return {ok = 'a\\r\\n+b'}"), "+a  +b\r\n");
  EXPECT_EQ(Run("return {err = 'a\\r\\n+b'}"), "-a  +b\r\n");
}

TEST_F(ScriptInterpreterTest, RandomNumbersAreRedis) {
  EXPECT_EQ(Run("math.randomseed(0) return {math.random(1000000), math.random(1000000)}"),
            Run("math.randomseed(0) return {math.random(1000000), math.random(1000000)}"));
}

TEST(ScriptFlags, AreReadFromTheFirstLine) {
  ScriptFlags flags;
  size_t begin = 0;
  EXPECT_EQ(ParseScriptFlags("return 1", flags, begin), "");
  EXPECT_FALSE(flags.declared);
  EXPECT_EQ(ParseScriptFlags("#!lua flags=no-writes,allow-oom\nreturn 1", flags, begin), "");
  EXPECT_TRUE(flags.declared && flags.no_writes && flags.allow_oom && !flags.allow_stale);
  EXPECT_EQ(begin, 31u);
  EXPECT_EQ(ParseScriptFlags("#!lua", flags, begin), "Invalid script shebang");
  EXPECT_EQ(ParseScriptFlags("#!py\n", flags, begin), "Unexpected engine in script shebang: #!py");
  EXPECT_EQ(ParseScriptFlags("#!lua flags=x\n", flags, begin),
            "Unexpected flag in script shebang: x");
}

}  // namespace
}  // namespace tidegate
