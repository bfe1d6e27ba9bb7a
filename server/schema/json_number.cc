#include "server/schema/json_number.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace lockstep {
namespace {

std::string Join(const std::vector<std::string>& choices) {
  std::string out = "(";
  for (const std::string& choice : choices) out += (out.size() > 1 ? " | " : "") + choice;
  return out + ")";
}

std::string Quote(std::string_view digits) { return fmt::format("\"{}\"", digits); }

std::string Class(char low, char high) {
  return low == high ? fmt::format("[{}]", low) : fmt::format("[{}-{}]", low, high);
}

std::string AnyDigits(size_t least, size_t most) {
  if (most == 0) return "\"\"";
  return least == most ? fmt::format("[0-9]{{{}}}", most)
                       : fmt::format("[0-9]{{{},{}}}", least, most);
}

// All digit strings of the length of both that are not before `low` and not after `high`.
std::string SameLength(std::string_view low, std::string_view high) {
  if (low == high) return low.empty() ? "\"\"" : Quote(low);
  const size_t rest = low.size() - 1;
  const std::string zeros(rest, '0'), nines(rest, '9');
  if (low[0] == high[0]) {
    return Quote(low.substr(0, 1)) + " " + SameLength(low.substr(1), high.substr(1));
  }
  std::vector<std::string> choices;
  char first = low[0], last = high[0];  // digits after which any others may come
  if (low.substr(1) != zeros) {
    choices.push_back(Quote(low.substr(0, 1)) + " " + SameLength(low.substr(1), nines));
    ++first;
  }
  if (high.substr(1) != nines) {
    choices.push_back(Quote(high.substr(0, 1)) + " " + SameLength(zeros, high.substr(1)));
    --last;
  }
  if (first <= last) choices.push_back(Class(first, last) + " " + AnyDigits(rest, rest));
  return Join(choices);
}

// REQUIRES: low <= high.
std::string NaturalRange(uint64_t low, uint64_t high) {
  std::vector<std::string> choices;
  const std::string last = std::to_string(high);
  for (std::string first = std::to_string(low); first.size() <= last.size();) {
    const bool same = first.size() == last.size();
    choices.push_back(SameLength(first, same ? last : std::string(first.size(), '9')));
    first = "1" + std::string(first.size(), '0');
  }
  return Join(choices);
}

// What the digits that are left of a fraction are compared with. No digits: with zero.
struct Limit {
  bool exists = false;
  std::string_view digits;
  bool exclusive = false;
};

struct Fractions {
  bool may_end = false;              // is the empty string one of them?
  std::vector<std::string> choices;  // those that are not empty
};

// Digit strings of at most `room` digits, read as what follows "0.".
Fractions FractionRange(Limit low, Limit high, size_t room) {
  Fractions out;
  if (high.exists && high.exclusive && high.digits.empty()) return out;
  if (low.exists && low.digits.empty() && !low.exclusive) low = {};
  out.may_end = !low.exists;
  if (room == 0) return out;
  const auto add = [&](char first, char last, Limit low_rest, Limit high_rest) {
    const Fractions rest = FractionRange(low_rest, high_rest, room - 1);
    if (!rest.may_end && rest.choices.empty()) return;
    std::string text = Class(first, last);
    if (!low_rest.exists && !high_rest.exists) {
      text += " " + AnyDigits(0, room - 1);
    } else if (!rest.choices.empty()) {
      text += " " + Join(rest.choices) + (rest.may_end ? "?" : "");
    }
    out.choices.push_back(std::move(text));
  };
  const auto rest_of = [](Limit limit) {
    limit.digits.remove_prefix(std::min<size_t>(1, limit.digits.size()));
    return limit;
  };
  const auto digit_of = [](const Limit& limit) {
    return limit.digits.empty() ? '0' : limit.digits[0];
  };
  if (!low.exists && !high.exists) {
    out.choices.push_back(AnyDigits(1, room));
    return out;
  }
  const char first = low.exists ? digit_of(low) : '0', last = high.exists ? digit_of(high) : '9';
  if (low.exists && high.exists && first == last) {
    add(first, first, rest_of(low), rest_of(high));
    return out;
  }
  char free_first = first, free_last = last;  // neither bound matters after these
  if (low.exists) add(free_first++, first, rest_of(low), {});
  if (high.exists) add(last, free_last--, {}, rest_of(high));
  if (free_first <= free_last) add(free_first, free_last, {}, {});
  return out;
}

void WithFraction(const std::string& integer, const Limit& low, const Limit& high, size_t room,
                  std::vector<std::string>* choices) {
  const Fractions fractions = FractionRange(low, high, room);
  const std::string tail = fractions.choices.empty() ? "" : "\".\" " + Join(fractions.choices);
  if (fractions.may_end) {
    choices->push_back(integer + (tail.empty() ? "" : " (" + tail + ")?"));
  } else if (!tail.empty()) {
    choices->push_back(integer + " " + tail);
  }
}

// Numbers that are not negative. `low` and `high` are magnitudes.
void AddMagnitudes(const DecimalBound& low, const std::optional<DecimalBound>& high,
                   const std::string& sign, size_t room, std::vector<std::string>* choices) {
  const uint64_t first = std::stoull(low.integer);
  const uint64_t last = high ? std::stoull(high->integer) : kLargestInteger;
  if (first > last) return;
  const Limit above{true, low.fraction, low.exclusive};
  const Limit below = high ? Limit{true, high->fraction, high->exclusive} : Limit{};
  const auto literal = [&](uint64_t n) { return sign + Quote(std::to_string(n)); };
  if (first == last) {
    WithFraction(literal(first), above, below, room, choices);
    return;
  }
  WithFraction(literal(first), above, {}, room, choices);
  if (first + 1 <= last - 1) {
    WithFraction(sign + NaturalRange(first + 1, last - 1), {}, {}, room, choices);
  }
  WithFraction(literal(last), {}, below, room, choices);
}

}  // namespace

