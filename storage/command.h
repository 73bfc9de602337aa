// The command table: the one place that knows a command's arity, keys, flags, ACL categories,
// access, cost and docs.
//
// A row (CommandSpec) stands beside its handler: data commands in storage/commands/, commands about
// this process (CLIENT, CONFIG, INFO …) in proxy/commands/. Families are constexpr arrays, listed
// explicitly and joined once at start into a CommandTable. Parsing, routing, policies, ACL,
// COMMAND, metrics and the reference docs all read it; nobody else keeps a list of commands. A row
// that forgets its access, scope or group does not compile (IsValidFamily).
//
// A row named "JSON.*" stands for all commands whose names begin so and have no row of their own:
// those of modules, which upstreams know and we do not.
//
// Sub-commands (CONFIG GET) are rows of their own below the container's row; Find() resolves them.
// Thread: the table is immutable after Create; any thread may read. Cost of Find: one multiply, one
// probe. Source for behaviour: Redis 7's COMMAND INFO and key specifications.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

class CommandContext;  // storage/command_context.h: what a data command's handler gets
class SessionCommand;  // proxy: what the handler of a command about the session or the process gets

// Whether a request is answered now. A suspended request holds no lock; its session is woken and
// runs it again. A refused one was answered with an error before its handler ran.
enum class ExecStatus : uint8_t { kDone, kSuspended, kRefused };

// What a command does to the data. kNone: touches none.
enum class Access : uint8_t { kUnset = 0, kNone, kRead, kWrite };

// Who answers, and how much is locked.
enum class Scope : uint8_t {
  kUnset = 0,
  kProcess,     // this process answers by itself, from session_handler: PING, CLIENT, INFO, CONFIG
  kOneKey,      // the slot of one key
  kManyKeys,    // the slots of several keys, all or nothing
  kSlotBySlot,  // over the keyspace, the handler locks one slot at a time: SCAN, KEYS, RANDOMKEY
  kWholeKeyspace,  // needs everybody else to be out (the exclusive gate): FLUSHALL, SWAPDB
  kByCall,         // one of the four above, as the arguments say (scope_of_call): SORT
};

// How much work one call can be, for admission and metrics.
enum class Cost : uint8_t { kConstant = 0, kPerArgument, kPerElement, kPerKeyspace };

// Groups of COMMAND DOCS.
enum class Group : uint8_t {
  kUnset = 0,
  kString,
  kBitmap,
  kGeneric,
  kConnection,
  kServer,
  kList,
  kHash,
  kSet,
  kSortedSet,
  kStream,
  kGeo,
  kHyperLogLog,
  kPubSub,
  kTransactions,
  kScripting,
  kCluster,
  kBloom,
};

// Flags of COMMAND INFO, beside those that follow from access (readonly, write) and keys
// (movablekeys).
enum CommandFlag : uint32_t {
  kFlagNone = 0,
  kDenyOom = 1u << 0,
  kAdmin = 1u << 1,
  kNoScript = 1u << 2,
  kBlocking = 1u << 3,
  kLoading = 1u << 4,  // allowed while loading
  kStale = 1u << 5,    // allowed on a stale replica
  kFast = 1u << 6,
  kNoAuth = 1u << 7,       // allowed before AUTH
  kSkipMonitor = 1u << 8,  // not shown by MONITOR
  kSkipSlowlog = 1u << 9,
  kNoMulti = 1u << 10,
  kMayReplicate = 1u << 11,
  kPubSubCommand = 1u << 12,
  kAllowBusy = 1u << 13,
  kTouchesArbitraryKeys = 1u << 14,
  kNoAsyncLoading = 1u << 15,
  kNoMandatoryKeys = 1u << 16,
  kProtected = 1u << 17,  // DEBUG, MODULE: needs enable-debug-command and the like
  kDangerous = 1u << 18,  // ACL @dangerous
  kSecretArguments =
      1u << 19,  // arguments never appear in SLOWLOG, MONITOR or logs: AUTH, HELLO with AUTH
  kAclAdmin = 1u << 20,        // ACL @admin without being an admin command: ROLE, LASTSAVE
  kAclConnection = 1u << 21,   // ACL @connection although of another group: COMMAND, WAIT
  kRunsInMulti = 1u << 22,     // not queued by MULTI: EXEC, RESET
  kMaySuspend = 1u << 23,      // a process command that waits for other workers, or for time
  kRunsSubscribed = 1u << 24,  // may be sent by a RESP2 client that subscribes: PING, SUBSCRIBE
  kOtherDatabases = 1u << 26,  // its keys may be of another database as well: COPY, MOVE
  kMeetsAnyKey = 1u << 27,     // comes upon keys that it does not name: SCAN, SORT with patterns
  kSystemCommand = 1u << 25,   // COMMAND DOCS says that it is not for clients: PFDEBUG
};

