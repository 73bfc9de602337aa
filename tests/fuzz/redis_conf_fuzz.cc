// Any bytes as a redis.conf: settings or errors, never a crash; and settings survive a rewrite.
#include <cstdint>

#include "base/check.h"
#include "config/loader.h"
#include "config/rewrite.h"

namespace tidegate {

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Result<Options> options = ParseRedisConf(text, "fuzz.conf");
  if (!options.ok()) {
    TG_CHECK(!options.error().message.empty());
    return 0;
  }
  for (const std::string_view old_text : {std::string_view(), text}) {
    const std::string rewritten = RewriteRedisConf(old_text, *options);
    Result<Options> again = ParseRedisConf(rewritten, "rewritten.conf");
    TG_CHECK(again.ok());
    TG_CHECK(*again == *options);
  }
  return 0;
}

}  // namespace tidegate
