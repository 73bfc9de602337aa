// LCS: the longest common subsequence of two strings, by the table of the lengths for all pairs of
// prefixes. Where several subsequences are longest, the walk back through the table decides, and it
// goes as Redis's does: clients compare. Source: Wagner, Fischer, "The String-to-String Correction
// Problem", JACM 1974.
#include <algorithm>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "base/text.h"
#include "storage/commands/string_commands.h"
#include "storage/value/string_value.h"

namespace tidegate {
namespace {

struct LcsOptions {
  bool length_only = false;     // LEN
  bool positions = false;       // IDX
  bool match_lengths = false;   // WITHMATCHLEN
  int64_t match_bytes_min = 0;  // MINMATCHLEN
};

// A run of bytes that both strings have, by the positions of its ends.
struct Match {
  uint32_t a_begin, a_end, b_begin, b_end;

  int64_t bytes() const { return int64_t{a_end} - a_begin + 1; }
};

// at(i, j) is the length for the first i bytes of a and the first j bytes of b.
class LcsTable final {
 public:
  // Null when there is no memory for it.
  static std::unique_ptr<LcsTable> Create(std::string_view a, std::string_view b) {
    auto table = std::unique_ptr<LcsTable>(new LcsTable(a, b));
    return table->lengths_ == nullptr ? nullptr : std::move(table);
  }

  static uint64_t BytesFor(std::string_view a, std::string_view b) {
    return (uint64_t{a.size()} + 1) * (uint64_t{b.size()} + 1) * sizeof(uint32_t);
  }

  uint32_t at(size_t i, size_t j) const { return lengths_[i * width_ + j]; }
  uint32_t length() const { return at(a_.size(), b_.size()); }

  // The subsequence, and the runs it is made of, last one first.
  std::string Walk(std::vector<Match>& matches) const;

 private:
  LcsTable(std::string_view a, std::string_view b)
      : a_(a),
        b_(b),
        width_(b.size() + 1),
        lengths_(new (std::nothrow) uint32_t[(a.size() + 1) * width_]) {
    if (lengths_ != nullptr) Fill();
  }

  void Fill() {
    for (size_t j = 0; j < width_; ++j) lengths_[j] = 0;
    for (size_t i = 1; i <= a_.size(); ++i) {
      const uint32_t* above = &lengths_[(i - 1) * width_];
      uint32_t* row = &lengths_[i * width_];
      row[0] = 0;
      for (size_t j = 1; j < width_; ++j) {
        row[j] = a_[i - 1] == b_[j - 1] ? above[j - 1] + 1 : std::max(above[j], row[j - 1]);
      }
    }
  }

  std::string_view a_;
  std::string_view b_;
  size_t width_;
  std::unique_ptr<uint32_t[]> lengths_;
};

std::string LcsTable::Walk(std::vector<Match>& matches) const {
  std::string result(length(), '\0');
  size_t left = result.size();
  bool open = false;  // whether `run` is a run that may still grow
  Match run{};
  const auto close = [&] {
    if (open) matches.push_back(run);
    open = false;
  };
  auto i = static_cast<uint32_t>(a_.size());
  auto j = static_cast<uint32_t>(b_.size());
  while (i > 0 && j > 0) {
    if (a_[i - 1] != b_[j - 1]) {
      close();
      at(i - 1, j) > at(i, j - 1) ? --i : --j;
      continue;
    }
    result[--left] = a_[i - 1];
    // Only a difference ends a run, so a match always continues an open one.
    --i;
    --j;
    if (open) {
      run.a_begin = i;
      run.b_begin = j;
    } else {
      run = {i, i, j, j};
      open = true;
    }
  }
  close();
  return result;
}

// False when the error was written.
bool ParseOptions(CommandContext& context, LcsOptions& options) {
  for (size_t i = 3; i < context.argc(); ++i) {
    const std::string_view word = context.arg(i);
    if (EqualsIgnoreCase(word, "IDX")) {
      options.positions = true;
    } else if (EqualsIgnoreCase(word, "LEN")) {
      options.length_only = true;
    } else if (EqualsIgnoreCase(word, "WITHMATCHLEN")) {
      options.match_lengths = true;
    } else if (EqualsIgnoreCase(word, "MINMATCHLEN") && i + 1 < context.argc()) {
      const auto number = context.IntegerArg(++i);
      if (!number) return false;
      options.match_bytes_min = *number;
    } else {
      context.Fail(errors::kSyntax);
      return false;
    }
  }
  if (options.length_only && options.positions) {
    context.Fail("ERR If you want both the length and indexes, please just use IDX.");
    return false;
  }
  return true;
}

void ReplyMatches(ReplyWriter& reply, const std::vector<Match>& all, const LcsOptions& options) {
  std::vector<Match> matches;
  for (const Match& match : all) {
    if (match.bytes() >= options.match_bytes_min) matches.push_back(match);
  }
  reply.Array(matches.size());
  for (const Match& match : matches) {
    reply.Array(options.match_lengths ? 3 : 2);
    reply.Array(2);
    reply.Integer(match.a_begin);
    reply.Integer(match.a_end);
    reply.Array(2);
    reply.Integer(match.b_begin);
    reply.Integer(match.b_end);
    if (options.match_lengths) reply.Integer(match.bytes());
  }
}

ExecStatus ReplyLcs(CommandContext& context, std::string_view a, std::string_view b,
                    const LcsOptions& options) {
  constexpr size_t kBytesMax = std::numeric_limits<uint32_t>::max() - 2;
  if (a.size() > kBytesMax || b.size() > kBytesMax) {
    return context.Fail("ERR String too long for LCS");
  }
  if (LcsTable::BytesFor(a, b) > context.engine().settings().string_bytes_max.load()) {
    return context.Fail(
        "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
  }
  const auto table = LcsTable::Create(a, b);
  if (table == nullptr) {
    return context.Fail("ERR Insufficient memory, failed allocating transient memory for LCS");
  }
  ReplyWriter& reply = context.reply();
  if (options.length_only) {
    reply.Integer(table->length());
    return ExecStatus::kDone;
  }
  std::vector<Match> matches;
  const std::string result = table->Walk(matches);
  if (!options.positions) {
    reply.Bulk(result);
    return ExecStatus::kDone;
  }
  reply.Map(2);
  reply.Bulk("matches");
  ReplyMatches(reply, matches, options);
  reply.Bulk("len");
  reply.Integer(table->length());
  return ExecStatus::kDone;
}

}  // namespace

ExecStatus CmdLcs(CommandContext& context) {
  const Entry* first = context.db().FindForRead(context.key(0));
  const Entry* second = context.db().FindForRead(context.key(1));
  for (const Entry* entry : {first, second}) {
    if (entry != nullptr && entry->type() != ValueType::kString) {
      return context.Fail("ERR The specified keys must contain string values");
    }
  }
  LcsOptions options;
  if (!ParseOptions(context, options)) return ExecStatus::kDone;
  std::string scratch_a;
  std::string scratch_b;
  const auto contents = [](const Entry* entry, std::string& scratch) {
    return entry == nullptr ? std::string_view() : StringContents(*entry, scratch);
  };
  return ReplyLcs(context, contents(first, scratch_a), contents(second, scratch_b), options);
}

}  // namespace tidegate
