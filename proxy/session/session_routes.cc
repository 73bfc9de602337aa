// The part of Session where routes do more than to name a cluster: keys are renamed on the way to
// an upstream, and writes go to a second cluster as well.
#include <memory>
#include <string>
#include <vector>

#include "proxy/route/forward_rule.h"
#include "proxy/route/rewritten_request.h"
#include "proxy/server.h"
#include "proxy/session/session_forwarder.h"
#include "proxy/upstream/route_mirror.h"
#include "proxy/worker.h"

namespace tidegate {
namespace {

// Of a write: null: it is not mirrored; with `skipped` it would be, and cannot.
RouteMirror* MirrorOf(Router& router, const Request& request, bool& skipped) {
  const Route& first =
      request.keys.empty() ? router.catch_all() : router.RouteOfKey(request.keys[0].name);
  RouteMirror* mirror = first.mirror;
  skipped = false;
  for (const KeyRef& key : request.keys) {
    RouteMirror* const of_key = router.RouteOfKey(key.name).mirror;
    if (of_key == mirror) continue;
    skipped = true;  // the routes of its keys differ about that
    if (of_key != nullptr) mirror = of_key;
  }
  if (mirror == nullptr || skipped) return mirror;
  const RouteMirror::Choice choice = mirror->ChoiceOf(request.keys);
  skipped = choice == RouteMirror::Choice::kSome;
  return choice == RouteMirror::Choice::kNone ? nullptr : mirror;
}

bool IsWrite(const Request& request) { return request.command->spec->access == Access::kWrite; }

}  // namespace

std::optional<Session::Step> Session::ForwardByRoute(const Request& request, uint64_t ticks) {
  Router& router = router_;
  if (router.any_moves()) {
    if (const std::optional<Step> step = MoveKeys(request)) return step;
  }
  Placement placement = router.Place(request);
  figures_ = placement.figures;
  RewrittenRequest sent(router, request);
  if (placement.refusal.empty()) placement.refusal = sent.refusal();
  const bool is_private = placement.handling == Placement::Handling::kPrivate;
  const bool is_script = placement.handling == Placement::Handling::kScript;
  const bool sends_script = is_script && placement.upstream != nullptr;
  if (is_private || (private_ != nullptr && !sends_script)) {
    const bool is_write = IsWrite(request);
    if (const std::optional<Step> step =
            ForwardApart(sent.view(), placement, ticks, is_private ? sent.TakeNames() : nullptr)) {
      // What waits may not wait on a connection that others share, and what came of it is not
      // known.
      if (is_write && *step != Step::kStay) SkipMirror(request);
      return step;
    }
  }
  if (placement.upstream == nullptr && placement.refusal.empty()) {
    if (WaitsForUpstream(0)) return Step::kStay;
    return std::nullopt;
  }
  SessionForwarder forwarder(*this, sent.view(), ticks);
  forwarder.SetRewritten(request, sent.TakeNames());
  if (!placement.refusal.empty()) return forwarder.Refuse(placement.refusal);
  const Step step = sends_script ? forwarder.ForwardScript(*placement.upstream)
                                 : forwarder.Forward(*placement.upstream);
  if (router.any_mirrors() && forwarder.placed()) Mirror(request, sent.view());
  return step;
}

void Session::Mirror(const Request& request, const Request& sent) {
  if (!IsWrite(request)) return;
  bool skipped = false;
  RouteMirror* const mirror = MirrorOf(router(), request, skipped);
  if (mirror == nullptr) return;
  const bool waits = ForwardRuleOf(request) == ForwardRule::kPrivateByKey;
  if (skipped || waits) return mirror->Skip(1);
  mirror->Send(sent, {.database = client_.db, .session_id = id_});
}

void Session::SkipMirror(const Request& request) {
  bool skipped = false;
  RouteMirror* const mirror = MirrorOf(router(), request, skipped);
  if (mirror != nullptr) mirror->Skip(1);
}

// One unit for each mirror, which mostly is one for all.
void Session::MirrorTransaction() {
  static constexpr std::string_view kMulti[] = {"MULTI"};
  static constexpr std::string_view kExec[] = {"EXEC"};
  const CommandTable& commands = worker_.server().commands();
  const Request multi{.command = commands.Find(kMulti[0]), .args = kMulti, .keys = {}};
  const Request exec{.command = commands.Find(kExec[0]), .args = kExec, .keys = {}};
  Router& router = router_;
  for (const std::unique_ptr<RouteMirror>& mirror : worker_.mirrors()) {
    std::vector<std::unique_ptr<RewrittenRequest>> sent;
    std::vector<Request> writes;
    bool whole = true;
    for (size_t i = 0; i < transaction_.size(); ++i) {
      const Request queued = transaction_.at(i).view();
      bool skipped = false;
      if (!IsWrite(queued) || MirrorOf(router, queued, skipped) != mirror.get()) continue;
      whole = whole && !skipped;
      sent.push_back(std::make_unique<RewrittenRequest>(router, queued));
      writes.push_back(sent.back()->view());
    }
    if (writes.empty()) continue;
    if (whole) {
      mirror->SendUnit(multi, writes, exec, {.database = client_.db, .session_id = id_});
    } else {
      mirror->Skip(writes.size());
    }
  }
}

}  // namespace tidegate
