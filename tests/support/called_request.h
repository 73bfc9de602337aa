// A request with its keys, as a session has it: for tests of what looks at requests and has no
// session. Owns what the request refers to.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "storage/command.h"
#include "storage/request.h"

namespace tidegate::testing {

struct CalledRequest {
  std::vector<std::string> words;
  std::vector<std::string_view> args;
  std::vector<KeyRef> keys;
  Request request;
};

// The first word is a command of the table, in lower case.
inline std::unique_ptr<CalledRequest> MakeCalledRequest(const CommandTable& commands,
                                                        const std::vector<std::string>& words) {
  auto call = std::make_unique<CalledRequest>();
  call->words = words;
  call->args.assign(call->words.begin(), call->words.end());
  call->request.command = commands.Find(words[0]);
  std::vector<int> places;
  FindKeyArguments(*call->request.command->spec, call->args, places);
  for (const int place : places)
    call->keys.push_back(KeyRef::Of(call->args[static_cast<size_t>(place)]));
  call->request.args = call->args;
  call->request.keys = call->keys;
  return call;
}

}  // namespace tidegate::testing
