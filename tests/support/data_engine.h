// DataEngine: a TestEngine that saves and loads files, as the server does it: with the engine for
// itself.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "base/check.h"
#include "storage/data_files.h"
#include "storage/introspection.h"
#include "tests/support/engine_fixture.h"

namespace tidegate::testing {

class DataEngine final {
 public:
  std::string Run(std::string_view line) { return engine_.Run(line); }
  TestEngine& test() { return engine_; }
  EngineSettings& settings() { return engine_.engine().settings(); }

  Result<SaveReport> Save(const std::string& path, const RdbWriteOptions& options = {}) {
    return Alone([&] { return SaveRdb(engine_.engine(), engine_.thread(), path, options); });
  }
  Result<LoadReport> Load(const std::string& path, const LoadOptions& options = {}) {
    return Alone([&] { return LoadRdb(engine_.engine(), engine_.thread(), path, options); });
  }
  Result<LoadReport> LoadLog(const std::string& path, const LoadOptions& options = {}) {
    return Alone([&] { return LoadAof(engine_.engine(), engine_.thread(), path, options); });
  }
  std::string Digest() {
    const std::string_view args[] = {"DEBUG", "DIGEST"};
    return engine_.RunCommand({.command = &DebugDigestCommand(), .args = args, .keys = {}});
  }

 private:
  template <typename Fn>
  std::invoke_result_t<Fn> Alone(Fn fn) {
    engine_.engine().BeginBatch(engine_.thread(), engine_.now_ms());
    TG_CHECK(engine_.engine().BeginAtomic(engine_.thread(), {}, true, engine_.client()) ==
             ExecStatus::kDone);
    auto result = fn();
    engine_.engine().EndAtomic(engine_.thread());
    engine_.engine().EndBatch(engine_.thread());
    return result;
  }

  TestEngine engine_;
};

}  // namespace tidegate::testing
