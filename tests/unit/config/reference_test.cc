#include "config/reference.h"

#include <fstream>
#include <sstream>

#include "config/loader.h"
#include "config/option_table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/source_folder.h"

namespace tidegate {
namespace {

std::string FileText(const std::string& path) {
  const std::ifstream file(testing::SourceFolder() + "/" + path);
  EXPECT_TRUE(file.good()) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(Reference, CommittedPageIsCurrent) {
  EXPECT_EQ(FileText("docs/reference/options.md"), OptionsReference())
      << "regenerate with: tidegate --print-options-doc > docs/reference/options.md";
}

TEST(Reference, CommittedConfigIsCurrent) {
  EXPECT_EQ(FileText("config/tidegate.yaml"), DefaultConfig())
      << "regenerate with: tidegate --print-default-config > config/tidegate.yaml";
}

TEST(Reference, NamesEveryOptionThatIsNotHidden) {
  const std::string page = OptionsReference();
  ForEachOption([&](const OptionRow& row) {
    const bool named = page.find("`" + std::string(row.name) + "`") != std::string::npos;
    EXPECT_EQ(named, !row.hidden) << row.name;
  });
}

TEST(DefaultConfig, IsTheDefault) {
  Result<Options> options = ParseYaml(DefaultConfig(), "default");
  ASSERT_TRUE(options.ok()) << options.error().message;
  Result<Options> defaults = ParseYaml("", "empty");
  EXPECT_EQ(*options, *defaults);
}

// Each comment that looks like a setting is one: taking its # away leaves a valid file that changes
// nothing.
TEST(DefaultConfig, CommentedSettingsAreValid) {
  std::istringstream lines(DefaultConfig());
  std::string text;
  int uncommented = 0;
  for (std::string line; std::getline(lines, line);) {
    const size_t hash = line.find("# ");
    const size_t colon = line.find(": ");
    if (hash != std::string::npos && colon != std::string::npos && hash + 2 < colon) {
      const std::string name = line.substr(hash + 2, colon - hash - 2);
      if (FindOption(name) != nullptr &&
          line.substr(0, hash).find_first_not_of(' ') == std::string::npos) {
        line.erase(hash, 2);
        ++uncommented;
      }
    }
    text += line + "\n";
  }
  EXPECT_GE(uncommented, 50);
  Result<Options> options = ParseYaml(text, "uncommented");
  ASSERT_TRUE(options.ok()) << options.error().message;
  EXPECT_EQ(*options, *ParseYaml("", "empty"));
}

}  // namespace
}  // namespace tidegate
