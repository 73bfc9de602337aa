// Big keys: from which size on a key is one.
#include "config/option_value.h"
#include "config/rows.h"

namespace tidegate {
namespace {

using enum OptionType;

// As storage/size_watch.h has them: less would be a value that lies in its key's entry, where the
// engine does not look.
constexpr int64_t kBytesMin = 4096;
constexpr int64_t kElementsMin = 1000;

constexpr OptionRow kRows[] = {
    {.name = "big-keys",
     .type = kYesNo,
     .initial = "yes",
     .member = NumberMember<&Options::big_keys>(),
     .help = "Notice big keys as requests for them come by."},
    {.name = "big-key-bytes",
     .type = kMemory,
     .initial = "1048576",
     .min = kBytesMin,
     .member = NumberMember<&Options::big_key_bytes>(),
     .help = "Size of a value from which its key is big."},
    {.name = "big-key-warn-bytes",
     .type = kMemory,
     .initial = "65536",
     .min = kBytesMin,
     .member = NumberMember<&Options::big_key_warn_bytes>(),
     .help = "Size of a value from which its key is listed, although it is not big yet."},
    {.name = "big-key-elements",
     .type = kInteger,
     .initial = "5000",
     .min = kElementsMin,
     .member = NumberMember<&Options::big_key_elements>(),
     .help = "Elements of a list, set, hash, sorted set or stream from which its key is big."},
    {.name = "big-key-rate",
     .type = kMemory,
     .initial = "10485760",
     .min = 1,
     .member = NumberMember<&Options::big_key_rate>(),
     .help = "Bytes a second in large requests and replies from which a key is big."},
};

}  // namespace

const OptionGroup kBigKeyOptions = {"Big keys", "When a key counts as big; see docs/big-keys.md.",
                                    kRows};

}  // namespace tidegate
