#include "storage/persist/data_directory.h"

#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"

namespace tidegate {
namespace {

constexpr std::string_view kFormatWord = "tidegate-data ";
constexpr int kFirstVersionWithSeed = 2;
constexpr std::string_view kSeedWord = "hash-seed ";

Error SystemError(const std::string& what) { return Error{what + ": " + strerror(errno)}; }

// Whole or not at all, also after a crash.
Status WriteFormat(const std::string& dir, const std::string& path, uint64_t hash_seed) {
  const std::string fresh = path + ".new";
  {
    std::ofstream file(fresh, std::ios::trunc);
    char seed[17];
    std::snprintf(seed, sizeof seed, "%016" PRIx64, hash_seed);
    file << kFormatWord << kDataFormatVersion << '\n' << kSeedWord << seed << '\n' << std::flush;
    if (!file) return SystemError("write " + fresh);
  }
  TG_RETURN_IF_ERROR(SyncPath(fresh));
  if (rename(fresh.c_str(), path.c_str()) != 0) return SystemError("rename " + fresh);
  return SyncPath(dir);
}

Result<int64_t> VersionOf(const std::string& path, const std::string& line) {
  std::optional<int64_t> version;
  if (line.starts_with(kFormatWord))
    version = ParseInt64(std::string_view(line).substr(kFormatWord.size()));
  if (!version || *version < 1) return Error{path + " is no format file of Tidegate"};
  if (*version > kDataFormatVersion) {
    return Error{path + " says format " + std::to_string(*version) +
                 ", written by a newer version of Tidegate; this one reads up to " +
                 std::to_string(kDataFormatVersion)};
  }
  return *version;
}

Result<uint64_t> SeedOf(const std::string& path, const std::string& line) {
  uint64_t seed = 0;
  if (line.starts_with(kSeedWord)) {
    const char* begin = line.data() + kSeedWord.size();
    const char* end = line.data() + line.size();
    const auto [stop, error] = std::from_chars(begin, end, seed, 16);
    if (error == std::errc() && stop == end && end != begin) return seed;
  }
  return Error{path + " names no seed of hashes"};
}

struct Format {
  int64_t version = 0;
  std::optional<uint64_t> seed;  // none in version 1
};

// What the file says.
Result<Format> ReadFormat(std::ifstream& file, const std::string& path) {
  std::string line;
  std::getline(file, line);
  const Result<int64_t> version = VersionOf(path, line);
  if (!version.ok()) return version.error();
  if (version.value() < kFirstVersionWithSeed) return Format{version.value(), std::nullopt};
  std::getline(file, line);
  const Result<uint64_t> seed = SeedOf(path, line);
  if (!seed.ok()) return seed.error();
  return Format{version.value(), seed.value()};
}

std::string FormatPath(const std::string& dir) { return dir + "/FORMAT"; }

DataDirectory Parts(const std::string& dir, uint64_t hash_seed) {
  return {dir + "/store", dir + "/journal", dir + "/checkpoint", hash_seed};
}

}  // namespace

Status WriteDataFormat(const std::string& dir, uint64_t hash_seed) {
  return WriteFormat(dir, FormatPath(dir), hash_seed);
}

Result<DataDirectory> PrepareDataDirectory(const std::string& dir) {
  std::error_code failed;
  std::filesystem::create_directories(dir, failed);
  if (failed) return Error{"make directory " + dir + ": " + failed.message()};
  const std::string path = FormatPath(dir);
  uint64_t seed = KeyHashSeed();
  if (std::ifstream file(path); file) {
    Result<Format> format = ReadFormat(file, path);
    if (!format.ok()) return std::move(format).error();
    seed = format->seed.value_or(seed);
    if (format->version == kDataFormatVersion) return Parts(dir, seed);
  }
  TG_RETURN_IF_ERROR(WriteFormat(dir, path, seed));
  return Parts(dir, seed);
}

Result<DataDirectory> FindDataDirectory(const std::string& dir) {
  const std::string path = FormatPath(dir);
  std::ifstream file(path);
  if (!file) return SystemError("open " + path);
  Result<Format> format = ReadFormat(file, path);
  if (!format.ok()) return std::move(format).error();
  return Parts(dir, format->seed.value_or(KeyHashSeed()));
}

bool IsDataDirectory(const std::string& dir) {
  std::ifstream file(FormatPath(dir));
  std::string line;
  return file && std::getline(file, line) && line.starts_with(kFormatWord);
}

}  // namespace tidegate
