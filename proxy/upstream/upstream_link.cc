#include "proxy/upstream/upstream_link.h"

#include <utility>

#include "base/check.h"

namespace tidegate {

void UpstreamLink::DeliverPart(const UpstreamRequest& part, std::string_view reply) {
  const auto whole = merged.find(part.sequence);
  TG_CHECK(whole != merged.end());
  if (whole->second->Take(part.slot, reply)) {
    const std::unique_ptr<MergedReply> complete = std::move(whole->second);
    merged.erase(whole);
    if (part.stripe != kNoStripe) EndWrite(part);
    if (client != nullptr) return client->OnUpstreamReply(part, complete->Whole());
  }
  if (client == nullptr && outstanding == 0) delete this;
}

bool UpstreamLink::DeliverPiece(const UpstreamRequest& request, std::string_view piece, bool last) {
  if (last && request.stripe != kNoStripe) EndWrite(request);
  const bool taken =
      client == nullptr ? !WantsWhole(request) : client->OnUpstreamPiece(request, piece, last);
  if (!taken || !last) return taken;
  --outstanding;
  if (request.redirected()) --redirected;
  if (client == nullptr && outstanding == 0) delete this;
  return true;
}

void UpstreamLink::DeliverUnheard(const UpstreamRequest& request, std::string_view reply) {
  const auto place = request.has_hook ? hooks.find(request.sequence) : hooks.end();
  if (place != hooks.end()) {
    const std::unique_ptr<ReplyHook> hook = std::move(place->second);
    hooks.erase(place);
    hook->OnUnheardReply(request, reply);
  }
  if (outstanding == 0) delete this;
}

bool UpstreamLink::WantsWhole(const UpstreamRequest& request) const {
  const auto place = request.has_hook ? hooks.find(request.sequence) : hooks.end();
  return place != hooks.end() && place->second->WantsWhole();
}

void UpstreamLink::Cut(const UpstreamRequest& request) {
  --outstanding;
  if (request.redirected()) --redirected;
  if (request.stripe != kNoStripe) EndWrite(request);
  if (client != nullptr) return client->OnUpstreamCut(request);
  if (outstanding == 0) delete this;
}

void UpstreamLink::BeginWrite(WriteStripes& of, uint32_t sequence, StripeIndex stripe,
                              std::vector<StripeIndex> several) {
  stripes = &of;
  if (stripe != kSeveralStripes) return of.Begin(stripe);
  for (const StripeIndex index : several) of.Begin(index);
  written[sequence] = std::move(several);
}

// Of a unit the last reply says that it is through.
void UpstreamLink::EndWrite(const UpstreamRequest& request) {
  if (request.part() == RequestPart::kUnitPart) return;
  if (request.stripe != kSeveralStripes) return stripes->End(request.stripe);
  const auto found = written.find(request.sequence);
  TG_CHECK(found != written.end());
  for (const StripeIndex index : found->second) stripes->End(index);
  written.erase(found);
}

}  // namespace tidegate
