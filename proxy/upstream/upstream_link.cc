#include "proxy/upstream/upstream_link.h"

#include "base/check.h"

namespace tidegate {

void UpstreamLink::DeliverPart(const UpstreamRequest& part, std::string_view reply) {
  const auto whole = merged.find(part.sequence);
  TG_CHECK(whole != merged.end());
  if (whole->second->Take(part.slot, reply)) {
    const std::unique_ptr<MergedReply> complete = std::move(whole->second);
    merged.erase(whole);
    if (client != nullptr) return client->OnUpstreamReply(part, complete->Whole());
  }
  if (client == nullptr && outstanding == 0) delete this;
}

bool UpstreamLink::DeliverPiece(const UpstreamRequest& request, std::string_view piece, bool last) {
  const bool taken = client == nullptr || client->OnUpstreamPiece(request, piece, last);
  if (!taken || !last) return taken;
  --outstanding;
  if (request.redirected()) --redirected;
  if (client == nullptr && outstanding == 0) delete this;
  return true;
}

void UpstreamLink::Cut(const UpstreamRequest& request) {
  --outstanding;
  if (request.redirected()) --redirected;
  if (client != nullptr) return client->OnUpstreamCut(request);
  if (outstanding == 0) delete this;
}

}  // namespace tidegate
