// How far something is that a person waits for, how fast it goes and how long it will take: one
// line on stderr, drawn over and over, where stderr is a terminal that can, and nothing elsewhere.
// For one thread at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace lockstep {

// "Loading: 45 %, 1.1 of 2.5 GB, 800 MB/s, 2 s left". `unit` is "B" or what is counted, " tokens".
// `before` is what was done when the seconds began. A total of 0 is not known.
std::string ProgressText(const std::string& what, const std::string& unit, size_t done,
                         size_t total, double seconds, size_t before = 0);

class Progress {
 public:
  explicit Progress(std::string what, std::string unit = "B");
  ~Progress();  // wipes the line, as the end does
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Whether anybody sees it.
  static bool Shown();
  // The rate is that from now on, of what is done beyond `before`.
  void Start(size_t before);
  // `note` is added at the end. Draws ten times a second at most, so that it may be called often.
  void Update(size_t done, size_t total, const std::string& note = "");
  // Takes the line away, for another that stays; the next Update draws it again.
  void Wipe();

 private:
  const std::string what_, unit_;
  const bool shown_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  size_t before_ = 0;
  std::chrono::steady_clock::time_point next_ = start_;
  bool drawn_ = false;
};

}  // namespace lockstep
