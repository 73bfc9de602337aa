// Persistence: the journal, and the names of Redis's files. A value that promises what this version
// cannot do (snapshots at save points) is refused.

#include "base/text.h"
#include "config/option_value.h"
#include "config/rows.h"

namespace tidegate {
namespace {

using enum OptionType;

constexpr auto kEngine = YamlPlace::kEngine;
constexpr std::string_view kNoSnapshots =
    "this version of Tidegate writes no snapshots by itself; say save \"\", and appendonly yes if "
    "the data must outlive a restart";

constexpr EnumName kAppendfsync[] = {
    {"everysec", static_cast<int64_t>(Appendfsync::kEverysec)},
    {"always", static_cast<int64_t>(Appendfsync::kAlways)},
    {"no", static_cast<int64_t>(Appendfsync::kNo)},
};

OptionFault ParseDir(Options& options, std::span<const std::string> words) {
  if (words.size() != 1 || words[0].empty()) return "No such file or directory";
  options.dir = words[0];
  return std::nullopt;
}

std::string PrintDir(const Options& options) { return options.dir; }

// Pairs of seconds and changes; one empty word for none.
OptionFault KeepSavePoints(std::span<const std::string> words, std::string& text) {
  text.clear();
  if (words.size() == 1 && words[0].empty()) return std::nullopt;
  if (words.size() % 2 != 0) return "Invalid save parameters";
  for (size_t i = 0; i < words.size(); ++i) {
    const std::optional<int64_t> number = ParseInt64(words[i]);
    if (!number || *number < (i % 2 == 0 ? 1 : 0)) return "Invalid save parameters";
  }
  text = JoinWords(words);
  return std::nullopt;
}

OptionFault KeepFileName(std::span<const std::string> words, std::string& text) {
  if (words[0].find('/') != std::string::npos) return "must be a file name without a path";
  text = words[0];
  return std::nullopt;
}

constexpr OptionRow kRows[] = {
    {.name = "dir",
     .type = kSpecial,
     .initial = "./data",
     .codec = {ParseDir, PrintDir},
     .protected_config = true,
     .yaml = kEngine,
     .help = "Directory of the data; made when it is missing."},
    {.name = "save",
     .type = kSpecial,
     .initial = "",
     .many_words = true,
     .yaml = kEngine,
     .fixed = kNoSnapshots,
     .keep = KeepSavePoints,
     .help = "When a snapshot is written: pairs of seconds and changes."},
    {.name = "appendonly",
     .type = kYesNo,
     .initial = "no",
     .member = NumberMember<&Options::appendonly>(),
     .at_start = true,
     .yaml = kEngine,
     .help =
         "Record every change on disk, in `dir`, and replay it at the next start. Takes effect at "
         "a start; the record is never shortened in this version."},
    {.name = "appendfsync",
     .type = kEnum,
     .initial = "everysec",
     .names = kAppendfsync,
     .member = NumberMember<&Options::appendfsync>(),
     .yaml = kEngine,
     .help =
         "When recorded changes are forced to disk: before their replies are sent (always), once "
         "a second, or when the system likes. Without `appendonly` it means nothing."},
    {.name = "appendfilename",
     .type = kText,
     .initial = "appendonly.aof",
     .run_time = false,
     .yaml = kEngine,
     .keep = KeepFileName,
     .help = "Name of Redis's append-only files."},
    {.name = "appenddirname",
     .type = kText,
     .initial = "appendonlydir",
     .run_time = false,
     .yaml = kEngine,
     .keep = KeepFileName,
     .help = "Directory of Redis's append-only files."},
    {.name = "dbfilename",
     .type = kText,
     .initial = "dump.rdb",
     .protected_config = true,
     .yaml = kEngine,
     .keep = KeepFileName,
     .help = "Name of Redis's snapshot file."},
    {.name = "no-appendfsync-on-rewrite",
     .type = kYesNo,
     .initial = "no",
     .yaml = kEngine,
     .help = "Do not force to disk while rewriting."},
    {.name = "auto-aof-rewrite-percentage",
     .type = kInteger,
     .initial = "100",
     .max = kInt32Max,
     .yaml = kEngine,
     .help = "Growth at which the append-only file is rewritten."},
    {.name = "auto-aof-rewrite-min-size",
     .type = kMemory,
     .initial = "67108864",
     .yaml = kEngine,
     .help = "Size from which the append-only file is rewritten."},
    {.name = "aof-load-truncated",
     .type = kYesNo,
     .initial = "yes",
     .member = NumberMember<&Options::aof_load_truncated>(),
     .yaml = kEngine,
     .help = "Start also when the record of changes ends in a torn one, which is dropped then."},
    {.name = "aof-use-rdb-preamble",
     .type = kYesNo,
     .initial = "yes",
     .yaml = kEngine,
     .help = "Begin a rewritten append-only file with a snapshot."},
    {.name = "aof-timestamp-enabled",
     .type = kYesNo,
     .initial = "no",
     .yaml = kEngine,
     .help = "Note times in the append-only file."},
    {.name = "aof-rewrite-incremental-fsync",
     .type = kYesNo,
     .initial = "yes",
     .yaml = kEngine,
     .help = "Force a rewrite to disk piecemeal."},
    {.name = "aof-disable-auto-gc",
     .type = kYesNo,
     .initial = "no",
     .yaml = kEngine,
     .help = "Keep old append-only files."},
    {.name = "rdbcompression",
     .type = kYesNo,
     .initial = "yes",
     .yaml = kEngine,
     .help = "Compress strings in snapshots."},
    {.name = "rdbchecksum",
     .type = kYesNo,
     .initial = "yes",
     .run_time = false,
     .yaml = kEngine,
     .help = "Checksum at the end of a snapshot."},
    {.name = "rdb-del-sync-files",
     .type = kYesNo,
     .initial = "no",
     .yaml = kEngine,
     .help = "Delete snapshots made for replication."},
    {.name = "rdb-save-incremental-fsync",
     .type = kYesNo,
     .initial = "yes",
     .yaml = kEngine,
     .help = "Force a snapshot to disk piecemeal."},
    {.name = "stop-writes-on-bgsave-error",
     .type = kYesNo,
     .initial = "yes",
     .yaml = kEngine,
     .help = "Refuse writes after a failed snapshot."},
    {.name = "rdb-key-save-delay",
     .type = kInteger,
     .initial = "0",
     .min = kInt32Min,
     .max = kInt32Max,
     .hidden = true,
     .yaml = kEngine,
     .help = "Redis's switch for its tests."},
    {.name = "loading-process-events-interval-bytes",
     .type = kInteger,
     .initial = "2097152",
     .min = 1024,
     .max = kInt32Max,
     .hidden = true,
     .yaml = kEngine,
     .help = "Redis's switch for its tests."},
};

}  // namespace

const OptionGroup kPersistenceOptions = {"Persistence",
                                         "With `appendonly yes` every change is recorded on disk. "
                                         "A value that promises what this version cannot do is an "
                                         "error, never ignored.",
                                         kRows};

}  // namespace tidegate
