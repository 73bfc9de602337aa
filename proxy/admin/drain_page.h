// What POST /clusters/CLUSTER/nodes/ADDRESS/drain and …/undrain answer. A drained node gets no new
// requests where another can take them: a replica no reads, a node of a ring that ejects no keys.
// What it has it answers. See AdminPages for who may ask.
//
//   200 {"cluster":"cache","node":"10.0.0.5:6379","drained":true}
//   404, 409 {"error":"…"}   no such cluster, not drained; nobody else can take its requests
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/discovery/discovery.h"

namespace tidegate {

struct DrainRequest {
  std::string_view cluster;
  std::string_view address;
  bool drain = true;  // or undrain
};

// Nothing: the path is another one.
std::optional<DrainRequest> ParseDrainPath(std::string_view path);

struct DrainAnswer {
  int status = 200;
  std::string body;
};

// `discovery`: null, there are no clusters. Any thread.
DrainAnswer AnswerDrain(const discovery::Discovery* discovery, const DrainRequest& request);

}  // namespace tidegate
