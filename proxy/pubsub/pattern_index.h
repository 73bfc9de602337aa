// PatternIndex: the patterns that somebody subscribes to, found by the channels they match.
//
//   "news.*"      under its literal beginning "news."
//   "*.created"   begins with a star: under its literal end ".created"
//   "*mid*"       neither: looked at for every channel
//
// Why: with 10,000 patterns, matching each of them against each message would take a millisecond a
// message. Here a channel is looked up once per length of beginning and of end that occurs, and
// only patterns that share it are matched. Not thread-safe: PubSubHub has it under its lock.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/pubsub/audience.h"
#include "proxy/pubsub/subscription.h"

namespace tidegate {

struct SubscribedPattern {
  std::string text;
  Audience audience;
};

class PatternIndex final {
 public:
  void Add(std::string_view pattern, int worker);
  void Remove(std::string_view pattern, int worker);

  size_t size() const { return patterns_.size(); }

  // Calls fn(const SubscribedPattern&) for each pattern that matches.
  template <typename Fn>
  void Match(std::string_view channel, Fn&& fn) const {
    std::vector<const SubscribedPattern*> candidates;
    Collect(channel, candidates);
    for (const SubscribedPattern* pattern : candidates) {
      if (Matches(*pattern, channel)) fn(*pattern);
    }
  }

  // Beginning and end of the pattern that a matching channel must have.
  static std::string_view LiteralBeginning(std::string_view pattern);
  static std::string_view LiteralEnd(std::string_view pattern);

 private:
  using Group = std::vector<const SubscribedPattern*>;
  // By length, then by the text of that length.
  using Groups =
      std::map<size_t, std::unordered_map<std::string, Group, NameHash, std::equal_to<>>>;

  static bool Matches(const SubscribedPattern& pattern, std::string_view channel);
  void Collect(std::string_view channel, Group& out) const;
  static void CollectFrom(const Groups& groups, std::string_view channel, bool at_end, Group& out);
  static void Drop(Groups& groups, std::string_view text, const SubscribedPattern* pattern);

  std::unordered_map<std::string, std::unique_ptr<SubscribedPattern>, NameHash, std::equal_to<>>
      patterns_;
  Groups by_beginning_;
  Groups by_end_;  // of patterns that begin with no literal
};

}  // namespace tidegate
