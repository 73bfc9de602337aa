// Fuzz target: whole RDB files, and append-only files when the first byte is odd.
//
// Whatever comes in is loaded or refused: no crash, no memory out of proportion. What was loaded is
// saved and loaded again, to an equal digest.

#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

#include "base/check.h"
#include "storage/rdb/crc64.h"
#include "storage/rdb/rdb_writer.h"
#include "tests/support/data_engine.h"
#include "tests/support/temporary_folder.h"

namespace {

using tidegate::testing::DataEngine;
using tidegate::testing::TemporaryFolder;

// With the right checksum, so that all of the reader is reached.
std::string WithFooter(std::string_view parts) {
  std::string file = "REDIS0011" + std::string(parts) + "\xff";
  tidegate::rdb::RdbWriter(file).Fixed64(tidegate::rdb::Crc64(0, file));
  return file;
}

// An engine that is empty again afterwards. The fuzzer looks for leaks after an input, and does not
// recognize an entry's address, beside its tag in a table, as one: entries that stay look like it.
class Emptied final {
 public:
  explicit Emptied(DataEngine& engine) : engine_(engine) {}
  ~Emptied() {
    engine_.Run("FLUSHALL");
    while (engine_.test().engine().PendingFreeBytes() != 0) std::this_thread::yield();
  }
  Emptied(const Emptied&) = delete;
  Emptied& operator=(const Emptied&) = delete;

 private:
  DataEngine& engine_;
};

void CheckRoundTrip(DataEngine& engine, const TemporaryFolder& folder) {
  static DataEngine again;
  static DataEngine third;
  const Emptied again_emptied(again);
  const Emptied third_emptied(third);
  const std::string first = folder.File("first.rdb");
  const std::string second = folder.File("second.rdb");
  TG_CHECK(engine.Save(first).ok());
  TG_CHECK(again.Load(first, {.keep_expired = true}).ok());
  // Not already the first one: in which order a -0 meets others decides what becomes of it.
  TG_CHECK(again.Save(second).ok());
  TG_CHECK(third.Load(second, {.keep_expired = true}).ok());
  TG_CHECK(third.Digest() == again.Digest());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const TemporaryFolder folder;
  static DataEngine engine;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const Emptied emptied(engine);
  if (data[0] % 2 == 1) {
    folder.Write("input", bytes);
    (void)engine.LoadLog(folder.File("input"));
    return 0;
  }
  folder.Write("input", WithFooter(bytes));
  if (engine.Load(folder.File("input"), {.replace = true, .keep_expired = true}).ok())
    CheckRoundTrip(engine, folder);
  return 0;
}
