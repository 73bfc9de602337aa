#include "proxy/pubsub/worker_subscribers.h"

#include <algorithm>
#include <initializer_list>

#include "proxy/session/session.h"

namespace tidegate {
namespace {

// A message as both protocols have it, made when the first session wants it.
class EncodedMessage final {
 public:
  explicit EncodedMessage(std::initializer_list<std::string_view> parts) : parts_(parts) {}

  const std::string& For(Protocol protocol) {
    std::string& bytes = protocol == Protocol::kResp3 ? resp3_ : resp2_;
    if (bytes.empty()) Encode(protocol == Protocol::kResp3 ? '>' : '*', bytes);
    return bytes;
  }

 private:
  void Encode(char type, std::string& bytes) const {
    bytes += type;
    bytes += std::to_string(parts_.size());
    bytes += "\r\n";
    for (const std::string_view part : parts_) {
      bytes += '$';
      bytes += std::to_string(part.size());
      bytes += "\r\n";
      bytes += part;
      bytes += "\r\n";
    }
  }

  const std::vector<std::string_view> parts_;
  std::string resp2_;
  std::string resp3_;
};

void SendTo(const std::vector<Session*>& sessions, EncodedMessage message) {
  for (Session* session : sessions) session->PushMessage(message.For(session->protocol()));
}

}  // namespace

void WorkerSubscribers::Add(SubscriptionKind kind, std::string_view name, Session& session) {
  auto& names = names_[kind];
  auto found = names.find(name);
  if (found == names.end()) found = names.emplace(std::string(name), Sessions{}).first;
  found->second.push_back(&session);
}

void WorkerSubscribers::Remove(SubscriptionKind kind, std::string_view name, Session& session) {
  auto& names = names_[kind];
  const auto found = names.find(name);
  if (found == names.end()) return;
  Sessions& sessions = found->second;
  const auto at = std::find(sessions.begin(), sessions.end(), &session);
  if (at == sessions.end()) return;
  *at = sessions.back();
  sessions.pop_back();
  if (sessions.empty()) names.erase(found);
}

const WorkerSubscribers::Sessions* WorkerSubscribers::Find(SubscriptionKind kind,
                                                           std::string_view name) const {
  const auto& names = names_[kind];
  const auto found = names.find(name);
  return found == names.end() ? nullptr : &found->second;
}

void WorkerSubscribers::Deliver(const PubSubMessage& message) {
  if (const Sessions* sessions = Find(message.kind, message.channel)) {
    const bool shard = message.kind == SubscriptionKind::kShardChannel;
    SendTo(*sessions,
           EncodedMessage({shard ? "smessage" : "message", message.channel, message.payload}));
  }
  for (const std::string& pattern : message.patterns) {
    if (const Sessions* sessions = Find(SubscriptionKind::kPattern, pattern))
      SendTo(*sessions, EncodedMessage({"pmessage", pattern, message.channel, message.payload}));
  }
}

}  // namespace tidegate
