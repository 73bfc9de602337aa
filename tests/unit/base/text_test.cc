#include "base/text.h"

#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tidegate {
namespace {

using std::string_literals::operator""s;
constexpr int64_t kInt64Min = std::numeric_limits<int64_t>::min();
constexpr int64_t kInt64Max = std::numeric_limits<int64_t>::max();

TEST(ParseInt64, ReadsTheWholeRange) {
  EXPECT_EQ(ParseInt64("0"), 0);
  EXPECT_EQ(ParseInt64("7"), 7);
  EXPECT_EQ(ParseInt64("-1"), -1);
  EXPECT_EQ(ParseInt64("9223372036854775807"), kInt64Max);
  EXPECT_EQ(ParseInt64("-9223372036854775808"), kInt64Min);
}

TEST(ParseInt64, RefusesWhatRedisRefuses) {
  for (const std::string& text : {""s,
                                  "-"s,
                                  "+1"s,
                                  " 1"s,
                                  "1 "s,
                                  "01"s,
                                  "-0"s,
                                  "00"s,
                                  "-01"s,
                                  "1a"s,
                                  "a"s,
                                  "1.0"s,
                                  "0x10"s,
                                  "1\0"s,
                                  "9223372036854775808"s,
                                  "-9223372036854775809"s,
                                  "18446744073709551616"s,
                                  "99999999999999999999"s,
                                  "100000000000000000000"s,
                                  "--1"s,
                                  "\n1"s}) {
    EXPECT_EQ(ParseInt64(text), std::nullopt) << text;
  }
}

TEST(ParseUint64, ReadsDigitsOnly) {
  EXPECT_EQ(ParseUint64("18446744073709551615"), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(ParseUint64("0"), 0u);
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "18446744073709551616", "1e3"}) {
    EXPECT_EQ(ParseUint64(text), std::nullopt) << text;
  }
}

TEST(ParseDouble, ReadsWhatRedisReads) {
  EXPECT_EQ(ParseDouble("3.5"), 3.5);
  EXPECT_EQ(ParseDouble("-1e3"), -1000.0);
  EXPECT_EQ(ParseDouble("+2"), 2.0);
  EXPECT_EQ(ParseDouble(".5"), 0.5);
  EXPECT_EQ(ParseDouble("0x10"), 16.0);
  EXPECT_EQ(ParseDouble("inf"), std::numeric_limits<double>::infinity());
  EXPECT_EQ(ParseDouble("-Infinity"), -std::numeric_limits<double>::infinity());
}

TEST(ParseDouble, RefusesWhatRedisRefuses) {
  for (const std::string& text : {""s, " 1"s, "1 "s, "\t1"s, "nan"s, "1.5x"s, "1\0"s, "1e400"s,
                                  "-1e400"s, "1e-400"s, "."s, "e5"s}) {
    EXPECT_EQ(ParseDouble(text), std::nullopt) << text;
  }
}

TEST(ParseLongDouble, HoldsMoreThanADouble) {
  EXPECT_EQ(ParseLongDouble("1e400"), 1e400L);
  EXPECT_EQ(ParseLongDouble("9223372036854775807"), 9223372036854775807.0L);
  EXPECT_EQ(ParseLongDouble("1e5000"), std::nullopt);
  EXPECT_EQ(ParseLongDouble(" 1"), std::nullopt);
  EXPECT_EQ(ParseLongDouble(std::string(6000, '1')), std::nullopt);
}

TEST(FormatInt64, AgreesWithToStringAtEveryDigitCount) {
  int64_t value = 1;
  for (int digits = 1; digits <= 19; ++digits) {
    for (const int64_t near : {value - 1, value, value + 1, value * 9, -value, -value + 1}) {
      EXPECT_EQ(ToText(near), std::to_string(near));
    }
    if (digits < 19) value *= 10;
  }
  EXPECT_EQ(ToText(kInt64Min), "-9223372036854775808");
  EXPECT_EQ(ToText(kInt64Max), "9223372036854775807");
  char out[kInt64TextBytesMax];
  EXPECT_EQ(std::string(out, FormatUint64(18446744073709551615u, out)), "18446744073709551615");
}

