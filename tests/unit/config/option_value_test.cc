#include "config/option_value.h"

#include "config/near_miss.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tidegate {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::Optional;

TEST(ParseMemory, KnowsRedissUnits) {
  EXPECT_EQ(ParseMemory("0"), 0);
  EXPECT_EQ(ParseMemory("512"), 512);
  EXPECT_EQ(ParseMemory("512B"), 512);
  EXPECT_EQ(ParseMemory("10k"), 10'000);
  EXPECT_EQ(ParseMemory("10kb"), 10'240);
  EXPECT_EQ(ParseMemory("3M"), 3'000'000);
  EXPECT_EQ(ParseMemory("3Mb"), 3'145'728);
  EXPECT_EQ(ParseMemory("2g"), 2'000'000'000);
  EXPECT_EQ(ParseMemory("4gB"), 4'294'967'296);
}

TEST(ParseMemory, RefusesWhatIsNoAmount) {
  for (const char* text : {"", "-1", "gb", "1 gb", "1.5gb", "1tb", "0x10", "10kbb"}) {
    EXPECT_EQ(ParseMemory(text), std::nullopt) << text;
  }
}

TEST(ParseMemory, RefusesWhatDoesNotFit) {
  EXPECT_EQ(ParseMemory("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(ParseMemory("9223372036854775808"), std::nullopt);
  EXPECT_EQ(ParseMemory("8589934592gb"), std::nullopt);
  EXPECT_EQ(ParseMemory("99999999999999999999999999"), std::nullopt);
}

TEST(ParsePercent, NeedsDigitsAndTheSign) {
  EXPECT_EQ(ParsePercent("0%"), 0);
  EXPECT_EQ(ParsePercent("150%"), 150);
  for (const char* text : {"", "%", "5", "-5%", "5 %", "5%%", "x%"}) {
    EXPECT_EQ(ParsePercent(text), std::nullopt) << text;
  }
}

TEST(Duration, AlwaysHasAUnitAndPrintsShort) {
  EXPECT_EQ(ParseDuration("0"), milliseconds(0));
  EXPECT_EQ(ParseDuration("250ms"), milliseconds(250));
  EXPECT_EQ(ParseDuration("90s"), milliseconds(90'000));
  EXPECT_EQ(ParseDuration("5m"), milliseconds(300'000));
  EXPECT_EQ(ParseDuration("2h"), milliseconds(7'200'000));
  EXPECT_EQ(ParseDuration("1d"), milliseconds(86'400'000));
  for (const char* text : {"", "5", "s", "-1s", "1.5s", "1 s", "1w", "999999999999999d"}) {
    EXPECT_EQ(ParseDuration(text), std::nullopt) << text;
  }
  for (const char* text : {"0", "250ms", "90s", "5m", "2h", "1d", "36h"}) {
    EXPECT_EQ(PrintDuration(*ParseDuration(text)), text);
  }
  EXPECT_EQ(PrintDuration(milliseconds(60'000)), "1m");
}

TEST(ParseHostPort, SplitsAtTheLastColonOutsideBrackets) {
  EXPECT_THAT(ParseHostPort("127.0.0.1:6379"), Optional(HostPort{"127.0.0.1", 6379}));
  EXPECT_THAT(ParseHostPort("[::1]:0"), Optional(HostPort{"::1", 0}));
  EXPECT_THAT(ParseHostPort("*:65535"), Optional(HostPort{"*", 65535}));
  for (const char* text : {"", ":", ":80", "host", "host:", "host:65536", "host:-1", "::1:80",
                           "[::1]", "[x]:80", "[]:80", "[::1:80", "host:8o"}) {
    EXPECT_EQ(ParseHostPort(text), std::nullopt) << text;
  }
}

TEST(ParseBindAddress, KnowsStarsAndOptionalOnes) {
  EXPECT_THAT(ParseBindAddress("*"), Optional(BindAddress{"0.0.0.0", false}));
  EXPECT_THAT(ParseBindAddress("::*"), Optional(BindAddress{"::", false}));
  EXPECT_THAT(ParseBindAddress("-::1"), Optional(BindAddress{"::1", true}));
  EXPECT_THAT(ParseBindAddress("-10.0.0.1"), Optional(BindAddress{"10.0.0.1", true}));
  EXPECT_THAT(ParseBindAddress("localhost"), Optional(BindAddress{"127.0.0.1", false}));
  for (const char* text : {"", "-", "10.0.0", "300.1.1.1", "example.org", ":::", "--::1"}) {
    EXPECT_EQ(ParseBindAddress(text), std::nullopt) << text;
  }
}

TEST(SplitWords, FollowsRedissQuotes) {
  EXPECT_THAT(SplitWords("  a\tb  c\r"), Optional(ElementsAre("a", "b", "c")));
  EXPECT_THAT(SplitWords(""), Optional(ElementsAre()));
  EXPECT_THAT(SplitWords("save \"\""), Optional(ElementsAre("save", "")));
  EXPECT_THAT(SplitWords(R"("a b" 'c d')"), Optional(ElementsAre("a b", "c d")));
  EXPECT_THAT(SplitWords(R"("\x41\n\t\"\\\q")"), Optional(ElementsAre("A\n\t\"\\q")));
  EXPECT_THAT(SplitWords(R"("\x4")"), Optional(ElementsAre("x4")));
  EXPECT_THAT(SplitWords(R"('it\'s' '\n')"), Optional(ElementsAre("it's", "\\n")));
  EXPECT_THAT(SplitWords(R"(pre"fix")"), Optional(ElementsAre("prefix")));
}

TEST(SplitWords, RefusesQuotesThatDoNotEnd) {
  for (const char* line : {"\"", "'", "\"a", "'a", "\"a\"b", "'a'b", "\"a\\\"", "\"\\x4", "\"\\"}) {
    EXPECT_EQ(SplitWords(line), std::nullopt) << line;
  }
}

TEST(QuoteWord, ReadsBackTheSame) {
  EXPECT_EQ(QuoteWord("plain"), "plain");
  EXPECT_EQ(QuoteWord(""), "\"\"");
  for (const std::string& text :
       {std::string("a b"), std::string("#x"), std::string("q\"'\\"), std::string("\0\xff\n", 3)}) {
    EXPECT_THAT(SplitWords(QuoteWord(text)), Optional(ElementsAre(text)));
  }
}

TEST(NotifyFlags, PrintsInRedissOrder) {
  EXPECT_EQ(PrintNotifyFlags(*ParseNotifyFlags("KEA")), "AKE");
  EXPECT_EQ(PrintNotifyFlags(*ParseNotifyFlags("mnAK")), "AKm");
  EXPECT_EQ(PrintNotifyFlags(*ParseNotifyFlags("nmxKgt")), "gxtnKm");
  EXPECT_EQ(PrintNotifyFlags(*ParseNotifyFlags("")), "");
  EXPECT_EQ(ParseNotifyFlags("Kq"), std::nullopt);
}

TEST(EditDistance, CountsSwapsAsOne) {
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("prot", "port"), 1u);
  EXPECT_EQ(EditDistance("PORT", "port"), 0u);
}

TEST(NearestName, IsSilentWhenNothingIsNear) {
  const std::string_view names[] = {"maxmemory", "port", "bind"};
  EXPECT_EQ(NearestName("maxmemry", names), "maxmemory");
  EXPECT_EQ(NearestName("prot", names), "port");
  EXPECT_EQ(NearestName("gone", names), std::nullopt);
  EXPECT_EQ(NearestName("", names), std::nullopt);
  EXPECT_EQ(NearestName(std::string(1000, 'x'), names), std::nullopt);
}

}  // namespace
}  // namespace tidegate
