// Handlers of the stream commands, listed by the rows in stream_commands.cc. They are spread over
// files by what they do: adding and removing entries, ranges, reading (which may wait), groups,
// pending entries, claims, and introspection. Each answers as Redis 7.0 does, down to the order in
// which mistakes are found.
#pragma once

#include <optional>
#include <string_view>

#include "storage/command_context.h"
#include "storage/value/stream.h"

namespace tidegate {

// stream_commands_change.cc
ExecStatus CmdXadd(CommandContext& context);
ExecStatus CmdXdel(CommandContext& context);
ExecStatus CmdXsetid(CommandContext& context);
ExecStatus CmdXtrim(CommandContext& context);

// stream_commands_range.cc
ExecStatus CmdXlen(CommandContext& context);
ExecStatus CmdXrange(CommandContext& context);
ExecStatus CmdXrevrange(CommandContext& context);

// stream_commands_read.cc
ExecStatus CmdXread(CommandContext& context);
ExecStatus CmdXreadgroup(CommandContext& context);

// stream_commands_group.cc
ExecStatus CmdXgroupCreate(CommandContext& context);
ExecStatus CmdXgroupCreateconsumer(CommandContext& context);
ExecStatus CmdXgroupDelconsumer(CommandContext& context);
ExecStatus CmdXgroupDestroy(CommandContext& context);
ExecStatus CmdXgroupHelp(CommandContext& context);
ExecStatus CmdXgroupSetid(CommandContext& context);

// stream_commands_pending.cc
ExecStatus CmdXack(CommandContext& context);
ExecStatus CmdXpending(CommandContext& context);

// stream_commands_claim.cc
ExecStatus CmdXautoclaim(CommandContext& context);
ExecStatus CmdXclaim(CommandContext& context);

// stream_commands_info.cc
ExecStatus CmdXinfoConsumers(CommandContext& context);
ExecStatus CmdXinfoGroups(CommandContext& context);
ExecStatus CmdXinfoHelp(CommandContext& context);
ExecStatus CmdXinfoStream(CommandContext& context);

// --- shared by them ---

// Whether the value of the key, which is a stream or absent (null), could be looked up; else the
// error is written.
bool FindStream(CommandContext& context, const KeyRef& key, bool for_write, StreamValue** out);
// Argument i as an ID; on failure the error is written and nothing returned.
std::optional<StreamId> StreamIdArg(CommandContext& context, size_t i, uint64_t missing_seq,
                                    StreamIdForm form = StreamIdForm::kStrict);
// One end of a range: an ID, "-" or "+", and "(" before it leaves it out.
enum class RangeEnd : uint8_t { kFirst, kLast };
std::optional<StreamId> RangeIdArg(CommandContext& context, size_t i, RangeEnd end);

// Whether up to `count` entries of a range are a long command.
bool IsLongRange(const CommandContext& context, const StreamValue& stream, StreamId first,
                 StreamId last, uint64_t count);

void ReplyStreamId(ReplyWriter& reply, const StreamId& id);
// [id, [field, value …]]
void ReplyStreamEntry(ReplyWriter& reply, const StreamEntry& entry);
// Up to `count` entries (0: all) of [first, last] as an array; returns how many.
size_t ReplyStreamRange(ReplyWriter& reply, const StreamValue& stream, StreamId first,
                        StreamId last, uint64_t count,
                        StreamCursor::Direction direction = StreamCursor::Direction::kForward);

// The consumer of that name, made when there is none (`db` tells of it), and seen now.
StreamConsumer& SeeConsumer(Database& db, const KeyRef& key, StreamGroup& group,
                            std::string_view name);

// "NOGROUP No such key '…' or consumer group '…'" and what follows.
ExecStatus FailNoGroup(CommandContext& context, std::string_view key, std::string_view group,
                       std::string_view rest = "");

}  // namespace tidegate
