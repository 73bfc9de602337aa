#include "policy/filter_chain.h"

#include <algorithm>

namespace tidegate {

FilterVerdict FilterChain::OnRequest(RequestContext& context, FilterProgress& progress) {
  while (progress.passed < filters_.size()) {
    const FilterVerdict verdict = filters_[progress.passed]->OnRequest(context);
    if (verdict != FilterVerdict::kContinue) return verdict;
    ++progress.passed;
  }
  return FilterVerdict::kContinue;
}

void FilterChain::OnReply(RequestContext& context, FilterProgress& progress,
                          const ReplyView& reply) {
  for (size_t i = progress.passed; i-- > 0;) filters_[i]->OnReply(context, reply);
  progress = {};
}

void FilterChain::Abandon(uint64_t ticket, FilterProgress& progress) {
  // One more than passed: the filter that suspended it.
  const size_t met = std::min<size_t>(progress.passed + 1, filters_.size());
  for (size_t i = met; i-- > 0;) filters_[i]->OnAbandoned(ticket);
  progress = {};
}

}  // namespace tidegate
