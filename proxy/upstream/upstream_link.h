// UpstreamLink: between one session and the replies it waits for from upstreams.
//
// A request in flight must outlive its session: its reply comes all the same and has to be thrown
// away, or the next one would be taken for it. So requests point to the link, and the link to the
// session until that is gone; who lets go of the link last deletes it. No search and no walk over
// requests in flight when a session closes. A session waits for one connection at a time: that is
// why replies reach it in the order of its requests without slots for them. Owner: one worker.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/reply_writer.h"

namespace tidegate {

struct Command;
class UpstreamCluster;
class UpstreamConnection;
struct UpstreamLink;

// One request whose reply has not come.
struct UpstreamRequest {
  UpstreamLink* link = nullptr;
  const Command* command = nullptr;
  uint64_t begin_ticks = 0;
  bool unheard = false;  // CLIENT REPLY: nobody is told of the reply
};

// Who waits: a session.
class UpstreamClient {
 public:
  // The encoded reply, valid for the call; an error of our own when the upstream gave none. Called
  // from the connection's callbacks, so it may place no request in it.
  virtual void OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) = 0;

 protected:
  ~UpstreamClient() = default;
};

struct UpstreamLink {
  UpstreamClient* client = nullptr;          // null: gone
  UpstreamConnection* connection = nullptr;  // that the last request went to; it lives on
  const UpstreamCluster* cluster = nullptr;  // of the connection,
  int database = -1;                         // and what it was chosen for
  Protocol protocol = Protocol::kResp2;
  uint32_t outstanding = 0;

  void Deliver(const UpstreamRequest& request, std::string_view reply) {
    --outstanding;
    if (client != nullptr) return client->OnUpstreamReply(request, reply);
    if (outstanding == 0) delete this;
  }
  // The client goes.
  void Leave() {
    client = nullptr;
    if (outstanding == 0) delete this;
  }
};

}  // namespace tidegate
