// ReplyHook: what a policy does with the reply of one request that goes to an upstream, between the
// node and the client.
//
//   SessionForwarder: places it, and leaves the hook in UpstreamLink::hooks under its sequence
//     --> reply --> OnReply --> written as it is, or as the hook says; or held: its place in the
//                               order is kept, and Session::WriteHeld fills it later
//
// A request has one hook at most; it dies when its reply is through, or with the link when the
// client has gone and nothing is in flight any more: so a destructor is told of every request,
// once. Owner: the session's worker.
#pragma once

#include <string_view>

namespace tidegate {

struct UpstreamRequest;

class ReplyHook {
 public:
  enum class Fate { kWritten, kHeld };

  ReplyHook() = default;
  ReplyHook(const ReplyHook&) = delete;
  ReplyHook& operator=(const ReplyHook&) = delete;
  virtual ~ReplyHook() = default;

  // The reply has come, whole; an error of our own when the node gave none. May set it to what the
  // client gets instead, which lives as long as the hook. Called from the connection's callbacks:
  // it may place no request, and not wake the session.
  virtual Fate OnReply(const UpstreamRequest& request, std::string_view& reply) = 0;
  // The same when the client has gone meanwhile.
  virtual void OnUnheardReply(const UpstreamRequest& /*request*/, std::string_view /*reply*/) {}
  // Whether a large reply has to come whole all the same.
  virtual bool WantsWhole() const { return false; }
  // In place of OnReply: it is so large that the client gets it piece by piece; how it begins.
  virtual void OnLargeReply(const UpstreamRequest& request, std::string_view begin) = 0;
};

}  // namespace tidegate
