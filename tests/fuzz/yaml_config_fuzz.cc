// Any bytes as a YAML configuration: settings or errors, never a crash or an exception.
#include <cstdint>

#include "base/check.h"
#include "config/loader.h"

namespace tidegate {

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Result<Options> options = ParseYaml(text, "fuzz.yaml");
  if (!options.ok()) {
    TG_CHECK(!options.error().message.empty());
    return 0;
  }
  TG_CHECK(!options->listeners.empty());
  TG_CHECK(!options->clusters.empty());
  TG_CHECK(!options->routes.empty());
  return 0;
}

}  // namespace tidegate
