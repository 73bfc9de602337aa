// ServerFeed: commands to a running server, as fast as it takes them, and what it answers.
//
// Commands are written as they come and replies are read whenever there are some, so neither side
// waits for the other with full buffers. Each command is answered with one line ("+OK",
// "-OOM …"); errors are counted and the first is kept. Blocks; owner: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "storage/data_files.h"

namespace tidegate {

class ServerFeed final : public ByteOutput {
 public:
  // `address`: host:port.
  static Result<std::unique_ptr<ServerFeed>> Connect(const std::string& address);
  ~ServerFeed() override;
  ServerFeed(const ServerFeed&) = delete;
  ServerFeed& operator=(const ServerFeed&) = delete;

  // Whether it answers, and lets us in.
  Status Greet();
  // Without a user: the default one.
  Status LogIn(const std::string& user, const std::string& password);
  Status Write(std::string_view bytes) override;
  // Until all that was written is answered.
  Status Wait();

  uint64_t errors() const { return errors_; }
  const std::string& first_error() const { return first_error_; }

 private:
  ServerFeed(int descriptor, std::string address)
      : descriptor_(descriptor), address_(std::move(address)) {}

  Status Exchange(std::string_view& bytes);
  Status ReadReplies();
  void TakeLine(std::string_view line);
  Error Failed(std::string_view what) const;

  const int descriptor_;
  const std::string address_;
  std::string input_;  // of a line that is not whole
  uint64_t errors_ = 0;
  std::string first_error_;
  bool answered_ = false;  // the question of Wait
};

}  // namespace tidegate
