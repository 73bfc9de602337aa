// OptionsBuilder: where all sources of settings meet. A reader (redis.conf, YAML, flags) says "this
// name, these words, from this line"; the builder finds the row, sets it over what earlier sources
// said, and collects every mistake with its place, so that a person sees all of them at once.
// Invariant: a mistake changes no setting, so what follows it is judged as if it were not there.
// Owner: the thread that loads. Used inside config/ only.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/option_table.h"
#include "config/options.h"

namespace tidegate {

// Mistakes that are listed before "and more"; a wrong kind of file would list each of its lines.
inline constexpr size_t kConfigErrorsMax = 20;

// Bytes of a name or value that a mistake quotes; a binary file has lines without end.
inline constexpr size_t kExcerptBytesMax = 80;

// Where a setting was written. Line 0: the source has no lines (flags).
struct ConfigPlace {
  std::string_view source;
  int line = 0;
};

class OptionsBuilder final {
 public:
  // Later calls win. Mistakes are remembered, not returned.
  void Assign(std::string_view name, std::span<const std::string> words, ConfigPlace place);
  void Fail(ConfigPlace place, std::string_view what);

  Options& options() { return options_; }

  // The finished options, or all mistakes, one line each.
  Result<Options> Finish() &&;

  // One line for each setting that was accepted and does nothing.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  Options options_;
  std::vector<std::string> errors_;
  size_t errors_dropped_ = 0;
  std::vector<std::string> warnings_;
};

// "file:12: " or "file: ".
std::string PrintPlace(ConfigPlace place);

// What a person wrote, to be quoted in a message: cut when long, control bytes as \xNN.
std::string Excerpt(std::string_view text);

// " (did you mean 'x'?)", or nothing.
std::string DidYouMean(const std::optional<std::string>& name);

}  // namespace tidegate
