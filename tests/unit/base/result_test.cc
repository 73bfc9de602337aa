#include "base/result.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tidegate {
namespace {

Status Fails() { return Error{"No space left"}; }
Status Passes() { return {}; }

Status Forwards(bool fail) {
  TG_RETURN_IF_ERROR(Passes());
  if (fail) TG_RETURN_IF_ERROR(Fails());
  return {};
}

TEST(Result, HoldsAValueOrAnError) {
  const Result<int> value = 3;
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value.value(), 3);
  const Result<int> error = Error{"nope"};
  ASSERT_FALSE(error.ok());
  EXPECT_EQ(error.error().message, "nope");
}

TEST(Result, MovesWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  const std::unique_ptr<int> owned = *std::move(result);
  EXPECT_EQ(*owned, 7);
}

TEST(Result, ErrorsReadFromTheOutsideIn) {
  const Error error =
      Error{"No space left"}.WithContext("IO error").WithContext("open store ./data");
  EXPECT_EQ(error.message, "open store ./data: IO error: No space left");
}

TEST(Result, ReturnIfErrorForwardsTheErrorAlone) {
  EXPECT_TRUE(Forwards(false).ok());
  const Status failed = Forwards(true);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message, "No space left");
}

TEST(ResultDeathTest, ReadingWhatIsNotThereIsABug) {
  EXPECT_DEATH((void)Result<int>(Error{"x"}).value(), "CHECK failed");
  EXPECT_DEATH((void)Status().error(), "CHECK failed");
}

}  // namespace
}  // namespace tidegate
