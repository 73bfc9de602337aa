// Keyspace notifications: what happened to keys, as messages to the channels Redis has for it.
//
//   SET user:7 x in database 0   ->   __keyspace@0__:user:7   "set"        when K is on
//                                     __keyevent@0__:set      "user:7"     when E is on
//
// They go the way of PUBLISH, after the command's slots are unlocked. Only on the worker's thread.
#pragma once

#include <span>

namespace tidegate {

class Server;
class Worker;
struct KeyEvent;

void PublishKeyEvents(Server& server, Worker& worker, std::span<const KeyEvent> events);

}  // namespace tidegate
