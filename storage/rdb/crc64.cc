#include "storage/rdb/crc64.h"

#include <array>

#include "storage/breathe.h"
#include "storage/value/little_endian.h"

namespace tidegate::rdb {
namespace {

constexpr uint64_t kReflectedPolynomial = 0x95ac9329ac4bc9b5u;
constexpr size_t kSlices = 8;
using Tables = std::array<std::array<uint64_t, 256>, kSlices>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint64_t byte = 0; byte < 256; ++byte) {
    uint64_t crc = byte;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? kReflectedPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t slice = 1; slice < kSlices; ++slice) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint64_t before = tables[slice - 1][byte];
      tables[slice][byte] = tables[0][before & 0xff] ^ (before >> 8);
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

// What a number of zero bytes does to a sum is linear over its bits: what each bit becomes.
using Operator = std::array<uint64_t, 64>;

uint64_t Apply(const Operator& to, uint64_t crc) {
  uint64_t sum = 0;
  for (size_t bit = 0; crc != 0; ++bit, crc >>= 1) sum ^= (crc & 1) != 0 ? to[bit] : 0;
  return sum;
}

Operator OfOneZero() {
  Operator one{};
  for (size_t bit = 0; bit < one.size(); ++bit) {
    const uint64_t crc = uint64_t{1} << bit;
    one[bit] = kTables[0][crc & 0xff] ^ (crc >> 8);
  }
  return one;
}

Operator Twice(const Operator& once) {
  Operator twice{};
  for (size_t bit = 0; bit < twice.size(); ++bit) twice[bit] = Apply(once, once[bit]);
  return twice;
}

}  // namespace

uint64_t Crc64(uint64_t crc, std::string_view bytes) {
  const auto* p = reinterpret_cast<const uint8_t*>(bytes.data());
  size_t left = bytes.size();
  for (; left >= kSlices; left -= kSlices, p += kSlices) {
    crc ^= LoadLittle<uint64_t>(p);
    uint64_t next = 0;
    for (size_t slice = 0; slice < kSlices; ++slice)
      next ^= kTables[kSlices - 1 - slice][(crc >> (8 * slice)) & 0xff];
    crc = next;
  }
  for (; left > 0; --left, ++p) crc = kTables[0][(crc ^ *p) & 0xff] ^ (crc >> 8);
  return crc;
}

uint64_t Crc64OfZeros(uint64_t crc, uint64_t bytes) {
  for (Operator zeros = OfOneZero(); bytes != 0; bytes >>= 1, zeros = Twice(zeros)) {
    if ((bytes & 1) != 0) crc = Apply(zeros, crc);
  }
  return crc;
}

uint64_t Crc64InPieces(std::string_view bytes) {
  constexpr size_t kPieceBytes = size_t{64} << 10;
  uint64_t crc = 0;
  for (size_t at = 0; at < bytes.size(); at += kPieceBytes) {
    Breathe();
    crc = Crc64(crc, bytes.substr(at, kPieceBytes));
  }
  return crc;
}

}  // namespace tidegate::rdb
