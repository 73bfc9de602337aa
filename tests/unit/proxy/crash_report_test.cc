// What a process that crashes says, and that it ends.
#include "proxy/crash_report.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

#include "base/log.h"

namespace tidegate {
namespace {

#ifndef TIDEGATE_SANITIZE  // whose handlers are in the way

// The log goes where death tests look.
void InstallWithInfo(std::function<std::string()> info) {
  ASSERT_TRUE(log::OpenFile("/dev/stderr").ok());
  crash_report::Install(std::move(info));
}

TEST(CrashReport, SaysSignalStackAndInfo) {
  EXPECT_EXIT(
      {
        InstallWithInfo([] { return std::string("tidegate_version:1\n"); });
        raise(SIGSEGV);
      },
      testing::KilledBySignal(SIGSEGV),
      "REPORT START.*signal: 11.*STACK TRACE.*tidegate_version:1.*REPORT END");
}

TEST(CrashReport, ASecondThreadThatCrashesWaitsForTheReport) {
  EXPECT_EXIT(
      {
        InstallWithInfo([] {
          std::thread([] { raise(SIGSEGV); }).detach();
          std::this_thread::sleep_for(std::chrono::milliseconds(300));
          return std::string("all of it\n");
        });
        raise(SIGSEGV);
      },
      testing::KilledBySignal(SIGSEGV), "all of it.*REPORT END");
}

TEST(CrashReport, AFaultInsideTheReportEndsTheProcess) {
  EXPECT_EXIT(
      {
        InstallWithInfo([]() -> std::string {
          raise(SIGABRT);
          return {};
        });
        raise(SIGSEGV);
      },
      testing::KilledBySignal(SIGABRT), "REPORT START.*STACK TRACE");
}

#endif

}  // namespace
}  // namespace tidegate
