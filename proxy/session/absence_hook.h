// AbsenceHook: an AbsenceWatch where a request goes to an upstream: it looks at the reply, and its
// client may get something else. The engine's replies are given to it as well, as they stand in the
// output. Owner: the session's worker.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "policy/absence_watch.h"
#include "proxy/upstream/reply_hook.h"

namespace tidegate {

class AbsenceHook final : public ReplyHook {
 public:
  explicit AbsenceHook(std::unique_ptr<AbsenceWatch> watch);

  // What another policy does with the same reply, behind this.
  void SetNext(std::unique_ptr<ReplyHook> next) { next_ = std::move(next); }

  Fate OnReply(const UpstreamRequest& request, std::string_view& reply) override;
  void OnLargeReply(const UpstreamRequest& request, std::string_view begin) override;
  // The reply was given by this process. What the client gets instead, encoded; empty: that.
  std::string_view OnOwnReply(std::string_view reply);

 private:
  std::unique_ptr<AbsenceWatch> watch_;  // null: the reply has come
  std::unique_ptr<ReplyHook> next_;      // null: nothing
  std::string instead_;
};

}  // namespace tidegate
