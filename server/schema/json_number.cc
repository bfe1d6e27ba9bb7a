// The numbers between two bounds are found by an automaton that reads a number from the left and
// remembers how it compares with each bound so far: 12 against 127 is "equal so far", which is less
// if the number ends here and is undecided if it goes on. multipleOf adds the remainder so far. All
// of this is one state, a tuple, and the automaton is whatever tuples can be reached.
#include "server/schema/json_number.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <compare>
#include <cstdlib>
#include <map>
#include <utility>
#include <vector>

namespace lockstep {
namespace {

// The automaton has a state for each remainder at each number of digits, so that its size grows
// with the modulus. A power of ten in multipleOf costs less: it only counts zeros at the end.
constexpr uint32_t kMaxModulus = 2000;  // of multipleOf, without its powers of ten
// The cost of a state, in units of WorkMeter: ten digits are tried in it, each a look into a map.
constexpr uint64_t kStateCost = 256;

// A bound of numbers without sign.
struct Limit {
  std::string integer, fraction;
  bool exclusive = false;
};

// What multipleOf asks: that the digits, of which `places` stand behind the point, are a multiple
// of `modulus` with `zeros` zeros behind it. 0.25 is {25, 2, 0}, 1200 is {12, 0, 2}.
struct Step {
  uint32_t modulus = 1;
  size_t places = 0, zeros = 0;
};

Result<Step> ReadStep(const Decimal& multiple) {
  // stoul is given at most nine digits, which 32 bits hold.
  std::string digits = multiple.integer + multiple.fraction;
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
  Step step;
  step.places = multiple.fraction.size();
  if (step.places == 0) {
    step.zeros = digits.size() - 1 - digits.find_last_not_of('0');
    digits.resize(digits.size() - step.zeros);
  }
  if (digits.size() > 9 || std::stoul(digits) > kMaxModulus || step.places > kIntegerDigits ||
      step.zeros > kMaxIntegerDigits) {
    return Fail(ErrorKind::kInvalidArgument,
                "is supported up to 2000, zeros at the end and the point not counted");
  }
  step.modulus = static_cast<uint32_t>(std::stoul(digits));
  return step;
}

// Reads a number of one sign between two limits of its magnitude. Example: between 5 and 127, the
// text 12 is above 5 for good, since it has more digits (low = 1), and equal to 127 so far (high =
// 0). If it ends here it is below 127; another 7 keeps it equal, an 8 puts it above.
class MagnitudeReader {
 public:
  struct State {
    enum Phase : uint8_t { kStart, kInteger, kZero, kPoint, kFraction };
    Phase phase = kStart;
    size_t digits = 0;      // in front of the point, or behind it
    int low = 0, high = 0;  // as Compare with the limits, 0: equal so far
    uint32_t rest = 0;      // of the digits so far, without the last `zeros`
    size_t zeros = 0;       // at the end, as far as Step::zeros counts them
    // NOLINTNEXTLINE(modernize-use-nullptr)
    auto operator<=>(const State&) const = default;
  };

  MagnitudeReader(std::optional<Limit> low, std::optional<Limit> high, Step step, size_t max_digits,
                  size_t max_places, bool is_step)
      : low_(std::move(low)),
        high_(std::move(high)),
        step_(step),
        max_digits_(max_digits),
        max_places_(max_places),
        is_step_(is_step) {}

