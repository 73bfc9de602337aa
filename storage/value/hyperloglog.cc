#include "storage/value/hyperloglog.h"

#include <bit>
#include <cmath>
#include <limits>

namespace tidegate {
namespace {

constexpr std::string_view kMagic = "HYLL";
constexpr uint8_t kSparse = 1;

// How many registers have each value.
using Histogram = uint32_t[HyperLogLogLayout::kRegisterMax + 1];

// Counts depend on it, so it is one for all servers.
constexpr uint64_t kHashSeed = 0xadc83b19;

uint64_t MurmurHash64A(std::string_view bytes, uint64_t seed) {
  constexpr uint64_t kMultiplier = 0xc6a4a7935bd1e995;
  constexpr int kShift = 47;
  const auto* p = reinterpret_cast<const uint8_t*>(bytes.data());
  size_t left = bytes.size();
  uint64_t hash = seed ^ (bytes.size() * kMultiplier);
  for (; left >= sizeof(uint64_t); left -= sizeof(uint64_t), p += sizeof(uint64_t)) {
    uint64_t word = LoadLittle<uint64_t>(p) * kMultiplier;
    word = (word ^ (word >> kShift)) * kMultiplier;
    hash = (hash ^ word) * kMultiplier;
  }
  if (left > 0) {
    uint64_t tail = 0;
    std::memcpy(&tail, p, left);
    hash = (hash ^ tail) * kMultiplier;
  }
  hash = (hash ^ (hash >> kShift)) * kMultiplier;
  return hash ^ (hash >> kShift);
}

// The two series of Ertl's estimator, summed until a term changes nothing.
double Sigma(double x) {
  if (x == 1.0) return std::numeric_limits<double>::infinity();
  double weight = 1;
  double sum = x;
  double before = 0;
  do {
    x *= x;
    before = sum;
    sum += x * weight;
    weight += weight;
  } while (before != sum);
  return sum;
}

double Tau(double x) {
  if (x == 0.0 || x == 1.0) return 0.0;
  double weight = 1;
  double sum = 1 - x;
  double before = 0;
  do {
    x = std::sqrt(x);
    before = sum;
    weight *= 0.5;
    sum -= (1 - x) * (1 - x) * weight;
  } while (before != sum);
  return sum / 3;
}

uint64_t Estimate(const Histogram& histogram) {
  constexpr double kAlphaInfinity = 0.721347520444481703680;  // 0.5 / ln 2
  constexpr uint32_t kRuns = HyperLogLogLayout::kRunBits;
  constexpr double kRegisters = HyperLogLogLayout::kRegisters;
  double z = kRegisters * Tau((kRegisters - histogram[kRuns + 1]) / kRegisters);
  for (uint32_t run = kRuns; run >= 1; --run) {
    z += histogram[run];
    z *= 0.5;
  }
  z += kRegisters * Sigma(histogram[0] / kRegisters);
  return static_cast<uint64_t>(std::llround(kAlphaInfinity * kRegisters * kRegisters / z));
}

}  // namespace

HyperLogLogUpdate HyperLogLogUpdateOf(std::string_view element) {
  const uint64_t hash = MurmurHash64A(element, kHashSeed);
  // The bit behind the last one ends every run.
  const uint64_t runs = hash >> HyperLogLogLayout::kIndexBits | uint64_t{1}
                                                                    << HyperLogLogLayout::kRunBits;
  return {static_cast<uint32_t>(hash & (HyperLogLogLayout::kRegisters - 1)),
          static_cast<uint8_t>(std::countr_zero(runs) + 1)};
}

void SetDenseRegister(uint8_t* registers, uint32_t index, uint8_t value) {
  constexpr uint32_t kMask = HyperLogLogLayout::kRegisterMax;
  const uint32_t bit = index * HyperLogLogLayout::kRegisterBits;
  const uint32_t shift = bit & 7;
  uint8_t* p = registers + bit / 8;
  p[0] = static_cast<uint8_t>((p[0] & ~(kMask << shift)) | static_cast<uint32_t>(value) << shift);
  if (shift + HyperLogLogLayout::kRegisterBits <= 8) return;
  p[1] = static_cast<uint8_t>((p[1] & ~(kMask >> (8 - shift))) | value >> (8 - shift));
}

bool HyperLogLogView::IsValid(std::string_view bytes) {
  if (bytes.size() < HyperLogLogLayout::kHeaderBytes || !bytes.starts_with(kMagic)) return false;
  const auto encoding = static_cast<uint8_t>(bytes[HyperLogLogLayout::kEncodingAt]);
  if (encoding > kSparse) return false;
  return encoding == kSparse || bytes.size() == HyperLogLogLayout::kDenseBytes;
}

bool HyperLogLogView::Count(uint64_t* cardinality) const {
  Histogram histogram = {};
  if (!ForEachRun(
          [&histogram](uint32_t, uint32_t count, uint8_t value) { histogram[value] += count; })) {
    return false;
  }
  *cardinality = Estimate(histogram);
  return true;
}

bool HyperLogLogUnion::Merge(HyperLogLogView from) {
  return from.ForEachRun([this](uint32_t first, uint32_t count, uint8_t value) {
    if (value == 0) return;
    for (uint32_t i = first; i < first + count; ++i) {
      if (registers_[i] < value) registers_[i] = value;
    }
  });
}

uint64_t HyperLogLogUnion::Count() const {
  Histogram histogram = {};
  for (const uint8_t value : registers_) ++histogram[value];
  return Estimate(histogram);
}

}  // namespace tidegate
