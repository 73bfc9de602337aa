// ReplyWriter: encodes replies as RESP2 or RESP3 straight into an OutputBuffer.
//
// Handlers say what they mean (a map, a set, a double, nothing) and the protocol of the session
// decides the bytes: a map is %n in RESP3 and an array of 2n in RESP2. One concrete class with a
// flag, because every reply passes here and a virtual call per element would be the largest cost of
// MGET. Borrowed views are copied before a call returns. Errors: Error() takes the text without '-'
// and CRLF, code word first. Source: the RESP protocol specification; RESP3 by S. Sanfilippo.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/output_buffer.h"
#include "base/text.h"

namespace tidegate {

enum class Protocol : uint8_t { kResp2 = 2, kResp3 = 3 };

class ReplyWriter final {
 public:
  explicit ReplyWriter(OutputBuffer& out) : out_(&out) {}

  Protocol protocol() const { return protocol_; }
  bool resp3() const { return protocol_ == Protocol::kResp3; }
  void set_protocol(Protocol protocol) { protocol_ = protocol; }

  // Where the bytes go. The target must outlive the writer's use of it.
  OutputBuffer& out() { return *out_; }
  void Retarget(OutputBuffer& out) { out_ = &out; }

  // Told the text of each error reply, for the error counters; null: nobody.
  using ErrorObserver = void (*)(void* context, std::string_view text);
  void ObserveErrors(ErrorObserver observer, void* context) {
    error_observer_ = observer;
    error_context_ = context;
  }

  void Ok() { Raw("+OK\r\n"); }
  void SimpleString(std::string_view text);
  // "ERR syntax error". Line breaks become spaces, so that a text can never forge a second reply.
  void Error(std::string_view text);
  // A whole reply that was encoded earlier, for the same protocol. One that is an error is told to
  // the observer as any other.
  void Replay(std::string_view encoded);
  void Integer(int64_t value) { Header(':', value); }
  // The same from its digits, kInt64TextBytesMax at most.
  void IntegerText(std::string_view digits) {
    char* p = out_->Reserve(kHeaderBytesMax);
    p[0] = ':';
    std::memcpy(p + 1, digits.data(), digits.size());
    p[digits.size() + 1] = '\r';
    p[digits.size() + 2] = '\n';
    out_->Commit(digits.size() + 3);
  }
  void Bulk(std::string_view bytes) {
    if (__builtin_expect(bytes.size() > kInlineBulkBytesMax, 0)) return LargeBulk(bytes);
    char* p = out_->Reserve(bytes.size() + kHeaderBytesMax + 2);
    size_t n = PutHeader(p, '$', bytes.size());
    if (!bytes.empty()) std::memcpy(p + n, bytes.data(), bytes.size());  // it may have no address
    n += bytes.size();
    p[n] = '\r';
    p[n + 1] = '\n';
    out_->Commit(n + 2);
  }
  // A bulk string that comes in pieces: BeginBulk(total), then BulkPart()s that add up to total,
  // then EndBulk().
  void BeginBulk(size_t total_bytes) { Header('$', static_cast<int64_t>(total_bytes)); }
  void BulkPart(std::string_view bytes) { out_->AppendLarge(bytes); }
  void EndBulk() { Raw("\r\n"); }
  void BulkInteger(int64_t value);

  // No value: _ in RESP3, the null bulk string in RESP2.
  void Null() { Raw(resp3() ? std::string_view("_\r\n") : std::string_view("$-1\r\n")); }
  // Where RESP2 clients expect the null array (blocking pops that time out, EXEC that was aborted).
  void NullArray() { Raw(resp3() ? std::string_view("_\r\n") : std::string_view("*-1\r\n")); }

  // Containers: the header, then the elements one by one. Map counts pairs.
  void Array(size_t count) { Header('*', static_cast<int64_t>(count)); }
  void Map(size_t pairs) {
    resp3() ? Header('%', static_cast<int64_t>(pairs))
            : Header('*', static_cast<int64_t>(pairs * 2));
  }
  void Set(size_t count) { Header(resp3() ? '~' : '*', static_cast<int64_t>(count)); }
  // Out-of-band data. RESP2 sees a plain array, as pub/sub messages always were.
  void Push(size_t count) { Header(resp3() ? '>' : '*', static_cast<int64_t>(count)); }
  // Attributes exist in RESP3 only; callers check resp3().
  void Attribute(size_t pairs) { Header('|', static_cast<int64_t>(pairs)); }

  // ,3.5 in RESP3; a bulk string of the same text in RESP2.
  void Double(double value);
  // #t/#f in RESP3; :1/:0 in RESP2.
  void Boolean(bool value);
  // (digits in RESP3; a bulk string in RESP2.
  void BigNumber(std::string_view digits);
  // =n\r\ntxt:… in RESP3 (`format` has three letters); a bulk string in RESP2.
  void Verbatim(std::string_view format, std::string_view text);

  // Bytes that are RESP already: constants, and replies copied from elsewhere.
  void Raw(std::string_view bytes) {
    std::memcpy(out_->Reserve(bytes.size()), bytes.data(), bytes.size());
    out_->Commit(bytes.size());
  }

 private:
  // Type byte, sign and digits of an int64, CRLF.
  static constexpr size_t kHeaderBytesMax = 1 + kInt64TextBytesMax + 2;
  // Bulks above this are written in two steps, so that blocks need not be contiguous for them.
  static constexpr size_t kInlineBulkBytesMax = 4096;

  static size_t PutHeader(char* p, char type, size_t value) {
    p[0] = type;
    size_t n = 1;
    if (value < 10) {
      p[n++] = static_cast<char>('0' + value);
    } else {
      n += FormatUint64(value, p + 1);
    }
    p[n] = '\r';
    p[n + 1] = '\n';
    return n + 2;
  }
  void Header(char type, int64_t value);
  void LargeBulk(std::string_view bytes);

  OutputBuffer* out_;
  ErrorObserver error_observer_ = nullptr;
  void* error_context_ = nullptr;
  Protocol protocol_ = Protocol::kResp2;
};

}  // namespace tidegate