  // False: there is no such number.
  bool Digit(const State& from, int digit, State* to) const {
    *to = from;
    const bool behind = from.phase == State::kPoint || from.phase == State::kFraction;
    if (from.phase == State::kZero) return false;
    if (from.digits >= (behind ? max_places_ : max_digits_)) return false;
    if (from.phase == State::kStart) to->phase = digit == 0 ? State::kZero : State::kInteger;
    if (behind) to->phase = State::kFraction;
    to->digits = from.digits + 1;
    to->low = After(low_, from.low, from.digits, behind, digit);
    to->high = After(high_, from.high, from.digits, behind, digit);
    TakeRest(digit, to);
    return true;
  }
  bool Point(const State& from, State* to) const {
    if ((from.phase != State::kInteger && from.phase != State::kZero) || max_places_ == 0) {
      return false;
    }
    *to = from;
    to->phase = State::kPoint;
    to->digits = 0;
    to->low = AtPoint(low_, from, from.low);
    to->high = AtPoint(high_, from, from.high);
    return true;
  }
  // Places that the text does not have are zeros, and 0 is a multiple of everything.
  bool Accepts(const State& state) const {
    if (state.phase == State::kStart || state.phase == State::kPoint) return false;
    const int low = AtEnd(low_, state, state.low), high = AtEnd(high_, state, state.high);
    if (low_ && (low < 0 || (low == 0 && low_->exclusive))) return false;
    if (high_ && (high > 0 || (high == 0 && high_->exclusive))) return false;
    if (!is_step_ || state.phase == State::kZero) return true;
    uint64_t rest = state.rest;
    const size_t places = state.phase == State::kFraction ? state.digits : 0;
    for (size_t i = places; i < step_.places; ++i) rest = rest * 10 % step_.modulus;
    return rest == 0 && state.zeros == step_.zeros;
  }

 private:
  static int Sign(int difference) { return difference < 0 ? -1 : difference > 0 ? 1 : 0; }

  // Returns how a number that compared as `so_far` compares with one more digit, the one at `at` of
  // its part. Numbers have no zeros in front, so that more digits than the limit has make it
  // larger; behind the point, the limit goes on with zeros.
  static int After(const std::optional<Limit>& limit, int so_far, size_t at, bool behind,
                   int digit) {
    if (!limit) return 0;
    const std::string& digits = behind ? limit->fraction : limit->integer;
    if (!behind && at >= digits.size()) return 1;
    if (so_far != 0) return so_far;
    return Sign(digit - (at < digits.size() ? digits[at] - '0' : 0));
  }
  // Fewer digits in front of the point than the limit has make it smaller, whatever they are.
  static int AtPoint(const std::optional<Limit>& limit, const State& state, int so_far) {
    return limit && state.digits < limit->integer.size() ? -1 : so_far;
  }
  // The limit has no zeros at the end of its fraction, so that digits it still has make it larger.
  static int AtEnd(const std::optional<Limit>& limit, const State& state, int so_far) {
    if (!limit) return 0;
    const bool behind = state.phase == State::kFraction;
    if (!behind && state.digits < limit->integer.size()) return -1;
    const bool limit_goes_on = limit->fraction.size() > (behind ? state.digits : 0);
    return so_far == 0 && limit_goes_on ? -1 : so_far;
  }

  // Zeros at the end are held back, up to Step::zeros of them, and enter the remainder only when
  // other digits push them out: 1200 and 2400 are multiples of 12 with two zeros held back.
  void TakeRest(int digit, State* to) const {
    if (!is_step_) return;
    const auto take = [&](int next) {
      to->rest = static_cast<uint32_t>((uint64_t{to->rest} * 10 + static_cast<uint64_t>(next)) %
                                       step_.modulus);
    };
    if (digit == 0 && to->zeros < step_.zeros) {
      ++to->zeros;
      return;
    }
    if (digit == 0) return take(0);
    for (; to->zeros > 0; --to->zeros) take(0);
    take(digit);
  }

