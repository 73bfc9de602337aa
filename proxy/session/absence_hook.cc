#include "proxy/session/absence_hook.h"

#include <utility>

#include "base/clock.h"

namespace tidegate {

AbsenceHook::AbsenceHook(std::unique_ptr<AbsenceWatch> watch) : watch_(std::move(watch)) {}

ReplyHook::Fate AbsenceHook::OnReply(const UpstreamRequest& request, std::string_view& reply) {
  const std::string_view instead = OnOwnReply(reply);
  if (!instead.empty()) reply = instead;
  return next_ == nullptr ? Fate::kWritten : next_->OnReply(request, reply);
}

void AbsenceHook::OnLargeReply(const UpstreamRequest& request, std::string_view begin) {
  watch_.reset();
  if (next_ != nullptr) next_->OnLargeReply(request, begin);
}

// The end of the watch comes before the reply is written.
std::string_view AbsenceHook::OnOwnReply(std::string_view reply) {
  const std::unique_ptr<AbsenceWatch> watch = std::move(watch_);
  if (watch == nullptr) return {};
  const AbsentRuling ruling = watch->OnReply(reply, MonotonicNanos());
  if (ruling.answer == nullptr) return {};
  if (ruling.answer->kind == OnAbsent::kError) {
    instead_ = "-" + AbsentError(*ruling.answer) + "\r\n";
  } else {
    const std::string& text = ruling.answer->text;
    instead_ = "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  }
  return instead_;
}

}  // namespace tidegate
