// The rate is the mean since the start: what is loaded or measured goes evenly, and a rate of the
// last moment would have the time left jump.
#include "server/app/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "server/app/terminal_style.h"

namespace lockstep {
namespace {

constexpr std::chrono::milliseconds kEvery{100};
// A rate of a shorter time says nothing.
constexpr double kLeastSeconds = 0.2;

struct Scale {
  double by;
  const char* prefix;
};

Scale ScaleOf(double value) {
  constexpr std::array<Scale, 4> kScales{{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}}};
  for (const Scale& scale : kScales) {
    if (value >= scale.by) return scale;
  }
  return kScales.back();
}

// Three digits and no more than one behind the point.
std::string Digits(double value) { return fmt::format("{:.{}f}", value, value < 10 ? 1 : 0); }

// Bytes have a prefix; what else is counted is told whole.
std::string Amount(double value, const std::string& unit) {
  if (unit != "B") return Digits(value) + unit;
  const Scale scale = ScaleOf(value);
  return Digits(value / scale.by) + " " + scale.prefix + "B";
}

std::string OfTotal(size_t done, size_t total, const std::string& unit) {
  if (unit != "B") return fmt::format("{} of {}{}", done, total, unit);
  const Scale scale = ScaleOf(static_cast<double>(total));
  return fmt::format("{} of {} {}B", Digits(static_cast<double>(done) / scale.by),
                     Digits(static_cast<double>(total) / scale.by), scale.prefix);
}

std::string Duration(double seconds) {
  const auto whole = static_cast<size_t>(std::lround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

size_t Columns() {
  winsize size{};
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg): there is no other way to ask
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

std::string ProgressText(const std::string& what, const std::string& unit, size_t done,
                         size_t total, double seconds, size_t before) {
  std::string text = what;
  if (total > 0) {
    total = std::max(done, total);
    const double share = static_cast<double>(done) / static_cast<double>(total);
    text += fmt::format(": {:.0f} %, {}", share * 100, OfTotal(done, total, unit));
  } else if (done > 0) {
    text += ": " + Amount(static_cast<double>(done), unit);
  }
  if (seconds < kLeastSeconds || done <= before) return text;
  const double rate = static_cast<double>(done - before) / seconds;
  text += ", " + Amount(rate, unit) + "/s";
  if (total == 0) return text;
  const double left = static_cast<double>(total - done) / rate;
  return text + ", " + Duration(left) + " left";
}

Progress::Progress(std::string what, std::string unit)
    : what_(std::move(what)), unit_(std::move(unit)), shown_(Shown()) {}

Progress::~Progress() { Wipe(); }

bool Progress::Shown() { return TakesSequences(STDERR_FILENO); }

void Progress::Start(size_t before) {
  start_ = std::chrono::steady_clock::now();
  before_ = before;
}

void Progress::Update(size_t done, size_t total, const std::string& note) {
  const auto now = std::chrono::steady_clock::now();
  if (total > 0 && done >= total) return Wipe();
  if (!shown_ || now < next_) return;
  next_ = now + kEvery;
  drawn_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const std::string text = ProgressText(what_, unit_, done, total, seconds, before_) + note;
  // A line that is longer than the terminal would not be drawn over.
  fmt::print(stderr, "\r\033[K{}", text.substr(0, Columns() - 1));
  std::fflush(stderr);
}

void Progress::Wipe() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

}  // namespace lockstep
