// Fuzz target for ReplyFramer: arbitrary bytes as an upstream's replies. However they are split,
// the frames must be the same, also when what is done with is taken away, and none may reach beyond
// what has come.
#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "proxy/upstream/reply_framer.h"

namespace tidegate {
namespace {

using Outcome = ReplyFramer::Outcome;

// Where frames end; the last entry is ~0 when garbage ended it.
std::vector<size_t> Ends(Protocol protocol, std::string_view stream, size_t step, bool skips) {
  ReplyFramer framer(protocol);
  std::vector<size_t> ends;
  size_t begin = 0;
  for (size_t have = std::min(step, stream.size());; have = std::min(have + step, stream.size())) {
    while (true) {
      const std::string_view bytes = stream.substr(begin, have - begin);
      const Outcome outcome = framer.Next(bytes);
      if (outcome == Outcome::kNeedInput) break;
      if (outcome == Outcome::kGarbage) {
        ends.push_back(~size_t{0});
        return ends;
      }
      TG_CHECK(framer.frame_bytes() > 0 && framer.frame_bytes() <= bytes.size());
      begin += framer.frame_bytes();
      ends.push_back(begin);
    }
    if (skips) {
      const size_t size = framer.Passable(have - begin);
      TG_CHECK(size <= have - begin);
      framer.Skip(size);
      begin += size;
    }
    TG_CHECK(framer.bytes_wanted() == 0 || framer.bytes_wanted() > have - begin);
    if (have == stream.size()) return ends;
  }
}

void Check(const uint8_t* data, size_t size) {
  const Protocol protocol = (data[0] & 1) != 0 ? Protocol::kResp3 : Protocol::kResp2;
  const size_t step = data[0] / 2 + size_t{1};
  const std::string_view stream(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::vector<size_t> whole = Ends(protocol, stream, stream.size(), false);
  TG_CHECK(Ends(protocol, stream, step, false) == whole);
  TG_CHECK(Ends(protocol, stream, step, true) == whole);
}

}  // namespace
}  // namespace tidegate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size >= 2) tidegate::Check(data, size);
  return 0;
}
