#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace tidegate {
namespace {

TEST(Crc32c, IsThatOfTheStandard) {
  // RFC 3720, B.4, and the check value of the catalogue of CRCs.
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(Crc32c(""), 0u);
}

TEST(Crc32c, GoesOnWhereItStopped) {
  const std::string text = "records are checked when written and again when read";
  for (size_t cut = 0; cut <= text.size(); ++cut)
    EXPECT_EQ(Crc32c(text.substr(cut), Crc32c(text.substr(0, cut))), Crc32c(text));
}

TEST(Crc32c, IsTheSameWithAndWithoutTheInstruction) {
  std::minstd_rand random(7);
  for (size_t size = 0; size < 300; ++size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    EXPECT_EQ(Crc32c(bytes), internal::Crc32cByTable(bytes, 0));
  }
}

}  // namespace
}  // namespace tidegate
