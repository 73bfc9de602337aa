// Load shedding: when requests are refused because there are too many.
#include "config/option_value.h"
#include "config/rows.h"

namespace tidegate {
namespace {

using enum OptionType;

constexpr EnumName kModes[] = {
    {"auto", static_cast<int64_t>(LoadShedding::kAuto)},
    {"off", static_cast<int64_t>(LoadShedding::kOff)},
    {"observe", static_cast<int64_t>(LoadShedding::kObserve)},
    {"enforce", static_cast<int64_t>(LoadShedding::kEnforce)},
};

// Below a millisecond it would be the time of a single turn; above a minute nobody waits any more.
constexpr std::chrono::milliseconds kWaitMin{1};
constexpr std::chrono::milliseconds kWaitMax{60'000};

OptionFault ParseWait(Options& options, std::span<const std::string> words) {
  const std::optional<std::chrono::milliseconds> wait = ParseDuration(words[0]);
  if (!wait || *wait < kWaitMin || *wait > kWaitMax)
    return "argument must be a duration with a unit, from 1ms to 1m";
  options.load_shedding_wait = *wait;
  return std::nullopt;
}

std::string PrintWait(const Options& options) { return PrintDuration(options.load_shedding_wait); }

constexpr OptionRow kRows[] = {
    {.name = "load-shedding",
     .type = kEnum,
     .initial = "auto",
     .names = kModes,
     .member = NumberMember<&Options::load_shedding>(),
     .help = "Refuse requests early when there are more than can be served: `observe` counts them, "
             "`enforce` refuses them. `auto`: enforced with `profile strict`, observed otherwise."},
    {.name = "load-shedding-wait",
     .type = kSpecial,
     .initial = "50ms",
     .codec = {ParseWait, PrintWait},
     .help = "How long a request may have waited for its worker before it is refused: a read of a "
             "route of normal priority. Others: half as long to three times as long."},
    {.name = "load-shedding-memory",
     .type = kMemory,
     .initial = "0",
     .member = NumberMember<&Options::load_shedding_memory>(),
     .help = "Memory of the process (resident) from which commands that may need more are refused. "
             "0: no limit."},
};

}  // namespace

const OptionGroup kLoadSheddingOptions = {
    "Load shedding", "When requests are refused early; see docs/guards/load_shedding.md.", kRows};

}  // namespace tidegate