TEST(IncrementLastDigit, IsAddingOneOrNothing) {
  int incremented = 0;
  const auto check = [&](const std::string& before) {
    std::string text = before;
    const bool done = IncrementLastDigit(text.data(), text.size());
    incremented += done ? 1 : 0;
    int64_t value = 0;
    const bool is_integer = ParseInt64(before, value);
    EXPECT_EQ(done, is_integer && value >= 0 && before.back() != '9' &&
                        before.size() <= kIncrementedDigitsMax)
        << before;
    EXPECT_EQ(text, done ? std::to_string(value + 1) : before);
  };
  for (size_t digits = 1; digits <= 19; ++digits) {
    const std::string whole = std::string("1234567812345678123").substr(0, digits);
    check(whole);
    check(std::string(digits, '9'));
    check(std::string(digits, '0'));
    check("-" + whole);
    for (size_t at = 0; at < digits; ++at) {
      for (const char c : {'/', ':', ' ', '-', '.', '\0', '\x19', 'a', '\xb1', '8'}) {
        std::string changed = whole;
        changed[at] = c;
        check(changed);
      }
    }
  }
  EXPECT_GT(incremented, 20);
  EXPECT_FALSE(IncrementLastDigit(nullptr, 0));
}

// Right column: what redis-server 7.0.15 answers to ZSCORE.
TEST(FormatDouble, AgreesWithRedis) {
  EXPECT_EQ(FormatDouble(3.1), "3.1000000000000001");
  EXPECT_EQ(FormatDouble(0.1), "0.10000000000000001");
  EXPECT_EQ(FormatDouble(-1.5), "-1.5");
  EXPECT_EQ(FormatDouble(1e15), "1000000000000000");
  EXPECT_EQ(FormatDouble(4503599627370495), "4503599627370495");
  EXPECT_EQ(FormatDouble(4503599627370496), "4503599627370496");
  EXPECT_EQ(FormatDouble(9007199254740993.0), "9007199254740992");
  EXPECT_EQ(FormatDouble(1e16), "10000000000000000");
  EXPECT_EQ(FormatDouble(1e17), "1e+17");
  EXPECT_EQ(FormatDouble(-1e17), "-1e+17");
  EXPECT_EQ(FormatDouble(1e-5), "1.0000000000000001e-05");
  EXPECT_EQ(FormatDouble(1e300), "1.0000000000000001e+300");
  EXPECT_EQ(FormatDouble(0), "0");
  EXPECT_EQ(FormatDouble(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(FormatDouble(-std::numeric_limits<double>::infinity()), "-inf");
}

// What redis-server 7.0.15 answers to INCRBYFLOAT.
TEST(FormatLongDouble, AgreesWithRedis) {
  EXPECT_EQ(FormatLongDouble(0.1L), "0.1");
  EXPECT_EQ(FormatLongDouble(3.0L + 1.1L), "4.1");
  EXPECT_EQ(FormatLongDouble(1e18L + 0.5L), "1000000000000000000.5");
  EXPECT_EQ(FormatLongDouble(5200), "5200");
  EXPECT_EQ(FormatLongDouble(10.5L + 0.1L), "10.6");
  EXPECT_EQ(FormatLongDouble(1.0L - 0.9L), "0.1");
  EXPECT_EQ(FormatLongDouble(-0.0L), "0");
  EXPECT_EQ(FormatLongDouble(1e-17L), "0.00000000000000001");
  EXPECT_EQ(FormatLongDouble(1e-18L), "0");
  EXPECT_EQ(FormatLongDouble(-100), "-100");
  EXPECT_EQ(FormatLongDouble(12345678901234567890.0L), "12345678901234567890");
  EXPECT_EQ(FormatLongDouble(std::numeric_limits<long double>::max()).size(), 4933u);
}

struct GlobCase {
  const char* pattern;
  const char* text;
  bool matches;
};

// What KEYS of redis-server 7.0.15 answers with one such key, oddities of unclosed and empty
// classes included.
constexpr GlobCase kGlobCases[] = {
    {"", "", true},
    {"", "a", false},
    {"*", "", true},
    {"**", "", false},
    {"?", "", false},
    {"a*", "a", true},
    {"a*", "ab", true},
    {"*a", "ba", true},
    {"*a", "ab", false},
    {"a*b*c", "aXbYc", true},
    {"a*b*c", "abcX", false},
    {"a?c", "abc", true},
    {"a?c", "ac", false},
    {"[abc]", "b", true},
    {"[abc]", "d", false},
    {"[^abc]", "d", true},
    {"[^abc]", "a", false},
    {"[a-c]x", "bx", true},
    {"[c-a]x", "bx", true},
    {"[a-]", "-", false},
    {"[a-]", "a", true},
    {"[]a]", "]", false},
    {"[]a]", "a", false},
    {"[]", "a", false},
    {"[^]", "a", true},
    {"[a", "a", true},
    {"[a", "ab", false},
    {"[^a", "b", true},
    {"a[", "a", false},
    {"a[", "a[", false},
    {"[\\]]", "]", true},
    {"[\\^a]", "^", true},
    {"[a\\-c]", "b", false},
    {"[a\\-c]", "-", true},
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"\\", "\\", true},
    {"a\\", "a\\", true},
    {"\\a", "a", true},
    {"a\\\\b", "a\\b", true},
    {"h[^e]llo", "hallo", true},
    {"h[^e]llo", "hello", false},
    {"h[a-b]llo", "hbllo", true},
    {"A", "a", false},
    {"[!a]", "b", false},
    {"[!a]", "!", true},
    {"a**b", "ab", true},
    {"a**b", "aXXb", true},
    {"*?", "a", true},
    {"*?*?", "a", false},
    {"*?*?", "ab", true},
    {"**a**", "bab", true},
    {"[a-c-e]", "-", true},
    {"[a-c-e]", "d", false},
};

TEST(GlobMatch, AgreesWithKeysOfRedis) {
  for (const GlobCase& c : kGlobCases) {
    EXPECT_EQ(GlobMatch(c.pattern, c.text), c.matches)
        << "pattern " << c.pattern << " text " << c.text;
  }
}

TEST(GlobMatch, FoldsCaseOnRequestOnly) {
  EXPECT_TRUE(GlobMatch("MAX*", "maxmemory", true));
  EXPECT_TRUE(GlobMatch("[A-C]x", "bX", true));
  EXPECT_FALSE(GlobMatch("MAX*", "maxmemory"));
}

TEST(GlobMatch, MatchesBytesThatAreNotText) {
  EXPECT_TRUE(GlobMatch("a\0*"s, "a\0b"s));
  EXPECT_FALSE(GlobMatch("a\0*"s, "ab"s));
  EXPECT_TRUE(GlobMatch("[\x80-\xff]", "\xc3"));
}

// Recursion over the stars would take longer than the universe here.
TEST(GlobMatch, ManyStarsTakeNoExponentialTime) {
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "a*";
  EXPECT_FALSE(GlobMatch(pattern + "b", std::string(5000, 'a')));
}

TEST(AppendQuoted, EscapesAsRedisDoes) {
  std::string out = ">";
  AppendQuoted(out, "a\"b\\c\n\r\t\a\b\x01\x7f\xff d"s);
  EXPECT_EQ(out, R"(>"a\"b\\c\n\r\t\a\b\x01\x7f\xff d")");
}

TEST(Case, IsAsciiOnly) {
  EXPECT_EQ(ToLowerAscii("AbZ[\xc0"), "abz[\xc0");
  EXPECT_EQ(ToUpperAscii("aBz{\xe0"), "ABZ{\xe0");
  EXPECT_TRUE(EqualsIgnoreCase("GeT", "gEt"));
  EXPECT_FALSE(EqualsIgnoreCase("get", "gets"));
  EXPECT_FALSE(EqualsIgnoreCase("[", "{"));
}

}  // namespace
}  // namespace tidegate
