// Go writes durations as numbers with units, one behind the other; as JSON a bare number is
// seconds.
#include "server/api/ollama/keep_alive.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace lockstep {
namespace {

using std::chrono::milliseconds;

constexpr double kMostMs = 1e12;  // 30 years, beyond which it makes no difference

milliseconds Bounded(double ms) {
  return milliseconds(static_cast<int64_t>(std::clamp(ms, -1.0, kMostMs)));
}

}  // namespace

std::optional<milliseconds> ParseKeepAlive(const Json& value) {
  if (value.is_number()) return Bounded(std::ceil(value.get<double>() * 1000));
  if (!value.is_string()) return std::nullopt;
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"ms", 1}, {"us", 1e-3}, {"ns", 1e-6}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}};
  std::string_view text = value.get_ref<const std::string&>();
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  double ms = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    if (digits == 0 || digits > 18) return std::nullopt;
    const double number = std::strtod(std::string(text.substr(0, digits)).c_str(), nullptr);
    text.remove_prefix(digits);
    const auto* const unit = std::ranges::find_if(
        kUnits, [&](const auto& known) { return text.starts_with(known.first); });
    if (unit == std::end(kUnits)) {
      // "0" and "-1" are numbers in quotes.
      if (!text.empty() || ms != 0) return std::nullopt;
      return Bounded(std::ceil((negative ? -1 : 1) * number * 1000));
    }
    ms += number * unit->second;
    text.remove_prefix(unit->first.size());
  }
  return Bounded(std::ceil(negative ? -std::max(ms, 1.0) : ms));
}

}  // namespace lockstep