std::optional<DecimalBound> ToDecimal(double value, bool exclusive) {
  if (!(std::abs(value) <= static_cast<double>(kLargestInteger))) return std::nullopt;
  DecimalBound out;
  out.exclusive = exclusive;
  out.negative = value < 0;
  // The shortest text that reads as the same double, without an exponent.
  const std::string shortest = fmt::format("{}", std::abs(value));
  std::string mantissa = shortest.substr(0, shortest.find('e'));
  int exponent = 0;
  if (mantissa.size() < shortest.size()) exponent = std::stoi(shortest.substr(mantissa.size() + 1));
  const size_t point = std::min(mantissa.find('.'), mantissa.size());
  std::string digits = mantissa.substr(0, point);
  if (point < mantissa.size()) digits += mantissa.substr(point + 1);
  int before = static_cast<int>(point) + exponent;  // digits in front of the point
  if (before <= 0) {
    digits.insert(0, static_cast<size_t>(1 - before), '0');
    before = 1;
  }
  if (static_cast<size_t>(before) > digits.size()) digits.resize(static_cast<size_t>(before), '0');
  out.integer = digits.substr(0, static_cast<size_t>(before));
  out.fraction = digits.substr(static_cast<size_t>(before));
  out.integer.erase(0, std::min(out.integer.find_first_not_of('0'), out.integer.size() - 1));
  out.fraction.resize(out.fraction.find_last_not_of('0') + 1);  // npos + 1 is 0
  if (out.fraction.size() > kIntegerDigits) return std::nullopt;
  return out;
}

std::string IntegerRange(int64_t low, int64_t high) {
  std::vector<std::string> choices;
  if (low < 0) {
    const auto nearest = static_cast<uint64_t>(-std::min<int64_t>(high, -1));
    choices.push_back("\"-\" " + NaturalRange(nearest, static_cast<uint64_t>(-low)));
  }
  if (high >= 0) {
    choices.push_back(NaturalRange(static_cast<uint64_t>(std::max<int64_t>(low, 0)),
                                   static_cast<uint64_t>(high)));
  }
  return Join(choices);
}

std::optional<std::string> DecimalRange(const std::optional<DecimalBound>& low,
                                        const std::optional<DecimalBound>& high) {
  // Few enough digits in all that a reader's double does not round across a bound.
  size_t integer = 1, fraction = 1;
  for (const auto& bound : {low, high}) {
    integer = std::max(integer, bound ? bound->integer.size() : 1);
    fraction = std::max(fraction, bound ? bound->fraction.size() : 1);
  }
  const size_t room = std::max(fraction, kIntegerDigits - std::min(integer, kIntegerDigits));
  const DecimalBound zero{false, "0", "", false};
  std::vector<std::string> choices;
  if (!low || low->negative) {  // magnitudes from high's, or zero, to low's
    const bool to_zero = !high || !high->negative;
    DecimalBound nearest = to_zero ? zero : *high;
    nearest.exclusive =
        to_zero ? high && high->exclusive && high->integer == "0" && high->fraction.empty()
                : high->exclusive;
    AddMagnitudes(nearest, low, "\"-\" ", room, &choices);
  }
  if (!high || !high->negative) {
    AddMagnitudes(low && !low->negative ? *low : zero, high, "", room, &choices);
  }
  if (choices.empty()) return std::nullopt;
  return Join(choices);
}

}  // namespace lockstep
