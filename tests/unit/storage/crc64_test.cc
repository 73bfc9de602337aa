#include "storage/rdb/crc64.h"

#include <gtest/gtest.h>

#include <string>

namespace tidegate::rdb {
namespace {

TEST(Crc64, IsTheOneOfRedis) { EXPECT_EQ(Crc64(0, "123456789"), 0xe9c6d914c4b8d9cau); }

TEST(Crc64, ZerosAreSkippedInAMoment) {
  for (const size_t zeros : {0u, 1u, 2u, 7u, 8u, 255u, 1000u, 65537u}) {
    const uint64_t crc = Crc64(0, "before");
    EXPECT_EQ(Crc64OfZeros(crc, zeros), Crc64(crc, std::string(zeros, '\0'))) << zeros;
  }
}

}  // namespace
}  // namespace tidegate::rdb
