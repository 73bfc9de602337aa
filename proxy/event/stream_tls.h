// What stream.cc and stream_tls.cc share of a Stream that nobody else needs to know: the request of
// a write that libuv has, and the TLS side. For these two files.
#pragma once

#include <uv.h>

#include <memory>
#include <string>
#include <vector>

#include "proxy/event/stream.h"
#include "proxy/event/tls_layer.h"

namespace tidegate {

struct Stream::PendingWrite {
  uv_write_t request;
};

struct Stream::Tls {
  std::unique_ptr<TlsLayer> layer;
  uv_write_t request;
  std::string sending;                        // sealed bytes that libuv has
  bool is_sending = false;                    // then no other write may come between
  bool failed = false;                        // nothing can be sent any more
  std::vector<OutputBuffer::Piece> unsealed;  // of the owner's write, from `next` on
  size_t next = 0;
};

}  // namespace tidegate
