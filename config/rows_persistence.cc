// Persistence: the journal, snapshots, and the names of Redis's files.
#include <limits>

#include "base/text.h"
#include "config/option_value.h"
#include "config/rows.h"

namespace tidegate {
namespace {

using enum OptionType;

constexpr auto kEngine = YamlPlace::kEngine;
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
OptionFault ParseSavePoints(Options& options, std::span<const std::string> words) {
  std::vector<SavePoint> points;
  if (words.size() == 1 && words[0].empty()) words = {};
  if (words.size() % 2 != 0) return "Invalid save parameters";
  for (size_t i = 0; i < words.size(); i += 2) {
    const std::optional<int64_t> seconds = ParseInt64(words[i]);
    const std::optional<int64_t> changes = ParseInt64(words[i + 1]);
    if (!seconds || *seconds < 1 || !changes || *changes < 0) return "Invalid save parameters";
    points.push_back({*seconds, static_cast<uint64_t>(*changes)});
  }
  options.save_points = std::move(points);
  return std::nullopt;
}

std::string PrintSavePoints(const Options& options) {
  std::vector<std::string> words;
  for (const SavePoint& point : options.save_points) {
    words.push_back(std::to_string(point.seconds));
    words.push_back(std::to_string(point.changes));
  }
  return JoinWords(words);
}

// A name within `dir`. Texts as Redis.
template <std::string Options::*kMember>
OptionFault ParseFileName(Options& options, std::span<const std::string> words,
                          std::string_view option, std::string_view kind) {
  if (words.size() != 1) return "wrong number of arguments";
  if (words[0].find('/') != std::string::npos)
    return std::string(option) + " can't be a path, just a " + std::string(kind);
  if (words[0].empty()) return std::string(option) + " can't be empty";
  options.*kMember = words[0];
  return std::nullopt;
}

constexpr OptionCodec kDbFilename = {
    .parse =
        [](Options& options, std::span<const std::string> words) {
          return ParseFileName<&Options::dbfilename>(options, words, "dbfilename", "filename");
        },
    .print = [](const Options& options) { return options.dbfilename; }};
constexpr OptionCodec kAppendFilename = {
    .parse =
        [](Options& options, std::span<const std::string> words) {
          return ParseFileName<&Options::appendfilename>(options, words, "appendfilename",
                                                         "filename");
        },
    .print = [](const Options& options) { return options.appendfilename; }};
constexpr OptionCodec kAppendDirname = {
    .parse =
        [](Options& options, std::span<const std::string> words) {
          return ParseFileName<&Options::appenddirname>(options, words, "appenddirname", "dirname");
        },
    .print = [](const Options& options) { return options.appenddirname; }};

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
     .codec = {ParseSavePoints, PrintSavePoints},
     .many_words = true,
     .lines_add_up = true,
     .yaml = kEngine,
     .help = "When a snapshot is written by itself: pairs of seconds and changes."},
    {.name = "appendonly",
     .type = kYesNo,
     .initial = "no",
     .member = NumberMember<&Options::appendonly>(),
     .at_start = true,
     .yaml = kEngine,
     .help =
         "Record every change on disk, in `dir`, so that the next start has the data again. Takes "
         "effect at a start."},
    {.name = "appendfsync",
     .type = kEnum,
     .initial = "everysec",
     .names = kAppendfsync,
     .member = NumberMember<&Options::appendfsync>(),
     .yaml = kEngine,
     .help =
         "When recorded changes are forced to disk: before their replies are sent (always), once "
         "a second, or when the system likes. Without `appendonly` it means nothing."},
    {.name = "checkpoint-journal-records",
     .type = kInteger,
     .initial = "1000000",
     .min = 1,
     .max = std::numeric_limits<int64_t>::max(),
     .member = NumberMember<&Options::checkpoint_journal_records>(),
     .yaml = kEngine,
     .help = "Changes since the last checkpoint after which the next one is made: about as many as "
             "a start replays in a second."},
    {.name = "checkpoint-journal-bytes",
     .type = kMemory,
     .initial = "67108864",
     .member = NumberMember<&Options::checkpoint_journal_bytes>(),
     .yaml = kEngine,
     .help = "The same in bytes of recorded changes."},
    {.name = "backup-dir",
     .type = kText,
     .initial = "",
     .member = TextMember(&Options::backup_dir),
     .run_time = false,
     .yaml = kEngine,
     .help = "Directory that BACKUP writes into, this server's alone; empty: `backups` in `dir`."},
    {.name = "tiered",
     .type = kYesNo,
     .initial = "no",
     .member = NumberMember<&Options::tiered>(),
     .at_start = true,
     .yaml = kEngine,
     .help =
         "Data may be larger than memory: what `maxmemory-policy` chooses at `maxmemory` leaves "
         "memory and stays on disk, and is read when it is asked for; nothing is lost. Needs "
         "`appendonly yes` and a policy that evicts. Takes effect at a start."},
    {.name = "appendfilename",
     .type = kSpecial,
     .initial = "appendonly.aof",
     .codec = kAppendFilename,
     .run_time = false,
     .yaml = kEngine,
     .help = "Name of Redis's append-only files, for DEBUG LOADAOF."},
    {.name = "appenddirname",
     .type = kSpecial,
     .initial = "appendonlydir",
     .codec = kAppendDirname,
     .run_time = false,
     .yaml = kEngine,
     .help = "Directory of Redis's append-only files in `dir`."},
    {.name = "dbfilename",
     .type = kSpecial,
     .initial = "dump.rdb",
     .codec = kDbFilename,
     .protected_config = true,
     .yaml = kEngine,
     .help = "Name of the snapshot file in `dir`: SAVE writes it, and a start reads it."},
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
     .member = NumberMember<&Options::rdbcompression>(),
     .yaml = kEngine,
     .help = "Compress strings in snapshots."},
    {.name = "rdbchecksum",
     .type = kYesNo,
     .initial = "yes",
     .member = NumberMember<&Options::rdbchecksum>(),
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
     .member = NumberMember<&Options::stop_writes_on_bgsave_error>(),
     .yaml = kEngine,
     .help = "Refuse writes while there are save points and the last snapshot in the background "
             "failed."},
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

const OptionGroup kPersistenceOptions = {
    "Persistence",
    "With `appendonly yes` every change is recorded on disk. Snapshots are written by SAVE, BGSAVE "
    "and SHUTDOWN SAVE and at the save points, and read at the start when `appendonly` is off.",
    kRows};

}  // namespace tidegate
