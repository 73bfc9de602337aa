// How many processors a container grants, from cgroup files of both versions.
#include "proxy/process_limits.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/temporary_folder.h"

namespace tidegate {
namespace {

class CgroupTest : public ::testing::Test {
 protected:
  CgroupTest() { root_ = temporary_.path() + "/"; }
  void File(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  int Quota() { return CgroupCpuQuota(root_); }

  testing::TemporaryFolder temporary_;
  std::string root_;
};

TEST_F(CgroupTest, Version2RoundsUp) {
  File("proc/self/cgroup", "0::/kube/pod\n");
  File("sys/fs/cgroup/kube/pod/cpu.max", "150000 100000\n");
  EXPECT_EQ(Quota(), 2);
}

TEST_F(CgroupTest, Version2LooksAtTheGroupsAbove) {
  File("proc/self/cgroup", "0::/kube/pod\n");
  File("sys/fs/cgroup/kube/pod/cpu.max", "max 100000\n");
  File("sys/fs/cgroup/kube/cpu.max", "300000 100000\n");
  File("sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(Quota(), 3);
}

TEST_F(CgroupTest, Version2InAContainerThatSeesItselfAsTheRoot) {
  File("proc/self/cgroup", "0::/\n");
  File("sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(Quota(), 1);
}

TEST_F(CgroupTest, Version1) {
  File("proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/docker/1\n");
  File("sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "400000\n");
  File("sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Quota(), 4);
}

TEST_F(CgroupTest, NoLimitIsNone) {
  File("proc/self/cgroup", "4:cpu:/docker/1\n0::/\n");
  File("sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "-1\n");
  File("sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Quota(), 0);
  EXPECT_GE(DefaultWorkers(), 1);
}

}  // namespace
}  // namespace tidegate