// Number of arguments, the command's name included. Negative: at least.
struct Arity {
  int8_t value = 0;
  constexpr bool Accepts(size_t argc) const {
    return value >= 0 ? argc == static_cast<size_t>(value) : argc >= static_cast<size_t>(-value);
  }
};
constexpr Arity Exactly(int8_t n) { return {n}; }
constexpr Arity AtLeast(int8_t n) { return {static_cast<int8_t>(-n)}; }

// Where keys stand: first argument index, last (negative: from the end), step. {0,0,0}: none.
struct KeyRange {
  int16_t first = 0;
  int16_t last = 0;
  int16_t step = 0;
};

// Finds keys that no range describes (numkeys, STORE, BY). Appends argument indexes to `out`, in
// Redis's order; returns false when the arguments make no sense (GETKEYS then says "Invalid
// arguments"; the handler gives its own error).
using KeyFinder = bool (*)(std::span<const std::string_view> args, std::vector<int>& out);

// What one call does to its keys, in the words of CommandSpec::key_flags, for a command whose
// arguments decide it ("variable_flags" there). The arity is right, the arguments need not be.
using KeyFlagChooser = std::string_view (*)(std::span<const std::string_view> args);

// What one call locks, for a command of Scope::kByCall. The arity is right, the arguments need not
// be.
using ScopeChooser = Scope (*)(std::span<const std::string_view> args);

// Keys that COMMAND INFO tells of behind a keyword ("STORE key"): it stands at `from` or later
// (negative: from the end, backwards), and a range of keys follows it. Without a keyword: keys of
// which no rule says where they are.
struct KeywordKeys {
  std::string_view keyword;
  int16_t from = 0;
  int16_t last = 0;
  int16_t limit = 0;
  std::string_view flags;  // as CommandSpec::key_flags, of one key
};

struct CommandSpec {
  std::string_view name;  // upper case; for a sub-command its own word only ("GET" of CONFIG GET)
  Arity arity;
  KeyRange keys = {};
  KeyFinder find_keys = nullptr;  // instead of, or beside, keys
  Access access = Access::kUnset;
  Scope scope = Scope::kUnset;
  ScopeChooser scope_of_call = nullptr;  // of kByCall
  uint32_t flags = kFlagNone;
  Cost cost = Cost::kConstant;
  Group group = Group::kUnset;
  std::string_view since = "";
  std::string_view complexity = "";
  std::string_view summary = "";
  ExecStatus (*handler)(CommandContext&) = nullptr;          // every scope but kProcess
  ExecStatus (*session_handler)(SessionCommand&) = nullptr;  // kProcess
  std::span<const CommandSpec> subcommands = {};
  // For COMMAND INFO and DOCS alone. key_flags: what happens to the keys, in Redis's words ("RW
  // access update"); "|" begins the flags of the next key where keys differ ("RO access|OW
  // update"). Empty: "RO access" of a read, "RW update" of a write. tips: words, one space apart.
  std::string_view key_flags = "";
  // Words: ACL categories instead of the group's.
  std::string_view acl_categories = "";
  std::span<const KeywordKeys> keyword_keys = {};  // beside keys; find_keys finds them
  KeyFlagChooser key_flags_of_call = nullptr;
  std::string_view tips = "";
  std::string_view deprecated_since = "";
  std::string_view replaced_by = "";
};

// For static_assert beside each family: sorted by name, unique, nothing unset, each row with the
// handler its scope needs.
constexpr bool IsValidFamily(std::span<const CommandSpec> family) {
  std::string_view previous;
  for (const CommandSpec& row : family) {
    if (row.name.empty() || row.arity.value == 0 || !(previous < row.name)) return false;
    if (row.access == Access::kUnset || row.scope == Scope::kUnset || row.group == Group::kUnset)
      return false;
    if (row.since.empty() || row.summary.empty()) return false;
    if (row.subcommands.empty()) {
#ifndef TIDEGATE_SANITIZE
      // g++ 12 does not take a function's address for constant under -fsanitize=undefined (its bug
      // 71962).
      const bool process = row.scope == Scope::kProcess;
      if (process != (row.session_handler != nullptr) || process == (row.handler != nullptr))
        return false;
#endif
    } else if (!IsValidFamily(row.subcommands)) {
      return false;
    }
    if ((row.scope == Scope::kByCall) != (row.scope_of_call != nullptr)) return false;
    if (row.scope == Scope::kOneKey && row.keys.first == 0 && row.find_keys == nullptr)
      return false;
    previous = row.name;
  }
  return true;
}

// What a call locks; never kByCall.
inline Scope ScopeOfCall(const CommandSpec& spec, std::span<const std::string_view> args) {
  return spec.scope == Scope::kByCall ? spec.scope_of_call(args) : spec.scope;
}

