// Filter: one policy acting on requests and replies. Filters decide; the router and the clusters
// act.
//
//   OnRequest  A -> B -> C -> cluster         kContinue: the next one; kAnswered: the filter has
//   OnReply    A <- B <- C <-                 written the reply; kSuspended: executed again later
//
// A filter belongs to one chain of one worker, so it needs no locks; what workers share it shares
// itself. It never waits: a filter that needs time or another worker returns kSuspended, has the
// session woken by its ticket, and OnRequest is called again for the same request (filters before
// it are not). OnReply is called in reverse order for every filter whose OnRequest let the request
// pass, also when a later filter answered, so that what OnRequest took (a permit, a lease) is
// always given back. If the client goes while its request is suspended, OnAbandoned takes that
// place. Owner: one worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/output_buffer.h"
#include "base/reply_writer.h"
#include "storage/engine.h"
#include "storage/request.h"

namespace tidegate {

enum class FilterVerdict : uint8_t { kContinue, kAnswered, kSuspended };

// One request on its way through a chain. Views are valid for the call.
struct RequestContext {
  const Request& request;
  ClientState& client;  // client.ticket wakes the session
  ReplyWriter& reply;
  int64_t now_ms = 0;  // unix time of the batch
};

// A reply as it stands in the output, encoded.
class ReplyView final {
 public:
  ReplyView(const OutputBuffer& output, size_t mark, bool failed)
      : output_(output), mark_(mark), failed_(failed) {}

  size_t bytes() const { return output_.size() - mark_; }
  // Whether an error reply was written.
  bool failed() const { return failed_; }
  // A copy of the encoded bytes.
  std::string Copy() const { return output_.CopyFrom(mark_); }

 private:
  const OutputBuffer& output_;
  const size_t mark_;
  const bool failed_;
};

class Filter {
 public:
  virtual ~Filter() = default;
  virtual std::string_view name() const = 0;
  virtual FilterVerdict OnRequest(RequestContext& context) = 0;
  virtual void OnReply(RequestContext& context, const ReplyView& reply) = 0;
  // The session named by the ticket is gone; its request had passed, or was suspended here.
  virtual void OnAbandoned(uint64_t ticket) = 0;
};

}  // namespace tidegate
