// What a read gets from a policy in place of its reply: that of a key that does not exist. For a
// few commands there is no such reply that an application could take for nothing (TYPE, SCAN,
// scripts); they get an error instead. Pure. Threads: any.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/reply_writer.h"
#include "config/policy_options.h"
#include "storage/command.h"
#include "storage/request.h"

namespace tidegate {

// The kinds of replies to reads of what is not there.
enum class NothingReply : uint8_t { kNone, kNull, kNulls, kZero, kArray, kSet, kMap };

NothingReply NothingReplyOf(const Command& command);

// Whether an encoded reply says that there is nothing, as replies of that kind do; a kNulls is not
// looked into. And whether it is that of any kind.
bool IsNothing(NothingReply kind, std::string_view reply);
bool MayBeNothing(std::string_view reply);

// `answer`: nil or blank, which is `blank` in place of a string. False: the command has none, and
// nothing was written.
bool WriteNothing(const Request& request, PolicyAnswer answer, ReplyWriter& reply,
                  std::string_view blank = "");

}  // namespace tidegate
