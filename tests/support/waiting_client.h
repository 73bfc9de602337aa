// WaitingClient: a client whose command may wait, beside that of a TestEngine.
//
// Run gives the reply as RESP text, or "" when the command waits; Resume executes it again, as a
// session does that was woken. Shares the thread of the TestEngine, which must outlive it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/engine.h"
#include "tests/support/engine_fixture.h"

namespace tidegate::testing {

class WaitingClient final {
 public:
  WaitingClient(TestEngine& engine, uint64_t ticket) : engine_(engine), out_(pool_), reply_(out_) {
    client_.ticket = ticket;
  }

  // Begins a command; "" when it waits.
  std::string Run(std::vector<std::string> words) {
    words_ = std::move(words);
    args_.assign(words_.begin(), words_.end());
    std::vector<int> positions;
    keys_.clear();
    FindKeyArguments(*engine_.table().Find(args_[0])->spec, args_, positions);
    for (const int i : positions) keys_.push_back(KeyRef::Of(args_[static_cast<size_t>(i)]));
    return Resume();
  }
  // What it got meanwhile.
  std::string Resume(int64_t late_ms = 0) {
    Engine& engine = engine_.engine();
    engine.BeginBatch(engine_.thread(), engine_.now_ms() + late_ms);
    (void)engine.Execute(engine_.thread(),
                         {.command = engine_.table().Find(args_[0]), .args = args_, .keys = keys_},
                         client_, reply_);
    engine.EndBatch(engine_.thread());
    std::string text = out_.CopyFrom(0);
    out_.Clear();
    return text;
  }
  void Leave() { engine_.engine().Cancel(engine_.thread(), client_); }
  void UseResp3() { reply_.set_protocol(Protocol::kResp3); }

 private:
  TestEngine& engine_;
  ClientState client_;
  OutputBlockPool pool_;
  OutputBuffer out_;
  ReplyWriter reply_;
  std::vector<std::string> words_;
  std::vector<std::string_view> args_;
  std::vector<KeyRef> keys_;
};

}  // namespace tidegate::testing
