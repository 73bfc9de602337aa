// hiredis as an application uses it: blocking calls, pipelines, binary values, errors. One line per
// check, "ok …" or "FAIL …"; exit status 1 when one failed. Argument: the port on 127.0.0.1.
#include <hiredis/hiredis.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

namespace {

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

bool all_good = true;

void Check(const char* what, bool good) {
  std::printf("%s %s\n", good ? "ok" : "FAIL", what);
  all_good = all_good && good;
}

template <typename... Args>
Reply Call(redisContext* context, const char* format, Args... args) {
  return Reply(static_cast<redisReply*>(redisCommand(context, format, args...)));
}

std::string Text(const Reply& reply) {
  return reply != nullptr && reply->str != nullptr ? std::string(reply->str, reply->len) : "";
}

void CheckPipeline(redisContext* context) {
  constexpr int kCommands = 1000;
  for (int i = 0; i < kCommands; ++i) redisAppendCommand(context, "INCR pipelined");
  bool in_order = true;
  for (int i = 0; i < kCommands; ++i) {
    void* raw = nullptr;
    in_order = in_order && redisGetReply(context, &raw) == REDIS_OK;
    const Reply reply(static_cast<redisReply*>(raw));
    in_order = in_order && reply != nullptr && reply->type == REDIS_REPLY_INTEGER &&
               reply->integer == i + 1;
  }
  Check("a pipeline of 1000 INCR is answered in order", in_order);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::unique_ptr<redisContext, decltype(&redisFree)> owned(
      redisConnectWithTimeout("127.0.0.1", std::atoi(argv[1]), {5, 0}), redisFree);
  redisContext* context = owned.get();
  if (context == nullptr || context->err != 0) {
    std::printf("FAIL connect: %s\n", context != nullptr ? context->errstr : "no memory");
    return 1;
  }
  redisSetTimeout(context, {5, 0});

  Reply reply = Call(context, "SET %s %s", "key", "value");
  Check("SET answers a status", reply && reply->type == REDIS_REPLY_STATUS && Text(reply) == "OK");
  reply = Call(context, "GET key");
  Check("GET answers a string",
        reply && reply->type == REDIS_REPLY_STRING && Text(reply) == "value");
  reply = Call(context, "GET missing");
  Check("a missing key is nil", reply && reply->type == REDIS_REPLY_NIL);

  const std::string binary("a\0b\r\n\xff", 6);
  reply = Call(context, "SET binary %b", binary.data(), binary.size());
  reply = Call(context, "GET binary");
  Check("a binary value comes back", Text(reply) == binary);

  const std::string large(1 << 20, 'x');
  reply = Call(context, "SET large %b", large.data(), large.size());
  reply = Call(context, "GET large");
  Check("a value of 1 MiB comes back", Text(reply) == large);

  reply = Call(context, "MSET a 1 b 2");
  reply = Call(context, "MGET a b missing");
  Check("MGET answers an array", reply && reply->type == REDIS_REPLY_ARRAY &&
                                     reply->elements == 3 && reply->element[1]->integer == 0 &&
                                     std::string(reply->element[1]->str) == "2" &&
                                     reply->element[2]->type == REDIS_REPLY_NIL);
  reply = Call(context, "INCRBY key 1");
  Check("a mistake is an error reply and the connection stays",
        reply && reply->type == REDIS_REPLY_ERROR &&
            Text(reply) == "ERR value is not an integer or out of range" && context->err == 0);
  CheckPipeline(context);
  reply = Call(context, "SCAN 0 COUNT 1000 MATCH %s", "lar*");
  Check("SCAN answers cursor and keys",
        reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
            std::string(reply->element[0]->str) == "0" && reply->element[1]->elements == 1);
  reply = Call(context, "QUIT");
  Check("QUIT", Text(reply) == "OK");
  return all_good ? 0 : 1;
}
