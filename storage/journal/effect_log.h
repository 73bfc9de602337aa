// EffectLog: what the execution that is under way on a thread has done to the data so far, in the
// form of a record (effect_record.h).
//
//   BeginCommand ── handler ── EndCommand        its own effects, or the command as it was sent
//   BeginCommand ── handler ── EndCommand        of a client that was blocked, served by the first
//   the engine appends the record, Clear ── slots are unlocked
//
// A command that changed something has itself as its effect, word for word, unless its handler says
// something else: that is right for most, costs one copy of the arguments, and leaves it to those
// commands to act that depend on the time, on chance, on other keys, or on what was sent before.
// Effects are in the order in which they happened: a key that is found expired is deleted in the
// record before the command that found it acts. One log for each thread, and one for each long
// command, exchanged with the thread's for its turns (long_command.h), so that effects of two
// executions never mix. Owner: the thread. Cost: a flag per change when nothing is recorded;
// a SET of a few bytes takes some 20 ns.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "storage/journal/effect_record.h"

namespace tidegate {

// Memory that a log keeps for the next record.
inline constexpr Bytes kEffectLogKeptBytes = 64_KiB;

class EffectLog final {
 public:
  // What a command that encloses another one has said about itself.
  struct Outer {
    bool changed;
    bool given;
  };

  // Data was changed, whoever did it: the command under way has an effect.
  void NoteChange() { changed_ = true; }

  Outer BeginCommand() { return {std::exchange(changed_, false), std::exchange(given_, false)}; }
  // `ended`: it was carried out, and has not been put off.
  void EndCommand(Outer outer, int db, std::span<const std::string_view> args, bool ended) {
    if (changed_ && !given_ && ended) Add(db, {}, args);
    changed_ = outer.changed;
    given_ = outer.given;
  }
  // The command under way says itself what it does: nothing but what is added.
  void Give() { given_ = true; }

  // A command that does again what was done: the words of `head`, then those of `tail`.
  void Add(int db, std::initializer_list<std::string_view> head,
           std::span<const std::string_view> tail = {}) {
    Begin(db, head.size() + tail.size());
    for (const std::string_view word : head) Word(word);
    for (const std::string_view word : tail) Word(word);
  }
  // The same word by word, as many as were said. Nothing else may be added in between, so nothing
  // may be looked up: a key that is found expired is.
  void Begin(int db, size_t words) {
    TG_DCHECK(words_left_ == 0);
    TG_DCHECK(words > 0);
    char* at = Reserve(2 * kVarintBytesMax);
    at = PutVarint(at, static_cast<uint64_t>(db));
    Commit(PutVarint(at, words));
    words_left_ = words;
  }
  void Word(std::string_view bytes) {
    TG_DCHECK(words_left_ > 0);
    char* at = PutVarint(Reserve(kVarintBytesMax + bytes.size()), bytes.size());
    if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());  // it may have no address
    Commit(at + bytes.size());
    --words_left_;
  }

  // Whether there is a record; it is whole between commands.
  bool pending() const { return size_ != 0; }
  std::string_view record() const { return {bytes_.get(), size_}; }
  void Clear() {
    size_ = 0;
    if (__builtin_expect(capacity_ <= kEffectLogKeptBytes.count, 1)) return;
    bytes_.reset();
    capacity_ = 0;
  }

 private:
  char* Reserve(size_t more) {
    if (__builtin_expect(capacity_ - size_ < more, 0)) Grow(more);
    return bytes_.get() + size_;
  }
  void Commit(const char* end) { size_ = static_cast<size_t>(end - bytes_.get()); }
  void Grow(size_t more);

  std::unique_ptr<char[]> bytes_;
  size_t size_ = 0;
  size_t capacity_ = 0;
  size_t words_left_ = 0;  // of the command that is being added
  bool changed_ = false;
  bool given_ = false;
};

}  // namespace tidegate
