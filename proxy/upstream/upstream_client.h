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

  // The next piece of a reply that is large, before the rest has come; with the last one the reply
  // is complete, and OnUpstreamReply is not called for it. False: it is not this reply's turn, keep
  // what there is of it. Once one piece was taken all others are.
  virtual bool OnUpstreamPiece(const UpstreamRequest& /*request*/, std::string_view /*piece*/,
                               bool /*last*/) {
    return false;
  }
  // The rest of a reply of which pieces were taken will not come.
  virtual void OnUpstreamCut(const UpstreamRequest& /*request*/) {}

 protected:
  ~UpstreamClient() = default;
};

}  // namespace tidegate
