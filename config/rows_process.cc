// The process: how it starts, where it logs, how it stops.
#include "base/text.h"
#include "config/rows.h"

namespace tidegate {
namespace {

using enum OptionType;

constexpr EnumName kSupervisors[] = {{"upstart", 1}, {"systemd", 2}, {"auto", 3}, {"no", 0}};
constexpr EnumName kFacilities[] = {{"user", 8},   {"local0", 0}, {"local1", 1},
                                    {"local2", 2}, {"local3", 3}, {"local4", 4},
                                    {"local5", 5}, {"local6", 6}, {"local7", 7}};
constexpr EnumName kLogLevels[] = {
    {"debug", static_cast<int64_t>(LogLevel::kDebug)},
    {"verbose", static_cast<int64_t>(LogLevel::kVerbose)},
    {"notice", static_cast<int64_t>(LogLevel::kNotice)},
    {"warning", static_cast<int64_t>(LogLevel::kWarning)},
};
constexpr EnumName kLogFormats[] = {
    {"text", static_cast<int64_t>(LogLineFormat::kText)},
    {"json", static_cast<int64_t>(LogLineFormat::kJson)},
};
constexpr EnumName kOomScoreAdj[] = {{"no", 0}, {"yes", 1}, {"relative", 1}, {"absolute", 2}};

// `now nosave`: every word known, save and nosave not together. Prints in the order of this list.
OptionFault ReadShutdownFlags(std::span<const std::string> words, std::string& text) {
  static constexpr std::string_view kFlags[] = {"default", "save", "nosave", "now", "force"};
  bool given[std::size(kFlags)] = {};
  for (const std::string& word : words) {
    bool known = false;
    for (size_t i = 0; i < std::size(kFlags); ++i) {
      if (!EqualsIgnoreCase(word, kFlags[i])) continue;
      given[i] = known = true;
    }
    if (!known) {
      return "argument(s) must be one of the following: default, save, nosave, now, force";
    }
  }
  if (given[1] && given[2]) return "shutdown options SAVE and NOSAVE can't be used simultaneously";
  text.clear();
  for (size_t i = 1; i < std::size(kFlags); ++i) {
    if (!given[i]) continue;
    if (!text.empty()) text += ' ';
    text += kFlags[i];
  }
  if (text.empty()) text = kFlags[0];
  return std::nullopt;
}

constexpr OptionCodec kShutdownOnSigint = {
    .parse =
        [](Options& options, std::span<const std::string> words) {
          return ReadShutdownFlags(words, options.shutdown_on_sigint);
        },
    .print = [](const Options& options) { return options.shutdown_on_sigint; }};
constexpr OptionCodec kShutdownOnSigterm = {
    .parse =
        [](Options& options, std::span<const std::string> words) {
          return ReadShutdownFlags(words, options.shutdown_on_sigterm);
        },
    .print = [](const Options& options) { return options.shutdown_on_sigterm; }};

OptionFault KeepOomScoreValues(std::span<const std::string> words, std::string& text) {
  if (words.size() != 3) return "wrong number of arguments";
  text.clear();
  for (const std::string& word : words) {
    const std::optional<int64_t> value = ParseInt64(word);
    if (!value || *value < -2000 || *value > 2000) {
      return "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
    }
    if (!text.empty()) text += ' ';
    text += word;
  }
  return std::nullopt;
}

constexpr OptionRow kRows[] = {
    {.name = "daemonize",
     .type = kYesNo,
     .initial = "no",
     .run_time = false,
     .warning = "is accepted, but Tidegate stays in the foreground; let systemd, a container or & "
                "put it into the background",
     .help = "Run in the background. Tidegate never does: let systemd, a container or `&` do it."},
    {.name = "supervised",
     .type = kEnum,
     .initial = "no",
     .names = kSupervisors,
     .run_time = false,
     .warning = "is accepted; systemd is told that the start is done whenever it asks for that",
     .help = "Supervisor to notify. Tidegate tells systemd (Type=notify) whenever it is asked to."},
    {.name = "pidfile",
     .type = kText,
     .initial = "",
     .member = TextMember(&Options::pidfile),
     .run_time = false,
     .help = "File that holds the process id while running."},
    {.name = "loglevel",
     .type = kEnum,
     .initial = "notice",
     .names = kLogLevels,
     .member = NumberMember<&Options::loglevel>(),
     .help = "Least important message that is logged."},
    {.name = "log-format",
     .type = kEnum,
     .initial = "text",
     .names = kLogFormats,
     .member = NumberMember<&Options::log_format>(),
     .help = "How lines are written: text as redis-server's, or json, one object for each line."},
    {.name = "logfile",
     .type = kText,
     .initial = "",
     .member = TextMember(&Options::logfile),
     .run_time = false,
     .help = "File to log to. Empty: standard output."},
    {.name = "shutdown-timeout",
     .type = kInteger,
     .initial = "10",
     .max = kInt32Max,
     .member = NumberMember<&Options::shutdown_timeout>(),
     .help = "Seconds that SIGTERM gives clients to finish their requests."},
    {.name = "crash-log-enabled",
     .type = kYesNo,
     .initial = "yes",
     .member = NumberMember<&Options::crash_log_enabled>(),
     .help = "Write a report (stack, last command, INFO) when the process crashes."},
    {.name = "shutdown-on-sigint",
     .type = kSpecial,
     .initial = "default",
     .codec = kShutdownOnSigint,
     .many_words = true,
     .help = "How SIGINT ends the process. `save`, or save points and no `nosave`: the snapshot is "
             "written first; without "
             "`force` the process goes on when that fails."},
    {.name = "shutdown-on-sigterm",
     .type = kSpecial,
     .initial = "default",
     .codec = kShutdownOnSigterm,
     .many_words = true,
     .help = "How SIGTERM ends the process. `save`, or save points and no `nosave`: the snapshot "
             "is written first; without "
             "`force` the process goes on when that fails."},
    {.name = "syslog-enabled",
     .type = kYesNo,
     .initial = "no",
     .run_time = false,
     .fixed = "Tidegate logs to standard output or to logfile, not to syslog",
     .help = "Log to syslog."},
    {.name = "syslog-ident",
     .type = kText,
     .initial = "redis",
     .run_time = false,
     .help = "Name in syslog."},
    {.name = "syslog-facility",
     .type = kEnum,
     .initial = "local0",
     .names = kFacilities,
     .run_time = false,
     .help = "Facility in syslog."},
    {.name = "always-show-logo",
     .type = kYesNo,
     .initial = "no",
     .run_time = false,
     .help = "Redis's logo in the log."},
    {.name = "set-proc-title",
     .type = kYesNo,
     .initial = "yes",
     .run_time = false,
     .help = "Show address and mode in the process title."},
    {.name = "proc-title-template",
     .type = kText,
     .initial = "{title} {listen-addr} {server-mode}",
     .help = "Form of the process title."},
    {.name = "locale-collate",
     .type = kText,
     .initial = "",
     .help = "Locale of string comparisons. Tidegate compares bytes."},
    {.name = "disable-thp",
     .type = kYesNo,
     .initial = "yes",
     .run_time = false,
     .help = "Redis's switch for transparent huge pages."},
    {.name = "oom-score-adj",
     .type = kEnum,
     .initial = "no",
     .names = kOomScoreAdj,
     .help = "Tell the kernel whom to end first when memory runs out."},
    {.name = "oom-score-adj-values",
     .type = kSpecial,
     .initial = "0 200 800",
     .many_words = true,
     .keep = KeepOomScoreValues,
     .help = "Scores of oom-score-adj."},
    {.name = "crash-memcheck-enabled",
     .type = kYesNo,
     .initial = "yes",
     .help = "Redis's memory test after a crash."},
    {.name = "use-exit-on-panic",
     .type = kYesNo,
     .initial = "no",
     .hidden = true,
     .help = "Redis's switch for its tests."},
    {.name = "watchdog-period",
     .type = kInteger,
     .initial = "0",
     .max = kInt32Max,
     .hidden = true,
     .help = "Redis's software watchdog."},
    {.name = "ignore-warnings",
     .type = kText,
     .initial = "",
     .help = "Redis's start-up warnings to be quiet about."},
    {.name = "server_cpulist",
     .type = kText,
     .initial = "",
     .run_time = false,
     .help = "CPUs of Redis's main thread."},
    {.name = "bio_cpulist",
     .type = kText,
     .initial = "",
     .run_time = false,
     .help = "CPUs of Redis's background threads."},
    {.name = "aof_rewrite_cpulist",
     .type = kText,
     .initial = "",
     .run_time = false,
     .help = "CPUs of Redis's append-only rewrite."},
    {.name = "bgsave_cpulist",
     .type = kText,
     .initial = "",
     .run_time = false,
     .help = "CPUs of Redis's background save."},
};

}  // namespace

const OptionGroup kProcessOptions = {"Process and log",
                                     "How the process starts, where it logs, how it stops.", kRows};

}  // namespace tidegate
