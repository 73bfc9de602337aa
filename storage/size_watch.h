// SizeWatch: notices keys of the engine that are big, by the way, as commands use and change them.
//
//   Database   looks up or makes a value that is no part of its entry ---> Meet / Made
//   handler    has run, the slots of its keys are still locked ----------> Measure each key
//   worker     at the end of its turn -----------------------------------> Take
//
// Why here and not from requests and replies: what a write does to a value is known exactly only
// where it is done. Why not in each handler: then every new one could forget it. Values inside
// their entry (up to a kilobyte) are never big, so the commands about those pay for one look at the
// entry's header, which is at hand, and a branch.
//
// A key that goes on being big is told of again when its size has changed by one part in
// kSameSizeParts, or after kNewsAgainMs: a client that pushes to a long list costs no note for each
// element. A key that was big and is not any more is told of once, and so is one that is removed,
// expires or is evicted. What a cut, a loader or a moved key does is none of it. SORT … STORE and
// keys of other databases (COPY, MOVE) are noticed when they are used next.
// Owner: the thread of its EngineThread. Cost: a branch for values in entries, a look-up and the
// size for others.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/keyspace/entry.h"
#include "storage/request.h"

namespace tidegate {

// Least limits there may be, above all that an entry holds in itself.
inline constexpr uint64_t kWatchedBytesMin = 4096;
inline constexpr uint64_t kWatchedElementsMin = 1000;

// Notes that wait for the end of a turn. One turn cannot well use more big keys; what comes on top
// is noticed when it is used again.
inline constexpr size_t kSizeNotesMax = 4096;

// A size counts as the same up to a difference of one part in so many, and for so long.
inline constexpr uint64_t kSameSizeParts = 256;
inline constexpr int64_t kNewsAgainMs = 400;

struct KeySize {
  uint64_t bytes = 0;     // of a string its length, else what the key takes in memory
  uint64_t elements = 0;  // 1 of a string
};

// Cost: none to speak of, whatever the size.
KeySize SizeOf(const Entry& entry);

struct SizeNote {
  enum class What : uint8_t { kSize, kGone, kFlushed };
  What what = What::kSize;
  int db = 0;                  // kFlushed: negative for all
  std::string_view type = {};  // as TYPE says
  uint64_t hash = 0;
  KeySize size = {};
  std::string name;
};

class SizeWatch final {
 public:
  // From how many bytes or elements on a key is told of; off: none is.
  struct Limits {
    uint64_t bytes = 0;
    uint64_t elements = 0;
  };
  void Watch(Limits limits) {
    limits_ = limits;
    on_ = true;
  }
  void Stop() { on_ = false; }

  // For Database: an entry was found, as it is before it is changed; one was made.
  void Meet(const Entry& entry) {
    if (__builtin_expect(!entry.embedded(), 0) && on_) MeetObject(entry);
  }
  void Made(Encoding encoding) {
    if (__builtin_expect(!IsEmbedded(encoding), 0)) met_ = on_;
  }
  void Removed(int db, const KeyRef& key, const Entry& entry) {
    if (__builtin_expect(!entry.embedded(), 0) && on_) NoteRemoved(db, key, entry);
  }
  // All of a database, or of all.
  void Flushed(int db) {
    if (on_) Add({.what = SizeNote::What::kFlushed, .db = db, .name = {}});
  }

  // Whether the command that is through has used a value that may be big. Then each of its keys is
  // measured, and after that all is forgotten until the next command. `entry`: null: it is gone.
  bool met() const { return met_; }
  void Measure(int db, const KeyRef& key, const Entry* entry, int64_t now_ms);
  void EndCommand() { met_ = was_over_ = false; }

  bool has_notes() const { return !notes_.empty(); }
  std::vector<SizeNote> Take() { return std::exchange(notes_, {}); }

 private:
  // What was said last of a key; keys share cells.
  struct Said {
    uint64_t hash = 0;
    KeySize size = {};
    int64_t at_ms = 0;
  };
  static constexpr size_t kSaidCells = 64;

  void MeetObject(const Entry& entry);
  void NoteRemoved(int db, const KeyRef& key, const Entry& entry);
  bool IsOver(const KeySize& size) const {
    return size.bytes >= limits_.bytes || size.elements >= limits_.elements;
  }
  bool IsNews(uint64_t hash, const KeySize& size, int64_t now_ms);
  void Add(SizeNote note) {
    if (notes_.size() < kSizeNotesMax) notes_.push_back(std::move(note));
  }

  Limits limits_;
  bool on_ = false;
  bool met_ = false;       // by the command under way: a value outside of its entry
  bool was_over_ = false;  // and it was big before
  std::array<Said, kSaidCells> said_{};
  std::vector<SizeNote> notes_;
};

}  // namespace tidegate
