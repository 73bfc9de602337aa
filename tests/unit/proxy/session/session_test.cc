// Sessions over real sockets: order, suspension, limits, pauses, and how connections end.
#include "proxy/session/session.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "proxy/session/session_command.h"
#include "tests/support/test_server.h"

namespace tidegate {
namespace {

ExecStatus CmdAuth(SessionCommand& c) {
  c.session().set_authenticated(c.arg(1) == c.options().requirepass);
  return c.session().authenticated() ? c.Ok() : c.Fail("WRONGPASS");
}
// BIG n: a bulk of n bytes.
ExecStatus CmdBig(SessionCommand& c) {
  c.reply().Bulk(std::string(static_cast<size_t>(*c.IntegerArg(1)), 'b'));
  return ExecStatus::kDone;
}
// BUSY ms: nothing else runs on the worker meanwhile, which no command of ours would do.
ExecStatus CmdBusy(SessionCommand& c) {
  std::this_thread::sleep_for(std::chrono::milliseconds(*c.IntegerArg(1)));
  return c.Ok();
}
// EVERYWHERE: the index of each worker, asked of each worker.
ExecStatus CmdEverywhere(SessionCommand& c) {
  auto* indexes = c.Gathered<int>();
  if (indexes == nullptr) return c.Gather<int>([](Worker& worker) { return worker.index() + 1; });
  c.reply().Array(indexes->size());
  for (const int index : *indexes) c.reply().Integer(index);
  return ExecStatus::kDone;
}
ExecStatus CmdId(SessionCommand& c) {
  c.reply().Integer(static_cast<int64_t>(c.session().id()));
  return ExecStatus::kDone;
}
// KILL id: how many were found.
ExecStatus CmdKill(SessionCommand& c) {
  auto* killed = c.Gathered<int>();
  if (killed == nullptr) {
    const auto id = static_cast<uint64_t>(*c.IntegerArg(1));
    return c.Gather<int>([id](Worker& worker) {
      Session* session = worker.FindSession(id);
      if (session != nullptr) session->Kill();
      return session != nullptr ? 1 : 0;
    });
  }
  int64_t sum = 0;
  for (const int one : *killed) sum += one;
  c.reply().Integer(sum);
  return ExecStatus::kDone;
}
ExecStatus CmdLocal(SessionCommand& c) {
  c.reply().Integer(c.session().is_local() ? 1 : 0);
  return ExecStatus::kDone;
}
ExecStatus CmdMonitor(SessionCommand& c) {
  c.session().set_monitor(true);
  return c.Ok();
}
// PAUSE ms write|all, UNPAUSE.
ExecStatus CmdPause(SessionCommand& c) {
  c.server().BeginPause(c.arg(2) == "write" ? PauseMode::kWrite : PauseMode::kAll, c.now_ms(),
                        c.now_ms() + *c.IntegerArg(1));
  return c.Ok();
}
ExecStatus CmdPing(SessionCommand& c) {
  c.reply().SimpleString("PONG");
  return ExecStatus::kDone;
}
ExecStatus CmdQuit(SessionCommand& c) {
  c.session().CloseAfterReply();
  return c.Ok();
}
// REPLY on|off|skip.
ExecStatus CmdReply(SessionCommand& c) {
  const std::string_view mode = c.arg(1);
  c.session().set_reply_mode(mode == "on"    ? ReplyMode::kOn
                             : mode == "off" ? ReplyMode::kOff
                                             : ReplyMode::kSkipNext);
  return mode == "on" ? c.Ok() : ExecStatus::kDone;
}
ExecStatus CmdReset(SessionCommand& c) {
  c.session().Reset();
  return c.Ok();
}
ExecStatus CmdSecret(SessionCommand& c) {
  c.Redact(2);
  return c.Ok();
}
// SLEEP ms: answers the times it was executed before.
ExecStatus CmdSleep(SessionCommand& c) {
  if (!c.resumed()) return c.SuspendFor(std::chrono::milliseconds(*c.IntegerArg(1)));
  c.reply().SimpleString("slept");
  return ExecStatus::kDone;
}
ExecStatus CmdUnpause(SessionCommand& c) {
  c.server().EndPause();
  return c.Ok();
}

constexpr CommandSpec Row(std::string_view name, Arity arity,
                          ExecStatus (*handler)(SessionCommand&), uint32_t flags = kFlagNone) {
  return {.name = name,
          .arity = arity,
          .access = Access::kNone,
          .scope = Scope::kProcess,
          .flags = flags,
          .group = Group::kServer,
          .since = "1.0.0",
          .summary = "for this test",
          .session_handler = handler};
}
constexpr CommandSpec kRows[] = {
    Row("AUTH", Exactly(2), CmdAuth, kNoAuth | kSecretArguments | kSkipSlowlog),
    Row("BIG", Exactly(2), CmdBig),
    Row("BUSY", Exactly(2), CmdBusy),
    Row("EVERYWHERE", Exactly(1), CmdEverywhere),
    Row("ID", Exactly(1), CmdId),
    Row("KILL", Exactly(2), CmdKill),
    Row("LOCAL", Exactly(1), CmdLocal),
    Row("MONITOR", Exactly(1), CmdMonitor, kSkipMonitor | kAdmin),
    Row("PAUSE", Exactly(3), CmdPause),
    Row("PING", AtLeast(1), CmdPing),
    Row("QUIT", AtLeast(1), CmdQuit),
    Row("REPLY", Exactly(2), CmdReply),
    Row("RESET", Exactly(1), CmdReset, kNoAuth),
    Row("SECRET", Exactly(3), CmdSecret),
    Row("SLEEP", Exactly(2), CmdSleep),
    Row("UNPAUSE", Exactly(1), CmdUnpause),
};
static_assert(IsValidFamily(kRows));
constexpr std::array<std::span<const CommandSpec>, 1> kFamilies = {kRows};

TEST(Session, AnswersAPipelineInOrderWithOneCommandSuspended) {
  TestServer server(kFamilies);
  TestClient client(server.port());
  const std::string expected = "+OK\r\n$1\r\n1\r\n+slept\r\n+PONG\r\n$1\r\n1\r\n";
  client.Send("set a 1\r\nget a\r\nsleep 50\r\nping\r\nget a\r\n");
  EXPECT_EQ(client.Read(expected.size()), expected);
}

TEST(Session, ASuspendedSessionDoesNotHoldUpOthers) {
  TestServer server(kFamilies, [](Options& options) { options.workers = 1; });
  TestClient slow(server.port());
  TestClient quick(server.port());
  slow.Send("sleep 2000\r\n");
  ASSERT_TRUE(Eventually([&] { return server->Totals().sessions_suspended == 1; }));
  EXPECT_EQ(quick.Ask("ping\r\n", "+PONG\r\n"), "+PONG\r\n");
  EXPECT_EQ(server->Totals().sessions_suspended, 1u);
  slow.Close();
  EXPECT_TRUE(Eventually([&] { return server->Totals().sessions_suspended == 0; }));
  EXPECT_TRUE(Eventually([&] { return server->Totals().sessions == 1; }));
}

TEST(Session, GathersFromAllWorkers) {
  TestServer server(kFamilies, [](Options& options) { options.workers = 3; });
  TestClient client(server.port());
  const std::string once = "*3\r\n:1\r\n:2\r\n:3\r\n";
  std::string expected;
  std::string commands;
  for (int i = 0; i < 50; ++i) {
    commands += "everywhere\r\nget nothing\r\n";
    expected += once + "$-1\r\n";
  }
  EXPECT_EQ(client.Ask(commands, expected), expected);
}

TEST(Session, KillsAcrossWorkers) {
  TestServer server(kFamilies);
  TestClient a(server.port());
  TestClient b(server.port());
  a.Send("id\r\n");
  b.Send("id\r\n");
  const std::string id = b.Read(4).substr(1, 1);
  ASSERT_EQ(a.Read(4).size(), 4u);
  EXPECT_EQ(a.Ask("kill " + id + "\r\n", ":1\r\n"), ":1\r\n");
  EXPECT_EQ(b.ReadToEnd(), "");
  EXPECT_TRUE(b.ended());
  EXPECT_EQ(a.Ask("kill 999\r\n", ":0\r\n"), ":0\r\n");
}

TEST(Session, RefusesWhatItDoesNotKnowWithRedisWords) {
  TestServer server(kFamilies);
  TestClient client(server.port());
  const std::string expected =
      "-ERR unknown command 'nosuch', with args beginning with: 'a' 'b c' \r\n"
      "-ERR wrong number of arguments for 'get' command\r\n"
      "-ERR wrong number of arguments for 'object' command\r\n"
      "-ERR unknown subcommand 'nope'. Try OBJECT HELP.\r\n";
  EXPECT_EQ(client.Ask("nosuch a \"b c\"\r\nget\r\nobject\r\nobject nope\r\n", expected), expected);
  EXPECT_EQ(server->TotalsOfCommand(server->commands().Find("get")->id).rejected, 1u);
  EXPECT_EQ(server->error_stats().Get().at("ERR"), 4u);
}

TEST(Session, AProtocolErrorEndsTheConnectionAfterWhatCameBefore) {
  TestServer server(kFamilies);
  TestClient client(server.port());
  client.Send("ping\r\n*1\r\n$x\r\nping\r\n");
  EXPECT_EQ(client.ReadToEnd(), "+PONG\r\n-ERR Protocol error: invalid bulk length\r\n");
  EXPECT_EQ(server->Totals().protocol_errors, 1u);
}

TEST(Session, WithAPasswordNothingElseGoes) {
  TestServer server(kFamilies, [](Options& options) { options.requirepass = "pw"; });
  TestClient client(server.port());
  const std::string no = "-NOAUTH Authentication required.\r\n";
  const std::string expected = no + no + "-WRONGPASS\r\n" + "+OK\r\n" + "+PONG\r\n";
  EXPECT_EQ(client.Ask("ping\r\nget a\r\nauth no\r\nauth pw\r\nping\r\n", expected), expected);
  TestClient greedy(server.port());
  greedy.Send("*11\r\n");
  EXPECT_EQ(greedy.ReadToEnd(), "-ERR Protocol error: unauthenticated multibulk length\r\n");
}

TEST(Session, BigArgumentsArriveWholeInPieces) {
  TestServer server(kFamilies);
  TestClient client(server.port());
  const std::string value(3'000'000, 'v');
  const std::string set = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3000000\r\n" + value + "\r\n";
  for (size_t at = 0; at < set.size(); at += 700'000) client.Send(set.substr(at, 700'000));
  EXPECT_EQ(client.Read(5), "+OK\r\n");
  const std::string expected = "$3000000\r\n" + value + "\r\n";
  EXPECT_EQ(client.Ask("get k\r\n", expected), expected);
}

TEST(Session, ReplyModesDropRepliesAsRedisDoes) {
  TestServer server(kFamilies);
  TestClient client(server.port());
  client.Send(
      "reply skip\r\nping\r\nbig 1\r\nreply off\r\nping\r\nnosuch\r\nreply skip\r\nping\r\n"
      "ping\r\nreply on\r\nping\r\n");
  const std::string expected = "$1\r\nb\r\n+OK\r\n+PONG\r\n";
  EXPECT_EQ(client.Read(expected.size()), expected);
  EXPECT_EQ(client.Read(1, 50), "");
}

TEST(Session, APauseOfWritesHoldsWritesAndLetsReadsPass) {
  TestServer server(kFamilies);
  TestClient writer(server.port());
  TestClient other(server.port());
  EXPECT_EQ(other.Ask("pause 60000 write\r\n", "+OK\r\n"), "+OK\r\n");
  writer.Send("get a\r\nset a 1\r\nget a\r\n");
  EXPECT_EQ(writer.Read(5), "$-1\r\n");
  EXPECT_EQ(writer.Read(1, 100), "");
  EXPECT_EQ(other.Ask("unpause\r\n", "+OK\r\n"), "+OK\r\n");
  EXPECT_EQ(writer.Read(12), "+OK\r\n$1\r\n1\r\n");
}

TEST(Session, APauseEndsByItself) {
  TestServer server(kFamilies);
  TestClient client(server.port());
  client.Send("pause 100 all\r\nping\r\n");
  EXPECT_EQ(client.Read(12), "+OK\r\n+PONG\r\n");
}

TEST(Session, AClientThatDoesNotReadStopsBeingExecutedAndIsServedWhenItReads) {
  TestServer server(kFamilies, [](Options& options) { options.workers = 1; });
  TestClient client(server.port(), 4096);
  constexpr int kCommands = 200;
  std::string commands;
  for (int i = 0; i < kCommands; ++i) commands += "big 200000\r\n";
  client.Send(commands);
  const uint32_t id = server->commands().Find("big")->id;
  ASSERT_TRUE(Eventually([&] { return server->TotalsOfCommand(id).calls > 0; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(server->TotalsOfCommand(id).calls, 60u);
  const std::string one = "$200000\r\n" + std::string(200000, 'b') + "\r\n";
  const std::string all = client.Read(one.size() * kCommands);
  EXPECT_EQ(all.size(), one.size() * kCommands);
  EXPECT_EQ(all.substr(all.size() - one.size()), one);
}

TEST(Session, TheHardOutputLimitEndsAClient) {
  TestServer server(kFamilies,
                    [](Options& options) { options.client_output_buffer_limits[0].hard = 1_MiB; });
  TestClient client(server.port(), 4096);
  client.Send("big 20000000\r\n");
  EXPECT_TRUE(Eventually([&] { return server->Totals().output_limit_closings == 1; }));
  EXPECT_TRUE(Eventually([&] { return server->Totals().sessions == 0; }));
}

TEST(Session, TheSoftOutputLimitEndsAClientAfterItsTime) {
  TestServer server(kFamilies, [](Options& options) {
    options.client_output_buffer_limits[0] = {0_B, 1_MiB, std::chrono::seconds(1)};
  });
  TestClient client(server.port(), 4096);
  client.Send("big 20000000\r\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(server->Totals().sessions, 1u);
  EXPECT_TRUE(Eventually([&] { return server->Totals().output_limit_closings == 1; }));
}

TEST(Session, TheQueryBufferLimitEndsAClient) {
  TestServer server(kFamilies, [](Options& options) { options.client_query_buffer_limit = 1_MiB; });
  TestClient client(server.port());
  client.Send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5000000\r\n" + std::string(2'000'000, 'x'));
  client.ReadToEnd();
  EXPECT_EQ(server->Totals().input_buffer_closings, 1u);
}

TEST(Session, MaxclientsIsToldAndHeld) {
  TestServer server(kFamilies, [](Options& options) { options.maxclients = 2; });
  TestClient a(server.port());
  TestClient b(server.port());
  EXPECT_EQ(a.Ask("ping\r\n", "+PONG\r\n") + b.Ask("ping\r\n", "+PONG\r\n"), "+PONG\r\n+PONG\r\n");
  TestClient c(server.port());
  EXPECT_EQ(c.ReadToEnd(), "-ERR max number of clients reached\r\n");
  EXPECT_EQ(server->Totals().connections_rejected, 1u);
}

TEST(Session, IdleAndOldConnectionsAreClosed) {
  TestServer idle(kFamilies, [](Options& options) { options.timeout = std::chrono::seconds(1); });
  TestClient a(idle.port());
  EXPECT_EQ(a.ReadToEnd(), "");
  EXPECT_EQ(idle->Totals().idle_closings, 1u);
  TestServer aging(kFamilies, [](Options& options) {
    options.max_connection_age = std::chrono::milliseconds(300);
  });
  TestClient quiet(aging.port());
  TestClient busy(aging.port());
  busy.Send("sleep 600\r\n");
  EXPECT_EQ(quiet.ReadToEnd(), "");
  EXPECT_EQ(busy.ReadToEnd(), "+slept\r\n");
  EXPECT_EQ(aging->Totals().age_closings, 2u);
}

TEST(Session, MonitorsSeeCommandsOfAllWorkersWithoutSecrets) {
  TestServer server(kFamilies);
  TestClient monitor(server.port());
  EXPECT_EQ(monitor.Ask("monitor\r\n", "+OK\r\n"), "+OK\r\n");
  TestClient a(server.port());
  TestClient b(server.port());
  EXPECT_EQ(a.Ask("secret x hidden\r\n", "+OK\r\n"), "+OK\r\n");
  EXPECT_EQ(b.Ask("auth hidden\r\n", "-WRONGPASS\r\n"), "-WRONGPASS\r\n");
  EXPECT_EQ(b.Ask("set k \"a\\n\"\r\n", "+OK\r\n"), "+OK\r\n");
  const std::string seen = monitor.Read(100000, 300);
  EXPECT_NE(seen.find("] \"secret\" \"x\" \"(redacted)\"\r\n"), std::string::npos) << seen;
  EXPECT_NE(seen.find("] \"auth\" \"(redacted)\"\r\n"), std::string::npos) << seen;
  EXPECT_NE(seen.find("] \"set\" \"k\" \"a\\n\"\r\n"), std::string::npos) << seen;
  EXPECT_EQ(seen.find("hidden"), std::string::npos);
}

TEST(Session, SlowCommandsAreLoggedWithoutSecrets) {
  TestServer server(kFamilies, [](Options& options) {
    options.slowlog_log_slower_than = std::chrono::microseconds(20000);
  });
  TestClient client(server.port());
  EXPECT_EQ(client.Ask("ping\r\nsleep 30\r\n", "+PONG\r\n+slept\r\n"), "+PONG\r\n+slept\r\n");
  const std::vector<SlowlogEntry> entries = server->slowlog().Get(-1);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].arguments, (std::vector<std::string>{"sleep", "30"}));
  EXPECT_GE(entries[0].duration_us, 29000);
}

TEST(Session, QuitAnswersAndIgnoresTheRest) {
  TestServer server(kFamilies);
  TestClient client(server.port());
  client.Send("ping\r\nquit\r\nping\r\n");
  EXPECT_EQ(client.ReadToEnd(), "+PONG\r\n+OK\r\n");
}

TEST(Session, ABrowserIsCutOff) {
  TestServer server(kFamilies);
  TestClient client(server.port());
  client.Send("POST / HTTP/1.1\r\nset a 1\r\n\r\n");
  EXPECT_EQ(client.ReadToEnd(), "");
  EXPECT_TRUE(client.ended());
  TestClient other(server.port());
  EXPECT_EQ(other.Ask("get a\r\n", "$-1\r\n"), "$-1\r\n");
}

TEST(Session, ADrainLetsRepliesFinishAndClosesIdleConnections) {
  TestServer server(kFamilies);
  TestClient idle(server.port());
  TestClient busy(server.port());
  EXPECT_EQ(idle.Ask("ping\r\n", "+PONG\r\n"), "+PONG\r\n");
  busy.Send("sleep 300\r\nping\r\n");
  ASSERT_TRUE(Eventually([&] { return server->Totals().sessions_suspended == 1; }));
  server.Stop(false);
  EXPECT_EQ(idle.ReadToEnd(), "");
  EXPECT_EQ(busy.ReadToEnd(), "+slept\r\n+PONG\r\n");
}

TEST(Session, TheProxyHeaderNamesTheClient) {
  TestServer server(kFamilies,
                    [](Options& options) { options.listeners[0].proxy_protocol = true; });
  TestClient monitor_client(server.port());
  const std::string header(
      "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x10\x01\x18\xeb", 28);
  for (const char byte : header) monitor_client.Send({&byte, 1});
  EXPECT_EQ(monitor_client.Ask("monitor\r\n", "+OK\r\n"), "+OK\r\n");
  EXPECT_EQ(monitor_client.Ask("ping\r\n", "+PONG\r\n"), "+PONG\r\n");
  EXPECT_NE(monitor_client.Read(1000, 200).find("[0 1.2.3.4:4097] \"ping\""), std::string::npos);
  TestClient old(server.port());
  old.Send("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nping\r\n");
  EXPECT_EQ(old.ReadToEnd(),
            "-ERR PROXY protocol version 1 is not supported here, send version 2\r\n");
}

// A balancer on this machine speaks for a client that is elsewhere.
TEST(Session, AClientOfTheProxyHeaderIsLocalOnlyWhenItIsItself) {
  TestServer server(kFamilies,
                    [](Options& options) { options.listeners[0].proxy_protocol = true; });
  const std::string_view remote(
      "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x10\x01\x18\xeb", 28);
  const std::string_view health("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);
  TestClient client(server.port());
  client.Send(remote);
  EXPECT_EQ(client.Ask("local\r\n", ":0\r\n"), ":0\r\n");
  TestClient probe(server.port());
  probe.Send(health);
  EXPECT_EQ(probe.Ask("local\r\n", ":1\r\n"), ":1\r\n");
}

TEST(Session, WithPortZeroAllAddressesOfAListenerShareThePort) {
  TestServer server(kFamilies, [](Options& options) {
    options.listeners[0].addresses = {{"127.0.0.1", false}, {"127.0.0.2", false}};
  });
  const std::string port = std::to_string(server.port());
  EXPECT_EQ(server->listening(),
            (std::vector<std::string>{"tcp 127.0.0.1:" + port, "tcp 127.0.0.2:" + port}));
}

// --- clients that have not authenticated ---

TEST(Session, WithoutAPasswordOnlySoMuchMayBeUnread) {
  TestServer server(kFamilies, [](Options& options) { options.requirepass = "secret"; });
  const std::string refusal = "-NOAUTH Authentication required.\r\n";
  const auto pings = [](int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += "ping\r\n";
    return out;
  };
  TestClient moderate(server.port());
  moderate.Send(pings(400));
  EXPECT_EQ(moderate.Read(refusal.size() * 400).size(), refusal.size() * 400);
  TestClient greedy(server.port());
  greedy.Send(pings(1000));
  EXPECT_EQ(greedy.ReadToEnd(), "");
  EXPECT_TRUE(greedy.ended());
  EXPECT_EQ(server->Totals().output_limit_closings, 1u);
  EXPECT_EQ(moderate.Ask("ping\r\n", refusal), refusal);
}

TEST(Session, AfterResetTheStrictLimitsHoldAtOnce) {
  TestServer server(kFamilies, [](Options& options) { options.requirepass = "secret"; });
  TestClient client(server.port());
  client.Send("auth secret\r\n");
  EXPECT_EQ(client.Read(5), "+OK\r\n");
  client.Send("ping\r\nreset\r\nping\r\n*11\r\n$4\r\nPING\r\n");
  EXPECT_EQ(client.ReadToEnd(),
            "+PONG\r\n+OK\r\n-NOAUTH Authentication required.\r\n"
            "-ERR Protocol error: unauthenticated multibulk length\r\n");
  TestClient last(server.port());  // RESET is the last complete command
  last.Send("auth secret\r\n");
  EXPECT_EQ(last.Read(5), "+OK\r\n");
  last.Send("reset\r\n*2\r\n$4\r\nPING\r\n$20000\r\nx");
  EXPECT_EQ(last.ReadToEnd(), "+OK\r\n-ERR Protocol error: unauthenticated bulk length\r\n");
}

// --- monitors ---

TEST(Session, AMonitorHasNoKeys) {
  TestServer server(kFamilies);
  TestClient monitor(server.port());
  EXPECT_EQ(monitor.Ask("monitor\r\n", "+OK\r\n"), "+OK\r\n");
  const std::string refusal = "-ERR Replica can't interact with the keyspace\r\n";
  EXPECT_EQ(monitor.Ask("get a\r\n", refusal), refusal);
  EXPECT_EQ(monitor.Ask("set a 1\r\n", refusal), refusal);
}

TEST(Session, AMonitorThatDoesNotReadIsClosedAndHoldsNobodyUp) {
  TestServer server(kFamilies, [](Options& options) {
    options.client_output_buffer_limits[static_cast<size_t>(ClientClass::kPubsub)].hard = 1_MiB;
  });
  TestClient near(server.port(), 4096);
  TestClient far(server.port(), 4096);  // on the other worker
  EXPECT_EQ(near.Ask("monitor\r\n", "+OK\r\n"), "+OK\r\n");
  EXPECT_EQ(far.Ask("monitor\r\n", "+OK\r\n"), "+OK\r\n");
  TestClient client(server.port());
  const std::string command = "ping " + std::string(50000, 'x') + "\r\n";
  for (int i = 0; i < 400 && server->Totals().monitors > 0; ++i)
    ASSERT_EQ(client.Ask(command, "+PONG\r\n"), "+PONG\r\n");
  EXPECT_TRUE(Eventually([&] { return server->Totals().monitors == 0; }));
  EXPECT_EQ(server->Totals().output_limit_closings, 2u);
  EXPECT_EQ(client.Ask("ping\r\n", "+PONG\r\n"), "+PONG\r\n");
}

// --- idle or not ---

TEST(Session, APausedClientIsNotIdle) {
  TestServer server(kFamilies, [](Options& options) { options.timeout = std::chrono::seconds(2); });
  TestClient client(server.port());
  client.Send("pause 3500 all\r\nping\r\n");
  EXPECT_EQ(client.Read(12), "+OK\r\n+PONG\r\n");
  // Idle clients are looked for once a second: the pause must not count afterwards either.
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_EQ(client.Ask("ping\r\n", "+PONG\r\n"), "+PONG\r\n");
  EXPECT_EQ(server->Totals().idle_closings, 0u);
}

TEST(Session, AClientThatTakesALongReplyInIsNotIdle) {
  TestServer server(kFamilies, [](Options& options) { options.timeout = std::chrono::seconds(1); });
  TestClient client(server.port(), 65536);
  constexpr size_t kBytes = 40'000'000;
  client.Send("big 40000000\r\n");
  size_t got = 0;
  for (int i = 0; i < 35 && !client.ended(); ++i) {
    got += client.Read(kBytes / 40).size();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  got += client.Read(kBytes + 13 - got).size();
  EXPECT_EQ(got, kBytes + 13);
  EXPECT_EQ(server->Totals().idle_closings, 0u);
}

// --- ends in the middle of something ---

TEST(Session, AClientMayLeaveWhileItIsPaused) {
  TestServer server(kFamilies);
  TestClient pauser(server.port());
  EXPECT_EQ(pauser.Ask("pause 20000 write\r\n", "+OK\r\n"), "+OK\r\n");
  {
    TestClient client(server.port());
    client.Send("set a 1\r\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_TRUE(Eventually([&] { return server->Totals().sessions == 1; }));
  EXPECT_EQ(pauser.Ask("unpause\r\nget a\r\n", "+OK\r\n$-1\r\n"), "+OK\r\n$-1\r\n");
}

TEST(Session, AKilledClientsPipelineEndsWithIt) {
  TestServer server(kFamilies);
  TestClient victim(server.port());
  const std::string id = victim.Ask("id\r\n", ":1\r\n");
  TestClient killer(server.port());
  victim.Send("sleep 300\r\nset a 1\r\n");
  ASSERT_TRUE(Eventually([&] { return server->Totals().sessions_suspended == 1; }));
  EXPECT_EQ(killer.Ask("kill " + id.substr(1), ":1\r\n"), ":1\r\n");
  EXPECT_EQ(victim.ReadToEnd(), "");
  EXPECT_TRUE(Eventually([&] { return server->Totals().sessions == 1; }));
  EXPECT_EQ(server->Totals().sessions_suspended, 0u);
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  EXPECT_EQ(killer.Ask("get a\r\n", "$-1\r\n"), "$-1\r\n");
}

// Their worker had no time to read them before it was told to drain.
TEST(Session, ADrainAnswersRequestsThatNobodyHasReadYet) {
  TestServer server(kFamilies, [](Options& options) { options.workers = 1; });
  TestClient busy(server.port());
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<TestClient>(server.port()));
    ASSERT_EQ(clients.back()->Ask("ping\r\n", "+PONG\r\n"), "+PONG\r\n");
  }
  busy.Send("busy 300\r\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  // Each is longer than a turn, so that the drain begins with most of them unread.
  for (const auto& client : clients) client->Send("busy 3\r\n");
  server.Stop(false);
  for (const auto& client : clients) EXPECT_EQ(client->ReadToEnd(), "+OK\r\n");
}

TEST(Session, ADrainingWorkerWithoutClientsStillAnswersTheOthers) {
  TestServer server(kFamilies);
  TestClient client(server.port());
  client.Send("sleep 300\r\neverywhere\r\n");
  ASSERT_TRUE(Eventually([&] { return server->Totals().sessions_suspended == 1; }));
  const auto begin = std::chrono::steady_clock::now();
  server.Stop(false);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  EXPECT_EQ(client.ReadToEnd(), "+slept\r\n*2\r\n:1\r\n:2\r\n");
}

}  // namespace
}  // namespace tidegate
