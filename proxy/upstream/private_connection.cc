#include "proxy/upstream/private_connection.h"

#include <vector>

#include "base/clock.h"
#include "proxy/upstream/private_pool.h"

namespace tidegate {

PrivateConnection::PrivateConnection(PrivatePool& pool, UpstreamNode& node, int database,
                                     Protocol protocol)
    : pool_(pool),
      link_(new UpstreamLink),  // deletes itself when neither side needs it
      connection_(node, {.database = database, .protocol = protocol}) {
  link_->client = this;
  connection_.set_owner(*this);
}

PrivateConnection::~PrivateConnection() {
  user_ = nullptr;
  link_->Leave();
  connection_.Close();
}

void PrivateConnection::Say(std::initializer_list<std::string_view> words) {
  const std::vector<std::string_view> args(words);
  const UpstreamRequest waiting{.link = link_, .begin_ticks = Ticks()};
  if (connection_.Place({.command = nullptr, .args = args, .keys = {}}, waiting)) {
    ++link_->outstanding;
  } else {
    spoiled_ = true;
  }
}

bool PrivateConnection::OnFrame(std::string_view frame) {
  return user_ != nullptr && user_->OnPrivateFrame(frame);
}

void PrivateConnection::OnLost(std::string_view error) {
  spoiled_ = true;
  if (user_ != nullptr) return user_->OnPrivateLost(*this, error);
  pool_.Bury(*this);
}

void PrivateConnection::OnUpstreamReply(const UpstreamRequest& /*request*/,
                                        std::string_view reply) {
  if (reply.empty() || reply.front() == '-') spoiled_ = true;
}

}  // namespace tidegate
