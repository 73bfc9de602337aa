// The request parser: any bytes, whole and in pieces, must give the same commands, the same error
// and the same rest. The last two bytes of the input choose the limits and where it is cut.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "proxy/commands/families.h"
#include "proxy/resp/request_batch.h"
#include "proxy/resp/request_parser.h"
#include "storage/command.h"

namespace tidegate {
namespace {

struct Outcome {
  std::vector<std::vector<std::string>> commands;
  std::string error;
  std::string rest;
};

const CommandTable& Commands() {
  static const std::unique_ptr<CommandTable> kTable =
      CommandTable::Create(StorageCommandFamilies());
  return *kTable;
}

void Record(const RequestBatch& batch, Outcome& outcome) {
  size_t end = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    const Request& request = batch.requests()[i];
    TG_CHECK(!request.args.empty());
    TG_CHECK(batch.end_of(i) > end && batch.end_of(i) <= batch.consumed());
    end = batch.end_of(i);
    outcome.commands.emplace_back(request.args.begin(), request.args.end());
    for (const KeyRef& key : request.keys) {
      TG_CHECK(request.command != nullptr);
      TG_CHECK(key.hash == KeyHash(key.name) && key.slot == KeySlot(key.name));
    }
  }
}

// As a session does: what is left of one piece is in front of the next.
Outcome Feed(std::string_view input, const ParseLimits& limits, size_t piece_bytes) {
  RequestParser parser;
  RequestBatch batch;
  Outcome outcome;
  std::string& pending = outcome.rest;
  while (!input.empty()) {
    const std::string_view piece = input.substr(0, piece_bytes);
    input.remove_prefix(piece.size());
    pending += piece;
    for (;;) {
      batch.Clear();
      const ParseStop stop = parser.Parse(pending, limits, Commands(), batch);
      TG_CHECK(batch.consumed() <= pending.size());
      Record(batch, outcome);
      pending.erase(0, batch.consumed());
      if (stop == ParseStop::kProtocolError) {
        outcome.error = parser.error();
        pending.clear();
        TG_CHECK(!outcome.error.empty());
        return outcome;
      }
      if (stop == ParseStop::kNeedInput) break;
      TG_CHECK(batch.size() > 0);  // a full batch has something in it
    }
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Longer lines than the limit are refused at a point that depends on the pieces, as in Redis.
  if (size < 3 || size > kInlineCommandBytesMax.count) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size - 2);
  const ParseLimits limits = {.bulk_bytes_max = (data[size - 2] & 2) != 0 ? 100u : 512u << 20,
                              .authenticated = (data[size - 2] & 1) == 0};
  const Outcome whole = Feed(input, limits, input.size());
  const Outcome pieces = Feed(input, limits, 1 + data[size - 1] % 64);
  TG_CHECK(whole.commands == pieces.commands);
  TG_CHECK(whole.error == pieces.error);
  TG_CHECK(whole.rest == pieces.rest);
  return 0;
}

}  // namespace tidegate
