// RewrittenRequest: a request as its upstream gets it, where routes change the names of keys
// (strip-prefix, add-prefix).
//
//   SET app1:a 1 --strip "app1:", add "t7:"--> SET t7:a 1
//
// Done once, before the request is placed: so slots, nodes of a ring, parts and redirections are
// those of the names that the upstream knows, and nobody behind it has to know about prefixes. Each
// key follows its own route. What names keys and is no key argument is refused, for it would be
// about other keys than the client means: patterns of SORT, and at the route "*" whatever is about
// all keys but KEYS and SCAN, whose patterns get the prefix. What scripts make of their arguments
// nobody can see: they get their keys rewritten, and the rest as it is.
//
// A value on the stack for the one call; without prefixes it is the request itself, at the cost of
// finding the routes. Owner: the session's worker.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/route/router.h"
#include "proxy/upstream/reply_names.h"
#include "storage/request.h"

namespace tidegate {

class RewrittenRequest final {
 public:
  // What `request` points to outlives it.
  RewrittenRequest(Router& router, const Request& request);
  RewrittenRequest(const RewrittenRequest&) = delete;
  RewrittenRequest& operator=(const RewrittenRequest&) = delete;

  // Valid as long as this object.
  const Request& view() const { return view_; }
  // Not empty: nobody may be asked, and why.
  const std::string& refusal() const { return refusal_; }
  // What turns names in the reply back; null: nothing has to be. Once.
  std::unique_ptr<ReplyNames> TakeNames() { return std::move(names_); }

 private:
  void RewriteKeys(Router& router, const Request& request);
  void RewriteAboutAll(const Route& route, const Request& request);
  void RewriteScan(const std::string& pattern_prefix, const Request& request);
  std::string_view Keep(const KeyPrefixes& prefixes, std::string_view key);

  Request view_;
  std::string refusal_;
  std::unique_ptr<ReplyNames> names_;
  std::string text_;  // of the new names; reserved before the first, so that views stay
  std::vector<std::string_view> args_;
  std::vector<KeyRef> keys_;
};

}  // namespace tidegate
