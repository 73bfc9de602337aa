// The log: where its lines go when the file changes under it.
#include "base/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/eventually.h"
#include "tests/support/temporary_folder.h"

namespace tidegate {
namespace {

std::string FileText(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// As log rotation does it: the file is renamed, and opened again under the old name.
TEST(Log, OpensTheFileAgainUnderTheSameDescriptor) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.File("log");
  ASSERT_TRUE(log::OpenFile(path).ok());
  const int descriptor = log::Descriptor();
  log::Notice("before");
  std::filesystem::rename(path, path + ".1");
  ASSERT_TRUE(log::OpenFile(path).ok());
  log::Notice("after");
  EXPECT_EQ(log::Descriptor(), descriptor) << "a thread may be writing to it";
  EXPECT_FALSE(log::OpenFile("/nowhere/x.log").ok());
  log::Notice("still");
  ASSERT_TRUE(log::OpenFile("").ok());
  EXPECT_EQ(log::Descriptor(), STDOUT_FILENO);
  EXPECT_NE(FileText(path + ".1").find("before"), std::string::npos);
  EXPECT_EQ(FileText(path).find("before"), std::string::npos);
  EXPECT_NE(FileText(path).find("after"), std::string::npos);
  EXPECT_NE(FileText(path).find("still"), std::string::npos);
}

TEST(Log, AJsonLineIsOneObjectWhateverTheFieldsHold) {
  const LogField fields[] = {{"key", "a\"b\nc"}, {"bytes", "12", true}};
  const std::string line =
      log::FormatLine(LogFormat::kJson, LogSeverity::kWarning, "Slow \"request\"", fields);
  EXPECT_EQ(line.find("{\"time\":\"2"), 0u) << line;
  EXPECT_NE(line.find("\"level\":\"warning\",\"message\":\"Slow \\\"request\\\"\","
                      "\"key\":\"a\\\"b\\u000ac\",\"bytes\":12}\n"),
            std::string::npos)
      << line;
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
}

TEST(Log, ATextLineQuotesFields) {
  const LogField fields[] = {{"key", "a b\n"}, {"bytes", "12", true}};
  const std::string line =
      log::FormatLine(LogFormat::kText, LogSeverity::kNotice, "Access", fields);
  EXPECT_NE(line.find(" * Access key=\"a b\\u000a\" bytes=12\n"), std::string::npos) << line;
}

TEST(Log, TooManyLinesOfAKindAreCountedAndTold) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.File("log");
  ASSERT_TRUE(log::OpenFile(path).ok());
  constexpr int kLines = 10000;
  for (int i = 0; i < kLines; ++i)
    log::WriteOfKind(LogKind::kUpstream, LogSeverity::kWarning, "an upstream is down");
  log::Warning("of no kind");
  std::string text;
  EXPECT_TRUE(Eventually([&] {
    log::TellSuppressed();
    text = FileText(path);
    return text.find("upstreams") != std::string::npos;
  }));
  ASSERT_TRUE(log::OpenFile("").ok());
  size_t written = 0;
  for (size_t at = 0; (at = text.find("is down\n", at)) != std::string::npos; ++at) ++written;
  EXPECT_GE(written, kLogLinesPerSecondMax);
  EXPECT_LT(written, kLines / 2u);
  EXPECT_NE(text.find("of no kind"), std::string::npos);
  EXPECT_NE(text.find("suppressed="), std::string::npos);
}

}  // namespace
}  // namespace tidegate
