// MergedReply: the replies to the parts of one request, until there are all of them and they can
// become one.
//
// Parts are told apart by a number of two bytes, which their UpstreamRequests carry as their slot:
// of a Redis Cluster it is the slot, of other splits the node's place. Replies are kept as they
// came; arrays are looked into for where their elements end. The first error, in the order of the
// parts, is the reply, but of kAnyDone. Owner: a link. Cost: a copy of the replies, and one of the
// whole.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/reply_writer.h"
#include "proxy/route/split_rule.h"
#include "proxy/upstream/reply_names.h"

namespace tidegate {

// A SCAN cursor of ours is the node's own and the node's place in the order of their addresses.
inline constexpr uint64_t kScanNodesMax = 4096;

class MergedReply final {
 public:
  MergedReply(SplitRule rule, Protocol protocol) : rule_(rule), protocol_(protocol) {}

  // In ascending order of `number`. `key_positions`: of kByKey, which keys of the whole it has.
  void AddPart(uint16_t number, std::vector<uint32_t> key_positions = {});
  // Of kOneByOne: which node is asked, of how many.
  void set_scan(uint64_t node, uint64_t nodes) {
    scan_node_ = node;
    scan_nodes_ = nodes;
  }

  // What turns names of keys in the whole back; null: nothing has to be.
  void set_names(std::unique_ptr<ReplyNames> names) { names_ = std::move(names); }

  // True: that was the last one.
  bool Take(uint16_t number, std::string_view reply);
  // When all are there.
  std::string Whole() const;

 private:
  struct Part {
    uint16_t number;
    std::vector<uint32_t> key_positions;
    std::string reply;
  };

  std::string Merge() const;
  std::string Sum() const;
  std::string ByKey() const;
  std::string Concat() const;
  std::string AnyKey() const;
  std::string Same() const;
  std::string Union() const;
  std::string Each() const;
  int64_t Combine(int64_t a, int64_t b) const;
  std::string AnyDone() const;
  std::string ScanPage() const;
  // The elements of an array, as they were sent; false: it is none.
  bool Elements(std::string_view reply, std::vector<std::string_view>& elements) const;

  const SplitRule rule_;
  const Protocol protocol_;
  std::vector<Part> parts_;
  std::unique_ptr<ReplyNames> names_;
  size_t taken_ = 0;
  uint64_t scan_node_ = 0;
  uint64_t scan_nodes_ = 0;
};

}  // namespace tidegate
