#include "proxy/admin/admin_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_folder.h"

namespace tidegate {
namespace {

using ::testing::EndsWith;
using ::testing::StartsWith;
using enum AdminVerdict;

constexpr const char* kToken = "correct-horse-battery";

TEST(AdminAccess, WithoutATokenOtherMachinesGetMetricsAndHealth) {
  const AdminAccess access("", false);
  for (const char* path : {"/metrics", "/healthz", "/readyz"}) {
    EXPECT_EQ(access.Judge({.path = path, .host = "tidegate.svc:9901", .is_local = false}),
              kAllowed)
        << path;
  }
  for (const char* path : {"/", "/hotkeys", "/stats", "/backup", "/metrics/", "/nosuch"}) {
    EXPECT_EQ(access.Judge({.path = path, .host = "10.0.0.1", .is_local = false}), kNotLocal)
        << path;
    EXPECT_EQ(access.Judge({.path = path, .host = "10.0.0.1", .is_local = true}), kAllowed);
    // A page whose name was pointed at this machine.
    EXPECT_EQ(access.Judge({.path = path, .host = "evil.example", .is_local = true}), kForeignHost);
  }
}

TEST(AdminAccess, OnTheLoopbackAForeignNameGetsNothing) {
  for (const char* token : {"", kToken}) {
    const AdminAccess access(token, true);
    EXPECT_EQ(access.Judge({.path = "/metrics", .host = "evil.example"}), kForeignHost);
    EXPECT_EQ(access.Judge({.path = "/healthz", .host = "evil.example"}), kAllowed);
  }
}

TEST(AdminAccess, TheTokenComesAsBearerOrAsAPassword) {
  const AdminAccess access(kToken, false);
  const auto judge = [&](std::string_view header) {
    return access.Judge({.path = "/", .host = "any.name", .authorization = header});
  };
  EXPECT_EQ(judge("Bearer correct-horse-battery"), kAllowed);
  EXPECT_EQ(judge("bearer  correct-horse-battery"), kAllowed);
  EXPECT_EQ(judge("Basic OmNvcnJlY3QtaG9yc2UtYmF0dGVyeQ=="), kAllowed);  // no user
  EXPECT_EQ(judge("Basic bWU6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5"), kAllowed);  // me
  for (const char* wrong :
       {"", "Bearer", "Bearer ", "Bearer correct-horse-batter", "Bearer correct-horse-batteryy",
        "correct-horse-battery", "Digest correct-horse-battery", "Basic", "Basic ",
        "Basic correct-horse-battery", "Basic Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5",  // no colon
        "Basic bWU6Y29ycmVjdA==", "Basic bWU6", "Basic ====", "Basic \xff"}) {
    EXPECT_EQ(judge(wrong), kNoToken) << wrong;
  }
}

TEST(AdminAccess, TheTokenOfAFileIsItsFirstLine) {
  const testing::TemporaryFolder folder;
  Options options;
  EXPECT_EQ(AdminTokenOf(options).value(), "");
  options.kept["admin-token"] = kToken;
  EXPECT_EQ(AdminTokenOf(options).value(), kToken);
  const std::string path = folder.File("token");
  options.kept = {{"admin-token-file", path}};
  EXPECT_THAT(AdminTokenOf(options).error().message, StartsWith("admin-token-file: open "));
  std::ofstream(path) << kToken << "\r\nnot this\n";
  EXPECT_EQ(AdminTokenOf(options).value(), kToken);
  std::ofstream(path) << "\n" << kToken;
  EXPECT_THAT(AdminTokenOf(options).error().message, EndsWith("characters without spaces"));
}

}  // namespace
}  // namespace tidegate
