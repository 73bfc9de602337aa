// What COMMAND INFO says about a row of the command table in Redis's words: flags, ACL categories
// and key specifications, derived from the row so that nobody keeps them twice. Pure functions of
// constant rows; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storage/command.h"

namespace tidegate {

using Words = std::vector<std::string_view>;

// "write", "denyoom", … in Redis's order.
Words CommandFlagWords(const CommandSpec& spec);

// "keyspace", "read", … in Redis's order, without '@'.
Words CommandCategories(const CommandSpec& spec);

// The name of the group in COMMAND DOCS: "string", "sorted-set" …
std::string_view CommandGroupName(Group group);

// Words one space apart.
Words SplitWords(std::string_view text);

// One key specification: the keys at argument `index`, and on from there in steps of `range.step`
// to `range.last`: relative to `index`, or negative: from the end of the arguments. Counted: the
// argument says how many keys follow it. With a row of keyword_keys all else is there.
struct KeySpecification {
  Words flags;
  int index = 0;
  int last = 0;
  int step = 1;
  bool counted = false;
  const KeywordKeys* keyword = nullptr;
};
std::vector<KeySpecification> KeySpecifications(const CommandSpec& spec);

// Whether a call has keys, wherever they stand.
bool HasKeys(const CommandSpec& spec);

// What a call does to the key at argument `index`.
Words KeyFlagsOfCall(const CommandSpec& spec, std::span<const std::string_view> args, int index);

}  // namespace tidegate
