// UpstreamClient: who waits for replies of upstreams: a session. Apart from UpstreamLink, so that
// who only knows sessions need not know what they wait for. Owner: one worker.
#pragma once

#include <string_view>

namespace tidegate {

struct UpstreamRequest;

class UpstreamClient {
 public:
  // The encoded reply, valid for the call; an error of our own when the upstream gave none. Called
  // from the connection's callbacks, so it may place no request in it.
  virtual void OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) = 0;

 protected:
  ~UpstreamClient() = default;
};

}  // namespace tidegate
