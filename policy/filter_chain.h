// FilterChain: the filters of one route, in order, on one worker.
// Keeps nothing about requests: how far a suspended one came is in its session's FilterProgress, so
// that any number of sessions can be anywhere in the chain. Cost: one virtual call per filter and
// direction; an empty chain is never asked (Router::any_filters). Owner: one worker.
#pragma once

#include <memory>
#include <vector>

#include "policy/filter.h"

namespace tidegate {

// Where a session's current request stands in its chain.
struct FilterProgress {
  uint32_t passed = 0;  // filters that let it pass
};

class FilterChain final {
 public:
  explicit FilterChain(std::vector<std::unique_ptr<Filter>> filters)
      : filters_(std::move(filters)) {}

  bool empty() const { return filters_.empty(); }
  size_t size() const { return filters_.size(); }

  // Starts, or goes on after a suspension. kContinue: all passed, the cluster's turn.
  FilterVerdict OnRequest(RequestContext& context, FilterProgress& progress);
  // The reply is written. Ends the request's way; `progress` is at the start again.
  void OnReply(RequestContext& context, FilterProgress& progress, const ReplyView& reply);
  // The client is gone before its reply was written.
  void Abandon(uint64_t ticket, FilterProgress& progress);

 private:
  std::vector<std::unique_ptr<Filter>> filters_;
};

}  // namespace tidegate