// A row in the running table. `id` indexes per-command counters: dense, 0 ..
// CommandTable::size()-1.
struct Command {
  const CommandSpec* spec = nullptr;
  const Command* container = nullptr;  // of a sub-command
  uint32_t id = 0;
  std::string full_name;  // lower case, as INFO commandstats prints it: "get", "config|get"
  std::vector<const Command*> subcommands;

  bool is_container() const { return !subcommands.empty(); }
};

class CommandTable final {
 public:
  static constexpr size_t kNameBytesMax = 32;
  // Rows that have no sub-commands counted in.
  static constexpr size_t kTopLevelMax = 1023;

  // Joins families; a name that two families define is a bug. The families outlive the table.
  static std::unique_ptr<CommandTable> Create(
      std::span<const std::span<const CommandSpec>> families);

  // The command of that name (any case), or null. For containers see FindSubcommand.
  const Command* Find(std::string_view name) const {
    const Command* command = FindExactly(name);
    if (__builtin_expect(command != nullptr || patterns_.empty(), 1)) return command;
    return FindPattern(name);
  }
  // The same without patterns.
  const Command* FindExactly(std::string_view name) const {
    if (name.empty() || name.size() > kNameBytesMax) return nullptr;
    uint32_t index = Probe(name);
    while (index_[index] != nullptr) {
      if (SameName(index_[index]->spec->name, name)) return index_[index];
      index = (index + 1) & kIndexMask;
    }
    return nullptr;
  }
  // The sub-command of that name (any case), or null.
  static const Command* FindSubcommand(const Command& container, std::string_view name);

  // All rows, containers and sub-commands, by id.
  std::span<const Command* const> all() const { return all_; }
  // Rows that are not sub-commands, by name. Patterns are not among them.
  std::span<const Command* const> top_level() const { return top_level_; }
  size_t size() const { return all_.size(); }

 private:
  static constexpr uint32_t kIndexSize = 2048;
  static constexpr uint32_t kIndexMask = kIndexSize - 1;

  CommandTable() = default;
  const Command* Add(const CommandSpec& spec, const Command* container);
  const Command* FindPattern(std::string_view name) const;

  // The bytes of a name in two words: all of them when there are no more than 16. Loaded whole:
  // bytes that were stored one by one cannot be read at once without a stall.
  struct NameWords {
    uint64_t head = 0;
    uint64_t tail = 0;

    explicit NameWords(std::string_view name) {
      const char* begin = name.data();
      const char* end = begin + name.size();
      if (name.size() >= 8) {
        head = Load<uint64_t>(begin);
        tail = Load<uint64_t>(end - 8);
      } else if (name.size() >= 4) {
        head = Load<uint32_t>(begin) | uint64_t{Load<uint32_t>(end - 4)} << 32;
      } else if (name.size() >= 2) {
        head = Load<uint16_t>(begin) | uint64_t{Load<uint16_t>(end - 2)} << 16;
      } else if (!name.empty()) {
        head = static_cast<uint8_t>(*begin);
      }
    }
    template <typename T>
    static T Load(const char* from) {
      T value;
      __builtin_memcpy(&value, from, sizeof value);
      return value;
    }
  };

  // Case does not matter: bit 5 is the case of a letter.
  static uint32_t Probe(std::string_view name) {
    const NameWords words(name);
    const uint64_t head = words.head | 0x2020202020202020u;
    const uint64_t tail = words.tail | 0x2020202020202020u;
    const uint64_t mixed =
        (head ^ (tail * 0x9e3779b97f4a7c15u) ^ name.size()) * 0xff51afd7ed558ccdu;
    return static_cast<uint32_t>(mixed >> 40) & kIndexMask;
  }
  static bool SameName(std::string_view upper, std::string_view any_case) {
    if (upper.size() != any_case.size()) return false;
    const NameWords ours(upper);
    const NameWords theirs(any_case);
    if (ours.head == theirs.head && ours.tail == theirs.tail && upper.size() <= 16) return true;
    for (size_t i = 0; i < upper.size(); ++i) {
      const char c = any_case[i];
      if ((c >= 'a' && c <= 'z' ? c - 0x20 : c) != upper[i]) return false;
    }
    return true;
  }

  std::vector<std::unique_ptr<Command>> commands_;
  std::vector<const Command*> all_;
  std::vector<const Command*> top_level_;
  std::vector<const Command*> patterns_;  // the longest first
  const Command* index_[kIndexSize] = {};
};

// The families of the engine, for CommandTable::Create. Listed in storage/commands/families.cc.
std::span<const std::span<const CommandSpec>> StorageCommandFamilies();

// Argument indexes of the keys of a call, in Redis's order. False: the arguments name no valid
// keys.
bool FindKeyArguments(const CommandSpec& spec, std::span<const std::string_view> args,
                      std::vector<int>& out);

// The argument that says how many keys follow it, of a command that has its keys so; 0: none.
int KeyCountArgument(const CommandSpec& spec);

}  // namespace tidegate
