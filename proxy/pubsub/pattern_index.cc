#include "proxy/pubsub/pattern_index.h"

#include <algorithm>

#include "base/text.h"

namespace tidegate {
namespace {

// The position behind the class that begins at pattern[i] == '[', as GlobMatch reads it.
size_t BehindClass(std::string_view pattern, size_t i) {
  ++i;
  if (i < pattern.size() && pattern[i] == '^') ++i;
  while (i < pattern.size()) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      i += 2;
    } else if (pattern[i] == ']') {
      return i + 1;
    } else if (i + 2 < pattern.size() && pattern[i + 1] == '-') {
      i += 3;
    } else {
      ++i;
    }
  }
  return pattern.size();
}

}  // namespace

std::string_view PatternIndex::LiteralBeginning(std::string_view pattern) {
  return pattern.substr(0, pattern.find_first_of("*?[\\"));
}

std::string_view PatternIndex::LiteralEnd(std::string_view pattern) {
  size_t begin = 0;
  for (size_t i = 0; i < pattern.size();) {
    switch (pattern[i]) {
      case '[':
        begin = i = BehindClass(pattern, i);
        break;
      case '\\':
        begin = i = std::min(i + 2, pattern.size());
        break;
      case '*':
      case '?':
        begin = ++i;
        break;
      default:
        ++i;
    }
  }
  return pattern.substr(begin);
}

void PatternIndex::Add(std::string_view pattern, int worker) {
  auto found = patterns_.find(pattern);
  if (found == patterns_.end()) {
    auto fresh = std::make_unique<SubscribedPattern>();
    fresh->text = pattern;
    const std::string_view beginning = LiteralBeginning(pattern);
    const std::string_view text = beginning.empty() ? LiteralEnd(pattern) : beginning;
    Groups& groups = beginning.empty() ? by_end_ : by_beginning_;
    groups[text.size()][std::string(text)].push_back(fresh.get());
    found = patterns_.emplace(std::string(pattern), std::move(fresh)).first;
  }
  found->second->audience.Add(worker);
}

void PatternIndex::Remove(std::string_view pattern, int worker) {
  const auto found = patterns_.find(pattern);
  if (found == patterns_.end()) return;
  found->second->audience.Remove(worker);
  if (!found->second->audience.empty()) return;
  const std::string_view beginning = LiteralBeginning(pattern);
  Drop(beginning.empty() ? by_end_ : by_beginning_,
       beginning.empty() ? LiteralEnd(pattern) : beginning, found->second.get());
  patterns_.erase(found);
}

void PatternIndex::Drop(Groups& groups, std::string_view text, const SubscribedPattern* pattern) {
  const auto of_length = groups.find(text.size());
  const auto group = of_length->second.find(text);
  std::erase(group->second, pattern);
  if (group->second.empty()) of_length->second.erase(group);
  if (of_length->second.empty()) groups.erase(of_length);
}

bool PatternIndex::Matches(const SubscribedPattern& pattern, std::string_view channel) {
  return GlobMatch(pattern.text, channel, /*ignore_case=*/false);
}

void PatternIndex::Collect(std::string_view channel, Group& out) const {
  CollectFrom(by_beginning_, channel, false, out);
  CollectFrom(by_end_, channel, true, out);
}

void PatternIndex::CollectFrom(const Groups& groups, std::string_view channel, bool at_end,
                               Group& out) {
  for (const auto& [length, texts] : groups) {
    if (length > channel.size()) return;
    const size_t begin = at_end ? channel.size() - length : 0;
    const auto group = texts.find(channel.substr(begin, length));
    if (group != texts.end()) out.insert(out.end(), group->second.begin(), group->second.end());
  }
}

}  // namespace tidegate