  const std::optional<Limit> low_, high_;
  const Step step_;
  const size_t max_digits_, max_places_;
  const bool is_step_;
};

// Appends what `reader` reads to `states`; returns its first state. `zero`: may it begin with 0?
Result<uint32_t> Append(const MagnitudeReader& reader, bool zero, WorkMeter* meter,
                        std::vector<Language::State>* states) {
  using State = MagnitudeReader::State;
  std::map<State, uint32_t> numbers;
  std::vector<State> found;
  const auto base = static_cast<uint32_t>(states->size());
  const auto number = [&](const State& state) {
    const auto [known, is_new] =
        numbers.try_emplace(state, base + static_cast<uint32_t>(found.size()));
    if (is_new) found.push_back(state);
    return known->second;
  };
  number({});
  for (size_t i = 0; i < found.size(); ++i) {
    if (states->size() > 16 * Language::kMaxStates) {
      return Fail(ErrorKind::kInvalidArgument, "is not supported with bounds of so many digits");
    }
    TRY_OK(Spend(meter, kStateCost));
    const State from = found[i];
    Language::State& out = states->emplace_back();
    out.accepts = reader.Accepts(from);
    State to;
    // The point comes before the digits in ASCII, as edges must be sorted. Digits that lead to the
    // same state become one range.
    if (reader.Point(from, &to)) out.edges.push_back({{'.', '.'}, number(to)});
    for (int digit = i == 0 && !zero ? 1 : 0; digit < 10; ++digit) {
      if (!reader.Digit(from, digit, &to)) continue;
      const auto c = static_cast<uint32_t>('0' + digit);
      const uint32_t next = number(to);
      if (!out.edges.empty() && out.edges.back().to == next) {
        out.edges.back().chars.high = c;
      } else {
        out.edges.push_back({{c, c}, next});
      }
    }
  }
  return base;
}

bool AllNines(const std::string& digits) {
  return std::ranges::all_of(digits, [](char c) { return c == '9'; });
}

// The magnitudes of the numbers of one sign; nothing if a limit leaves none.
struct Magnitudes {
  std::optional<Limit> low, high;
  size_t max_digits = kIntegerDigits;
  size_t max_places = 0;
};

// The magnitudes of negative numbers are the range in a mirror: -20 < x < -3 leaves those between 3
// and 20. `near` is the bound closer to zero and `far` the other one; a far bound across zero
// leaves no number of this sign.
std::optional<Magnitudes> OfSign(const NumberRange& range, bool negative) {
  Magnitudes out;
  const auto& near = negative ? range.high : range.low;
  const auto& far = negative ? range.low : range.high;
  const auto limit = [](const NumberBound& bound, bool low) {
    Limit made{bound.value.integer, bound.value.fraction, bound.exclusive};
    if (made.fraction.size() > kIntegerDigits) {
      // Numbers have fewer places, so that none is between the bound and what is left of it.
      made.fraction.resize(kIntegerDigits);
      made.fraction.resize(made.fraction.find_last_not_of('0') + 1);  // npos + 1 is 0
      made.exclusive = low;
    }
    return made;
  };
  if (far && far->value.negative != negative) return std::nullopt;
  if (far) out.high = limit(*far, false);
  if (near && near->value.negative == negative) out.low = limit(*near, true);
  if (near && near->value.IsZero() && near->exclusive) out.low = Limit{"0", "", true};
  const size_t most = range.integer
                          ? kMaxIntegerDigits
                          : std::max(kIntegerDigits, out.low ? out.low->integer.size() + 1 : 0);
  if (out.high && out.high->integer.size() > most) out.high.reset();  // no number is so long
  size_t digits = 1, places = 1;
  for (const auto& bound : {out.low, out.high}) {
    if (!bound) continue;
    digits = std::max(digits, bound->integer.size());
    places = std::max(places, bound->fraction.size());
  }
  // Numbers above a low bound of nines have a digit more: 1000 is the next after 999.
  const bool grows = out.low && AllNines(out.low->integer);
  if (range.integer && range.multiple_of) {
    digits = std::max(digits, range.multiple_of->integer.size());
  }
  out.max_digits = std::max(kIntegerDigits, digits + (grows ? 1 : 0));
  if (out.max_digits > kMaxIntegerDigits) out.max_digits = kMaxIntegerDigits;
  // Few enough digits in all that a reader's double does not round across a bound.
  if (!range.integer && digits <= kIntegerDigits) {
    out.max_places = std::max(places, kIntegerDigits - digits);
  }
  return out;
}

}  // namespace

// The exponent moves the point: 1.5e3 is {false, "1500", ""}, and 25e-3 is {false, "0", "025"}. It
// is small, since a double holds the number, so that few zeros are added.
Decimal ParseDecimal(std::string_view text) {
  Decimal out;
  out.negative = text.starts_with('-');
  if (out.negative) text.remove_prefix(1);
  const size_t e = std::min(text.find_first_of("eE"), text.size());
  const int exponent = e < text.size() ? std::atoi(std::string(text.substr(e + 1)).c_str()) : 0;
  text = text.substr(0, e);
  const size_t point = std::min(text.find('.'), text.size());
  std::string digits(text.substr(0, point));
  if (point < text.size()) digits += text.substr(point + 1);
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
  if (out.IsZero()) out.negative = false;
  return out;
}

std::string PlainText(const Decimal& number) {
  return (number.negative ? "-" : "") + number.integer +
         (number.IsInteger() ? "" : "." + number.fraction);
}

// Without zeros in front the longer integer is larger, and without zeros at the end fractions
// compare as texts.
int Compare(const Decimal& a, const Decimal& b) {
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  int order = a.integer.size() < b.integer.size()   ? -1
              : a.integer.size() > b.integer.size() ? 1
                                                    : a.integer.compare(b.integer);
  if (order == 0) order = a.fraction.compare(b.fraction);
  return a.negative ? -order : order;
}

Result<Language> NumberLanguage(const NumberRange& range, WorkMeter* meter) {
  Step step;
  if (range.multiple_of) {
    TRY(step, ReadStep(*range.multiple_of));
  }
  // The first state, where all numbers begin, has the edges of both signs: the minus, and a copy of
  // those with which the numbers without one begin.
  std::vector<Language::State> states(1);
  for (const bool negative : {true, false}) {
    std::optional<Magnitudes> part = OfSign(range, negative);
    if (!part) continue;
    if (range.multiple_of) part->max_places = range.integer ? 0 : step.places;
    const MagnitudeReader reader(part->low, part->high, step, part->max_digits, part->max_places,
                                 range.multiple_of.has_value());
    // An integer has no sign without a value.
    TRY(const uint32_t first, Append(reader, !(negative && range.integer), meter, &states));
    if (negative) {
      states[0].edges.push_back({{'-', '-'}, first});
    } else {
      const auto edges = states[first].edges;
      states[0].edges.insert(states[0].edges.end(), edges.begin(), edges.end());
    }
  }
  return Language(std::move(states));
}

// Both are made whole by moving their points, and the number is divided digit by digit.
Result<bool> IsInRange(const Decimal& number, const NumberRange& range) {
  if (range.integer && !number.IsInteger()) return false;
  for (const auto& [bound, side] : {std::pair(&range.low, -1), std::pair(&range.high, 1)}) {
    if (!*bound) continue;
    const int order = Compare(number, (*bound)->value) * side;
    if (order > 0 || (order == 0 && (*bound)->exclusive)) return false;
  }
  if (!range.multiple_of) return true;
  const Decimal& step = *range.multiple_of;
  const size_t places = std::max(number.fraction.size(), step.fraction.size());
  const auto whole = [places](const Decimal& decimal) {
    return decimal.integer + decimal.fraction + std::string(places - decimal.fraction.size(), '0');
  };
  std::string digits = whole(number), divisor = whole(step);
  while (digits.ends_with('0') && divisor.ends_with('0')) digits.pop_back(), divisor.pop_back();
  divisor.erase(0, divisor.find_first_not_of('0'));
  constexpr size_t kMostDigits = 17;  // of a number that is less than a tenth of 64 bits
  if (number.IsZero() || divisor.size() > digits.size()) return number.IsZero();
  if (divisor.size() > kMostDigits) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("is supported up to {} digits", kMostDigits));
  }
  const uint64_t by = std::stoull(divisor);
  uint64_t rest = 0;
  for (const char digit : digits) rest = (rest * 10 + static_cast<uint64_t>(digit - '0')) % by;
  return rest == 0;
}

}  // namespace lockstep
