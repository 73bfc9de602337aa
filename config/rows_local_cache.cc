// Options of the local cache that are the process's; routes say what is kept.
#include "config/rows.h"

namespace tidegate {
namespace {

using enum OptionType;

constexpr OptionRow kRows[] = {
    {.name = "local-cache-memory",
     .type = kMemory,
     .initial = "67108864",
     .member = NumberMember<&Options::local_cache_memory>(),
     .help = "Memory for replies of upstreams that routes with `local_cache` keep, of all workers "
             "together. 0: none are kept."},
};

}  // namespace

const OptionGroup kLocalCacheOptions = {
    "Local cache", "Replies of hot keys behind upstreams; see docs/guards/local_cache.md.", kRows};

}  // namespace tidegate
