#include "storage/persist/wal_check.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>
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

struct FileCheck {
  std::optional<WalDamage> damage;
  bool any_whole = false;  // a record, wherever
  bool torn = false;       // the damage is that the file ends in the middle of a record
};

// Goes on behind damage at the next block: within one the length that leads on is not to be
// trusted.
FileCheck CheckFile(const std::string& path) {
  FileCheck check;
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
        if (check.damage) break;
        check.damage = WalDamage{path, begin + at, true};
        check.torn = size < kBlockBytes && at + bytes > size;
        break;
      }
      check.any_whole = true;
      if (check.damage) {
        check.damage->at_end = false;
        return check;
      }
      at += bytes;
    }
    if (size < kBlockBytes) return check;
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
  FileCheck found;
  for (const std::string& path : logs) {
    FileCheck check = CheckFile(path);
    if (found.damage && check.any_whole) {
      if (!found.torn) {
        found.damage->at_end = false;
        break;
      }
      // An earlier start came upon this end, and went on in a log of its own.
      found = {};
    }
    if (!found.damage) found = std::move(check);
    if (found.damage && !found.damage->at_end) break;
  }
  return std::move(found.damage);
}

Status CutOffDamage(const WalDamage& damage) {
  const auto failed = [&] { return Error{"cut off " + damage.file + ": " + strerror(errno)}; };
  const int fd = open(damage.file.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return failed();
  Status status;
  if (ftruncate(fd, static_cast<off_t>(damage.offset)) != 0 || fsync(fd) != 0) status = failed();
  close(fd);
  return status;
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
