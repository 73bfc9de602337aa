#include "base/constant_time.h"

#include <gtest/gtest.h>

namespace tidegate {
namespace {

TEST(ConstantTime, ComparesLikeTheOperator) {
  EXPECT_TRUE(EqualsInConstantTime("", ""));
  EXPECT_TRUE(EqualsInConstantTime("secret", "secret"));
  EXPECT_FALSE(EqualsInConstantTime("secret", ""));
  EXPECT_FALSE(EqualsInConstantTime("", "secret"));
  EXPECT_FALSE(EqualsInConstantTime("secret", "Secret"));
  EXPECT_FALSE(EqualsInConstantTime("secret", "secre"));
  EXPECT_FALSE(EqualsInConstantTime("secret", "secretsecret"));
  EXPECT_FALSE(EqualsInConstantTime("a", "aa"));
}

}  // namespace
}  // namespace tidegate
