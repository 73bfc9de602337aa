#include "storage/persist/wal_check.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/crc32c.h"

namespace tidegate {
namespace {

constexpr size_t kBlockBytes = 32768;
constexpr size_t kHeaderBytes = 7;
constexpr size_t kTypeAt = 6;

enum class Fragment : uint8_t { kWhole, kNothing, kDamaged };

uint32_t Unmask(uint32_t masked) {
  const uint32_t rotated = masked - 0xa282ead8u;
  return rotated >> 17 | rotated << 15;
}

// What is at `at` of a block; `bytes`: what it takes.
Fragment Look(std::string_view block, size_t at, size_t* bytes) {
  const std::string_view head = block.substr(at, kHeaderBytes);
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(head[i])); };
  const size_t length = byte(4) | byte(5) << 8;
  *bytes = kHeaderBytes + length;
  // Space that was set aside and never written.
  if (byte(kTypeAt) == 0 && length == 0) return Fragment::kNothing;
  if (at + *bytes > block.size()) return Fragment::kDamaged;
  const uint32_t stored = byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
  const std::string_view covered = block.substr(at + kTypeAt, 1 + length);
  return Crc32c(covered) == Unmask(stored) ? Fragment::kWhole : Fragment::kDamaged;
}

// Goes on behind damage at the next block: within one the length that leads on is not to be
// trusted.
void CheckFile(const std::string& path, std::optional<WalDamage>& damage) {
  std::ifstream file(path, std::ios::binary);
  std::string block(kBlockBytes, '\0');
  for (uint64_t begin = 0;; begin += kBlockBytes) {
    file.read(block.data(), kBlockBytes);
    const auto size = static_cast<size_t>(file.gcount());
    const std::string_view read(block.data(), size);
    for (size_t at = 0; at + kHeaderBytes <= size;) {
      size_t bytes = 0;
      const Fragment fragment = Look(read, at, &bytes);
      if (fragment == Fragment::kNothing) break;
      if (fragment == Fragment::kDamaged) {
        if (!damage) damage = WalDamage{path, begin + at, true};
        break;
      }
      if (damage) {
        damage->at_end = false;
        return;
      }
      at += bytes;
    }
    if (size < kBlockBytes) return;
  }
}

}  // namespace

std::optional<WalDamage> FindWalDamage(const std::string& directory) {
  std::vector<std::string> logs;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(directory, failed)) {
    if (entry.path().extension() == ".log") logs.push_back(entry.path().string());
  }
  std::sort(logs.begin(), logs.end());  // names are numbers of six digits and more, padded
  std::optional<WalDamage> damage;
  for (const std::string& path : logs) {
    CheckFile(path, damage);
    if (damage && !damage->at_end) break;
  }
  return damage;
}

}  // namespace tidegate

// RocksDB's checksum of its log, by the processor's instruction. Debian builds RocksDB for
// processors without it, so that a byte of the log costs as much as all the rest of its way to the
// disk: a twentieth of a SET. The library calls this function through the dynamic linker, as it
// does all that are not local to a file, and a program that has it comes first. It computes the
// same: what is checked above is what RocksDB wrote. Here, and not in a file of its own, because
// nothing in the program refers to it, and a linker leaves such files out.
namespace rocksdb::crc32c {

// NOLINTNEXTLINE(misc-use-internal-linkage): RocksDB declares it, in a header it keeps to itself
uint32_t Extend(uint32_t before, const char* data, size_t size) {
  return tidegate::Crc32c({data, size}, before);
}

}  // namespace rocksdb::crc32c
