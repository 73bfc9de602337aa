// The log: where its lines go when the file changes under it.
#include "base/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

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

}  // namespace
}  // namespace tidegate
