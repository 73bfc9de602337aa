// What the parts of Session ask often about its requests in flight at upstreams, in place: apart
// from session.h, so that who only knows sessions need not know what they wait for. Owner: the
// session's worker.
#pragma once

#include <algorithm>
#include <cstdint>

#include "proxy/session/session.h"
#include "proxy/upstream/upstream_link.h"

namespace tidegate {

// Bytes of its arguments.
inline uint32_t BytesOf(const Request& request) {
  size_t bytes = 0;
  for (const std::string_view arg : request.args) bytes += arg.size();
  return static_cast<uint32_t>(std::min<size_t>(bytes, UINT32_MAX));
}

inline bool Session::awaits_upstream() const {
  return upstream_ != nullptr && upstream_->unwritten() > 0;
}

inline size_t Session::early_reply_bytes() const {
  return upstream_ == nullptr || upstream_->early == nullptr ? 0 : upstream_->early->bytes();
}

}  // namespace tidegate
