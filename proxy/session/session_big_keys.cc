// The part of Session that looks at requests to upstreams and their replies for keys that are big.
// Which command says what about its key is proxy/observe/size_roles.h's business.
#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "proxy/observe/big_keys.h"
#include "proxy/observe/key_observer.h"
#include "proxy/observe/long_keys.h"
#include "proxy/observe/size_roles.h"
#include "proxy/session/session.h"
#include "proxy/session/session_upstream.h"
#include "proxy/upstream/reply_framer.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_link.h"
#include "proxy/worker.h"

namespace tidegate {
namespace {

hotkey::Keyspace KeyspaceOf(const UpstreamCluster& cluster, int database) {
  return {.cluster = KeyspaceNumber(cluster.number()), .database = static_cast<uint16_t>(database)};
}

// The reply to MGET, by the names that were kept of it.
void NoteStrings(BigKeys& big_keys, const LongKeys& names, uint32_t ticket,
                 const BulkLengths& found, SizedRequest sized) {
  size_t at = 0;
  const int64_t now_ms = UnixMillis();
  names.ForEachInList(ticket, [&](std::string_view name) {
    if (at == found.lengths().size()) return false;
    sized.moved_bytes = found.lengths()[at++];
    big_keys.NoteString(name, sized.moved_bytes, sized, now_ms);
    return true;
  });
}

// The reply to one command of a transaction.
void NoteSizeInQueue(BigKeys& big_keys, const Request& request, std::string_view reply,
                     hotkey::Keyspace keyspace, std::string_view cluster) {
  const SizeRole role = big_keys.roles().Of(*request.command);
  if (role == SizeRole::kNone || request.keys.empty() || !MaySaySize(reply)) return;
  SizedRequest sized{.keyspace = keyspace, .cluster = cluster, .moved_bytes = reply.size()};
  if (role == SizeRole::kManyStrings) {
    BulkLengths found;
    found.Feed(reply);
    for (size_t i = 0; i < std::min(request.keys.size(), found.lengths().size()); ++i) {
      sized.moved_bytes = found.lengths()[i];
      big_keys.NoteString(request.keys[i].name, found.lengths()[i], sized, UnixMillis());
    }
  } else if (role != SizeRole::kScript || request.keys.size() == 1) {
    big_keys.NoteReply(role, *request.command, request.keys[0].name, reply, sized, UnixMillis());
  }
}

}  // namespace

void Session::KeepForSize(const Request& said, const UpstreamCluster& cluster,
                          UpstreamRequest& waiting) const {
  waiting.keyspace = KeyspaceOf(cluster, client_.db);
  const std::string_view name = said.keys[0].name;
  const SizeRole role = worker_.big_keys()->roles().Of(*said.command);
  if (__builtin_expect(role == SizeRole::kManyStrings, 0)) {
    waiting.long_key = worker_.long_keys().KeepList(said.keys);
  } else if (__builtin_expect(role == SizeRole::kScript, 0)) {
    waiting.says_no_size = said.keys.size() != 1;
  }
  if (__builtin_expect(name.size() > kKeptKeyBytesMax, 0) && role != SizeRole::kNone &&
      role != SizeRole::kManyStrings)
    waiting.long_key = worker_.long_keys().Keep(name);
}

void Session::NoteSizeOfRequest(const Request& said, const UpstreamCluster& cluster,
                                size_t request_bytes) {
  BigKeys& big_keys = *worker_.big_keys();
  const SizeRole role = big_keys.roles().Of(*said.command);
  const bool large = request_bytes >= big_keys.bytes_min();
  // A short request matters where it takes away what was large.
  const bool ends = role == SizeRole::kSets || role == SizeRole::kSetsPairs ||
                    role == SizeRole::kRemoves || role == SizeRole::kFlushes;
  if (!large && !ends) return;
  big_keys.NoteRequest(role, said,
                       {.keyspace = KeyspaceOf(cluster, client_.db),
                        .cluster = cluster.options().name,
                        .moved_bytes = request_bytes},
                       UnixMillis());
}

void Session::BeginSizeOfPieces(const UpstreamRequest& request, std::string_view piece) {
  upstream_->reply_head = piece.substr(0, kReplyHeadBytes);
  const BigKeys* const big_keys = worker_.big_keys();
  const bool many =
      big_keys != nullptr && big_keys->roles().Of(*request.command) == SizeRole::kManyStrings;
  upstream_->bulk_lengths = many ? std::make_unique<BulkLengths>() : nullptr;
}

void Session::NoteSizeOfReply(const UpstreamRequest& request, std::string_view begin,
                              uint64_t reply_bytes) {
  BigKeys* const big_keys = worker_.big_keys();
  if (big_keys == nullptr || request.keyspace.cluster == 0 || request.key_bytes == 0 ||
      request.says_no_size)
    return;
  const SizeRole role = big_keys->roles().Of(*request.command);
  if (role == SizeRole::kNone) return;
  std::string_view cluster;
  for (const auto& one : worker_.upstreams()) {
    if (KeyspaceOf(*one, request.keyspace.database) == request.keyspace)
      cluster = one->options().name;
  }
  if (cluster.empty()) return;  // it is not there any more
  const SizedRequest sized{
      .keyspace = request.keyspace, .cluster = cluster, .moved_bytes = reply_bytes};
  if (role == SizeRole::kManyStrings) {
    // Of one in pieces only the beginning is here; others may come while they do.
    const bool in_pieces = begin.size() < reply_bytes && upstream_->bulk_lengths != nullptr;
    BulkLengths whole;
    if (!in_pieces) whole.Feed(begin);
    const BulkLengths& found = in_pieces ? *upstream_->bulk_lengths : whole;
    return NoteStrings(*big_keys, worker_.long_keys(), request.long_key, found, sized);
  }
  std::string_view name = request.kept_key();
  if (name.size() < request.key_bytes) name = worker_.long_keys().Find(request.long_key);
  if (name.empty()) return;
  big_keys->NoteReply(role, *request.command, name, begin, sized, UnixMillis());
}

void Session::NoteSizesOfQueue(const UpstreamCluster& cluster, const std::vector<bool>& sent,
                               std::string_view reply) {
  BigKeys* const big_keys = worker_.big_keys();
  if (big_keys == nullptr) return;
  reply.remove_prefix(reply.find('\n') + 1);
  ReplyFramer framer(protocol());
  for (size_t i = 0; i < transaction_.size() && i < sent.size(); ++i) {
    if (!sent[i]) continue;
    if (framer.Next(reply) != ReplyFramer::Outcome::kReply) return;
    const std::string_view part = reply.substr(0, framer.frame_bytes());
    reply.remove_prefix(part.size());
    if (part.starts_with('-')) continue;
    const Request queued = transaction_.at(i).view();
    NoteSizeOfRequest(queued, cluster, BytesOf(queued));
    NoteSizeInQueue(*big_keys, queued, part, KeyspaceOf(cluster, client_.db),
                    cluster.options().name);
  }
}

void Session::NoteMovedHere(const Request& request, size_t bytes) {
  if (BigKeys* const big_keys = worker_.big_keys())
    big_keys->NoteMoved(request, client_.db, bytes, UnixMillis());
}

}  // namespace tidegate
