#include "proxy/route/rewritten_request.h"

#include <algorithm>

#include "base/text.h"
#include "proxy/route/forward_rule.h"
#include "storage/command.h"

namespace tidegate {
namespace {

// As a glob pattern that means just these bytes.
std::string EscapedGlob(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (c == '*' || c == '?' || c == '[' || c == ']' || c == '\\') pattern += '\\';
    pattern += c;
  }
  return pattern;
}

// The reply shape of a request with keys.
ReplyNames::Shape ShapeOf(const Request& request) {
  static constexpr std::string_view kFirst[] = {"blpop", "brpop",  "lmpop",    "blmpop",
                                                "zmpop", "bzmpop", "bzpopmin", "bzpopmax"};
  const std::string_view name = request.command->full_name;
  if (name == "xread" || name == "xreadgroup") return ReplyNames::Shape::kStreams;
  const bool first = std::find(std::begin(kFirst), std::end(kFirst), name) != std::end(kFirst);
  return first ? ReplyNames::Shape::kFirst : ReplyNames::Shape::kNone;
}

}  // namespace

RewrittenRequest::RewrittenRequest(Router& router, const Request& request) : view_(request) {
  if (!router.any_prefixes()) return;
  switch (ForwardRuleOf(request)) {
    case ForwardRule::kHere:
    case ForwardRule::kPrivateByCatchAll:  // about channels, or what the client wrote
    case ForwardRule::kScriptByCatchAll:   // about texts
      return;
    case ForwardRule::kByCatchAll:
      RewriteAboutAll(router.catch_all(), request);
      return;
    case ForwardRule::kByKey:
    case ForwardRule::kPrivateByKey:
    case ForwardRule::kScriptByKey:
      RewriteKeys(router, request);
      return;
  }
}

std::string_view RewrittenRequest::Keep(const KeyPrefixes& prefixes, std::string_view key) {
  const size_t begin = text_.size();
  text_ += prefixes.add;
  text_ += key.substr(prefixes.strip.size());
  return std::string_view(text_).substr(begin);
}

void RewrittenRequest::RewriteKeys(Router& router, const Request& request) {
  size_t bytes = 0;
  bool any = false;
  for (const KeyRef& key : request.keys) {
    const KeyPrefixes& prefixes = router.RouteOfKey(key.name).prefixes;
    any = any || prefixes.any();
    bytes += prefixes.add.size() + key.name.size();
  }
  if (!any) return;
  if (MeetsUnnamedKeys(request)) {
    refusal_ = "ERR '" + request.command->full_name +
               "' with patterns of keys is refused: the route rewrites the names of keys";
    return;
  }
  text_.reserve(bytes);
  args_.assign(request.args.begin(), request.args.end());
  keys_.reserve(request.keys.size());
  const ReplyNames::Shape shape = ShapeOf(request);
  if (shape != ReplyNames::Shape::kNone) names_ = std::make_unique<ReplyNames>(shape);
  size_t at = 0;  // keys are arguments, mostly in their order
  for (const KeyRef& key : request.keys) {
    for (size_t tries = 0; tries < args_.size(); ++tries) {
      at = (at + 1) % args_.size();
      const std::string_view arg = request.args[at];
      if (arg.data() == key.name.data() && arg.size() == key.name.size()) break;
    }
    args_[at] = Keep(router.RouteOfKey(key.name).prefixes, key.name);
    keys_.push_back(KeyRef::Of(args_[at]));
    if (names_ != nullptr) names_->Add(args_[at], key.name);
  }
  view_ = {request.command, args_, keys_};
}

// Only `add` can be set there: not every key of "*" begins with anything.
void RewrittenRequest::RewriteAboutAll(const Route& route, const Request& request) {
  if (!route.prefixes.any()) return;
  const Group group = request.command->spec->group;
  if (group == Group::kPubSub || group == Group::kScripting) return;
  const std::string& name = request.command->full_name;
  const std::string prefix = EscapedGlob(route.prefixes.add);
  if (name == "scan") {
    RewriteScan(prefix, request);
    names_ = std::make_unique<ReplyNames>(ReplyNames::Shape::kScan);
    names_->set_prefix(route.prefixes.add);
  } else if (name == "keys") {
    text_ = prefix + std::string(request.args[1]);
    args_ = {request.args[0], text_};
    view_ = {request.command, args_, {}};
    names_ = std::make_unique<ReplyNames>(ReplyNames::Shape::kEach);
    names_->set_prefix(route.prefixes.add);
  } else {
    refusal_ = "ERR '" + name +
               "' is refused: the route \"*\" adds a prefix to keys, and it would be about keys of "
               "others";
  }
}

void RewrittenRequest::RewriteScan(const std::string& pattern_prefix, const Request& request) {
  size_t bytes = pattern_prefix.size() + 1;
  for (const std::string_view arg : request.args) bytes += pattern_prefix.size() + arg.size();
  text_.reserve(bytes);
  args_.assign(request.args.begin(), request.args.end());
  bool has_pattern = false;
  const KeyPrefixes added{.add = pattern_prefix};
  for (size_t i = 2; i + 1 < args_.size(); i += 2) {
    if (!EqualsIgnoreCase(args_[i], "match")) continue;
    args_[i + 1] = Keep(added, args_[i + 1]);
    has_pattern = true;
  }
  // What is no pair of words and values is the node's to refuse.
  if (!has_pattern && args_.size() % 2 == 0) {
    args_.push_back("MATCH");
    args_.push_back(Keep(added, "*"));
  }
  view_ = {request.command, args_, {}};
}

}  // namespace tidegate
