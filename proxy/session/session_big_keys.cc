// The part of Session that looks at requests to upstreams and their replies for keys that are big.
// Which command says what about its key is proxy/observe/size_roles.h's business.
#include <string_view>

#include "base/clock.h"
#include "proxy/observe/big_keys.h"
#include "proxy/observe/key_observer.h"
#include "proxy/observe/long_keys.h"
#include "proxy/observe/size_roles.h"
#include "proxy/session/session.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_link.h"
#include "proxy/worker.h"

namespace tidegate {
namespace {

hotkey::Keyspace KeyspaceOf(const UpstreamCluster& cluster, int database) {
  return {.cluster = KeyspaceNumber(cluster.number()), .database = static_cast<uint16_t>(database)};
}

}  // namespace

void Session::KeepForSize(const Request& said, const UpstreamCluster& cluster,
                          UpstreamRequest& waiting) const {
  waiting.keyspace = KeyspaceOf(cluster, client_.db);
  const std::string_view name = said.keys[0].name;
  if (__builtin_expect(name.size() > kKeptKeyBytesMax, 0) &&
      worker_.big_keys()->roles().Of(*said.command) != SizeRole::kNone)
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

void Session::NoteSizeOfReply(const UpstreamRequest& request, std::string_view begin,
                              uint64_t reply_bytes) {
  BigKeys* const big_keys = worker_.big_keys();
  if (big_keys == nullptr || request.keyspace.cluster == 0 || request.key_bytes == 0) return;
  const SizeRole role = big_keys->roles().Of(*request.command);
  if (role == SizeRole::kNone) return;
  std::string_view name = request.kept_key();
  if (name.size() < request.key_bytes) name = worker_.long_keys().Find(request.long_key);
  if (name.empty()) return;
  std::string_view cluster;
  for (const auto& one : worker_.upstreams()) {
    if (KeyspaceOf(*one, request.keyspace.database) == request.keyspace)
      cluster = one->options().name;
  }
  if (cluster.empty()) return;  // it is not there any more
  big_keys->NoteReply(
      role, *request.command, name, begin,
      {.keyspace = request.keyspace, .cluster = cluster, .moved_bytes = reply_bytes}, UnixMillis());
}

}  // namespace tidegate
