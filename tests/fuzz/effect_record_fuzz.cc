// Fuzz target: records of effects. Whatever comes in is refused or applied, and the engine goes on;
// what can be read can be written again to the same bytes.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "storage/journal/effect_log.h"
#include "storage/journal/record_applier.h"
#include "tests/support/engine_fixture.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidegate;
  static testing::TestEngine engine;
  static RecordApplier applier(engine.engine(), engine.thread(), engine.table());
  const std::string_view record(reinterpret_cast<const char*>(data), size);
  EffectLog again;
  EffectReader reader(record);
  EffectCommand command;
  for (;;) {
    const Result<bool> more = reader.Next(command);
    if (!more.ok()) return 0;
    if (!more.value()) break;
    again.Add(command.db, {}, command.args);
  }
  TG_CHECK(again.record() == record);
  (void)applier.Apply(record, engine.now_ms());
  TG_CHECK(engine.Run("FLUSHALL") == testing::kOk);
  return 0;
}
