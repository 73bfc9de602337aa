// The option table: one row per setting, the only place that knows its names, type, range, default,
// whether it may change at run time and what it does. The loaders, CONFIG GET/SET/REWRITE, the
// reference page docs/reference/options.md and the shipped config/tidegate.yaml all read it, so
// adding a setting is one member of Options and one row (rows_<theme>.cc). A row reaches its value
// in one of three ways: a member of Options seen as a number or a text, a codec for values with a
// form of their own, or nothing: then the checked text is kept in Options::kept, for the settings
// of Redis that tools read and write and that mean nothing here. A row with `fixed` refuses every
// value but its default and says why: a promise that Tidegate cannot hold (durability, TLS,
// replication) is never accepted in silence. Threads: the table is constant. Cost: a look-up is a
// hash table probe; none is on the request path.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "config/options.h"

namespace tidegate {

// How a value reads and prints, in Redis's terms.
enum class OptionType : uint8_t {
  kUnset,    // a row that forgot its type; refused by the table's test
  kYesNo,    // yes, no
  kInteger,  // decimal
  kMemory,   // bytes, or with k kb m mb g gb; prints as bytes
  kOctal,    // file mode
  kEnum,     // one of `names`
  kText,     // anything, also nothing
  kSpecial,  // by `codec`
};

// Where a setting stands in the YAML file.
enum class YamlPlace : uint8_t {
  kTop,       // `maxclients: 10000`
  kEngine,    // in the cluster of kind engine: `maxmemory: 4gb`
  kListener,  // said by the keys of `listeners`
  kNested,    // has a key of its own: admin.address
};

// What is wrong with a value, in Redis's words; empty: nothing.
using OptionFault = std::optional<std::string>;

struct EnumName {
  std::string_view name;
  int64_t value;
};

// Type-erased way to one member of Options; see NumberMember and TextMember.
struct OptionMember {
  int64_t (*get)(const Options&) = nullptr;
  void (*set)(Options&, int64_t) = nullptr;
  std::string Options::*text = nullptr;
};

// Values with a form of their own. `parse` gets the words of the value and either changes the
// options or says what is wrong; `print` gives the text of CONFIG GET.
struct OptionCodec {
  OptionFault (*parse)(Options&, std::span<const std::string> words) = nullptr;
  std::string (*print)(const Options&) = nullptr;
};

struct OptionRow {
  std::string_view name;
  std::string_view alias = {};  // Redis's older name
  OptionType type = OptionType::kUnset;
  std::string_view initial = {};  // the default, as CONFIG GET prints it
  int64_t min = 0;                // kInteger, kMemory, kOctal: inclusive range
  int64_t max = std::numeric_limits<int64_t>::max();
  std::span<const EnumName> names = {};  // kEnum
  OptionMember member = {};              // neither member nor codec: kept as text
  OptionCodec codec = {};
  bool run_time = true;           // CONFIG SET may change it
  bool at_start = false;          // CONFIG SET takes the value that it has, and no other
  bool many_words = false;        // the value is a list of words
  bool lines_add_up = false;      // several lines of a file are one list; an empty one begins anew
  bool secret = false;            // never shown in logs, SLOWLOG, MONITOR
  bool protected_config = false;  // CONFIG SET needs enable-protected-configs
  bool hidden = false;            // patterns of CONFIG GET do not find it
  YamlPlace yaml = YamlPlace::kTop;
  std::string_view fixed = {};  // why no other value than `initial` is accepted
  // Kept rows: what another value than `initial` does not do, when "has no effect" is not enough.
  std::string_view warning = {};
  // Kept rows of type kText and kSpecial: checks the words and gives the text to keep.
  OptionFault (*keep)(std::span<const std::string> words, std::string& text) = nullptr;
  std::string_view help = {};

  bool is_kept() const { return member.get == nullptr && member.text == nullptr && !codec.parse; }
};

// Numbers of every kind that a member can have, as int64_t and back.
template <typename T>
int64_t OptionToNumber(const T& value) {
  if constexpr (std::is_same_v<T, Bytes>) {
    return static_cast<int64_t>(value.count);
  } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
    return static_cast<int64_t>(value);
  } else {
    return static_cast<int64_t>(value.count());
  }
}

template <typename T>
T OptionFromNumber(int64_t number) {
  if constexpr (std::is_same_v<T, Bytes>) {
    return Bytes{static_cast<uint64_t>(number)};
  } else {
    return static_cast<T>(number);
  }
}

// The member of a numeric, boolean, enum, Bytes or chrono type:
// NumberMember<&Options::maxmemory>().
template <auto kMember>
constexpr OptionMember NumberMember() {
  using T = std::remove_reference_t<decltype(std::declval<Options&>().*kMember)>;
  return {.get = [](const Options& o) { return OptionToNumber<T>(o.*kMember); },
          .set = [](Options& o, int64_t n) { o.*kMember = OptionFromNumber<T>(n); }};
}

constexpr OptionMember TextMember(std::string Options::*member) { return {.text = member}; }

// Rows of one theme: a section of the reference.
struct OptionGroup {
  std::string_view title;
  std::string_view intro;
  std::span<const OptionRow> rows;
};

// All rows, in the order of the reference.
std::span<const OptionGroup> OptionGroups();

// fn(row) for each row, in that order.
template <typename Fn>
void ForEachOption(Fn&& fn) {
  for (const OptionGroup& group : OptionGroups()) {
    for (const OptionRow& row : group.rows) fn(row);
  }
}

// By name or alias, in any case; nullptr when there is none.
const OptionRow* FindOption(std::string_view name);

// Whether the value of `name` must not be shown (an unknown name: no).
bool IsSecretOption(std::string_view name);

// Sets one option from the words of its value, as a configuration file has them. Says what is wrong
// in Redis's words, and then `options` is as before.
OptionFault SetOption(const OptionRow& row, Options& options, std::span<const std::string> words);

// The value as CONFIG GET prints it.
std::string PrintOption(const OptionRow& row, const Options& options);

// The known name nearest to `name`, when it is near enough to be what was meant.
std::optional<std::string> NearestOption(std::string_view name);

// What follows from several settings: `listeners` from bind, port, unixsocket and the extra ones,
// the implied route "*", dir made absolute. Says what is wrong when they contradict each other.
OptionFault FinishOptions(Options& options);

}  // namespace tidegate
