// "%s" % x and "{}".format(x). What fmt can do is left to it; what is written out is where Python
// differs: widths count characters, and every character keeps its trust mark.
#include "core/jinja/builtins/format.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>

#include "core/base/utf8.h"
#include "core/jinja/numbers.h"

namespace lockstep::jinja {
namespace {

// It says how one value is written. Both languages are read into it: "%-5d" sets `align` to '<', as
// "{:<5d}" does.
struct Spec {
  char align = 0;  // '<', '>', '^', '=' (zeros between the sign and the digits), 0: by type
  std::string fill = " ";
  char sign = '-';  // '-', '+', ' '
  bool alternate = false;
  int64_t width = 0;
  int64_t precision = -1;  // -1: not given
  char group = 0;          // ',' or '_'
  char type = 0;
};

// No number has as many digits, and fmt would make any number of them.
constexpr int64_t kMaxPrecision = 1000;

// Fills up to the width, which counts characters; zeros go between the sign and the digits.
void Pad(Builder* out, const Text& body, const Spec& spec, char align) {
  const int64_t missing = spec.width - static_cast<int64_t>(CountCharacters(body.bytes()));
  const size_t count = missing > 0 ? static_cast<size_t>(missing) : 0;
  const Text fill(spec.fill, true);
  size_t left = align == '<' ? 0 : align == '^' ? count / 2 : count;
  size_t signs = 0;
  if (align == '=' && !body.empty())
    signs = body.bytes()[0] == '-' || body.bytes()[0] == '+' || body.bytes()[0] == ' ';
  out->AppendSlice(body, 0, signs);
  out->Repeat(fill, left);
  out->AppendSlice(body, signs, body.size());
  out->Repeat(fill, count - left);
}

// `digits` has no sign yet. Only what stands before the first character that is no digit is
// grouped, so a fraction, an exponent and a "%" stay as they are: 1234567.891 becomes
// 1,234,567.891.
void PadNumber(Builder* out, std::string digits, bool negative, const Spec& spec) {
  if (spec.group != 0) {
    const size_t end = std::min(digits.find_first_not_of("0123456789"), digits.size());
    std::string grouped;
    for (size_t at = 0; at < end; ++at) {
      if (at > 0 && (end - at) % 3 == 0) grouped += spec.group;
      grouped += digits[at];
    }
    digits.replace(0, end, grouped);
  }
  if (negative) {
    digits.insert(0, 1, '-');
  } else if (spec.sign != '-') {
    digits.insert(0, 1, spec.sign);
  }
  Pad(out, Text(std::move(digits), true), spec, spec.align == 0 ? '>' : spec.align);
}

// The digits of a big integer are at hand in base 10 only, so the other bases end at 64 bits. A
// precision is the least number of digits, as C has it: "%.3d" % 7 is "007". REQUIRES:
// value.IsInteger().
void FormatInteger(Builder* out, const Value& value, const Spec& spec) {
  std::string digits = value.Digits();
  const bool negative = digits.starts_with('-');
  if (negative) digits.erase(0, 1);
  std::string prefix;
  switch (spec.type) {
    case 'x':
    case 'X':
    case 'o':
    case 'b': {
      const auto bits = static_cast<uint64_t>(RequireInt64("a format other than 'd'", value));
      const uint64_t size = negative ? uint64_t{0} - bits : bits;
      digits = fmt::format(fmt::runtime(std::string("{:") + spec.type + '}'), size);
      if (spec.alternate) prefix = std::string("0") + spec.type;
    }
  }
  if (spec.precision > static_cast<int64_t>(digits.size())) {
    digits.insert(0, static_cast<size_t>(std::min(spec.precision, kMaxPrecision)) - digits.size(),
                  '0');
  }
  PadNumber(out, prefix + digits, negative, spec);
}

// The sign is taken off first and PadNumber puts it back, so that zeros can go behind it. Six
// digits is the default of C and of Python; a "{}" without type and precision writes repr(value).
void FormatFloat(Builder* out, double value, const Spec& spec) {
  const double size = std::abs(value);
  const int precision =
      static_cast<int>(std::min(spec.precision < 0 ? 6 : spec.precision, kMaxPrecision));
  std::string digits;
  if (!std::isfinite(value)) {
    digits = std::isnan(value) ? "nan" : "inf";
  } else if (spec.type == 0 && spec.precision < 0) {
    digits = FloatRepr(size);
  } else {
    const bool percent = spec.type == '%',
               known = spec.type != 0 && std::strchr("fFeEG", spec.type);
    const char type = percent ? 'f' : known ? spec.type : 'g';
    const std::string format = fmt::format("{{:{}.{{}}{}}}", spec.alternate ? "#" : "", type);
    digits = fmt::format(fmt::runtime(format), percent ? size * 100 : size, precision);
    if (percent) digits += '%';
  }
  PadNumber(out, digits, std::signbit(value) && !std::isnan(value), spec);
}

// A precision cuts text after that many characters: "%.2s" % "abc" is "ab".
void FormatText(Builder* out, const Text& text, const Spec& spec) {
  size_t end = text.size();
  if (spec.precision >= 0) end = CharacterOffset(text.bytes(), static_cast<size_t>(spec.precision));
  Pad(out, text.Slice(0, end), spec, spec.align == 0 ? '<' : spec.align);
}

Text Repr(Interpreter& run, const Value& value) {
  Builder out(&run.budget());
  run.AppendRepr(value, value.AllTrusted(), &out);
  return out.Take();
}

// Reads decimal digits at *at. Large ones stay within range, and too large for any budget.
int64_t ReadInt(std::string_view text, size_t* at) {
  int64_t value = 0;
  for (; *at < text.size() && std::isdigit(static_cast<uint8_t>(text[*at])) != 0; ++*at) {
    value = std::min<int64_t>(value * 10 + (text[*at] - '0'), int64_t{1} << 40);
  }
  return value;
}

// One pass over the format. A tuple is taken item by item, a dict by name, and anything else is the
// one argument. The parts of a field stand in the order of C's printf:
//   %[(name)][flags -+ 0#][width or *][.precision or *][l, h or L, which mean nothing]type
class PercentFormatter {
 public:
  PercentFormatter(Interpreter* run, const Text& format, const Value& arguments)
      : run_(*run), format_(format), bytes_(format.bytes()), arguments_(arguments) {
    const List* list = arguments.AsList();
    tuple_ = list != nullptr && list->IsTuple() ? list : nullptr;
  }

  Text Run() {
    Builder out(&run_.budget());
    while (at_ < bytes_.size()) {
      const size_t percent = std::min(bytes_.find('%', at_), bytes_.size());
      out.AppendSlice(format_, at_, percent);
      at_ = percent + 1;
      if (percent < bytes_.size()) Field(&out);
    }
    // Python complains of arguments that the format does not use, except of a dict, which may hold
    // more than the format names.
    const bool all_used = tuple_ != nullptr ? used_ >= tuple_->items.size()
                                            : used_ > 0 || arguments_.AsDict() != nullptr;
    if (!all_used && !named_) Throw("not all arguments of '%' are used by its format");
    return out.Take();
  }

 private:
  Value NextArgument() {
    if (tuple_ == nullptr && used_++ == 0) return arguments_;
    if (tuple_ == nullptr || used_ >= tuple_->items.size()) {
      Throw("'%' has too few arguments for its format");
    }
    return tuple_->items[used_++];
  }

  // Reads a width or a precision from the arguments. The bound lets the caller negate it safely,
  // and whatever is padded to it fails on the budget.
  int64_t Star() {
    ++at_;
    return std::clamp<int64_t>(RequireInt64("'*' in a format", NextArgument()), -(int64_t{1} << 40),
                               int64_t{1} << 40);
  }

  char Now() const { return at_ < bytes_.size() ? bytes_[at_] : '\0'; }

  void Field(Builder* out) {
    Spec spec;
    Value value;
    bool has_value = false;
    if (Now() == '(') {
      const size_t end = bytes_.find(')', at_);
      if (end == bytes_.npos) Throw("'%(' has no ')'");
      const Value* found = arguments_.AsDict() == nullptr
                               ? nullptr
                               : arguments_.AsDict()->Find(bytes_.substr(at_ + 1, end - at_ - 1));
      if (found == nullptr) Throw("'%(name)' needs a dict with that name");
      value = *found;
      has_value = named_ = true;
      at_ = end + 1;
    }
    bool left = false, zeros = false;
    // Flags come in any order. "-" wins over "0", and "+" over " ".
    for (; std::string_view("-+ 0#").find(Now()) != std::string_view::npos && Now() != 0; ++at_) {
      left = left || Now() == '-';
      zeros = zeros || Now() == '0';
      spec.alternate = spec.alternate || Now() == '#';
      if (Now() == '+' || (Now() == ' ' && spec.sign != '+')) spec.sign = Now();
    }
    spec.width = Now() == '*' ? Star() : ReadInt(bytes_, &at_);
    left = left || spec.width < 0;
    spec.width = std::abs(spec.width);
    if (Now() == '.') {
      ++at_;
      spec.precision = Now() == '*' ? std::max<int64_t>(Star(), 0) : ReadInt(bytes_, &at_);
    }
    while (Now() == 'l' || Now() == 'h' || Now() == 'L') ++at_;
    spec.type = Now();
    const size_t type_at = at_++;
    if (spec.type == '%') return out->AppendSlice(format_, type_at, type_at + 1);
    if (spec.type == 0) Throw("a format ends in the middle of '%'");
    spec.align = left ? '<' : '>';
    if (!has_value) value = NextArgument();
    if (spec.type == 's') return FormatText(out, run_.Str(value), spec);
    if (spec.type == 'r' || spec.type == 'a') return FormatText(out, Repr(run_, value), spec);
    // Zeros fill numbers only; "%05s" fills with spaces.
    if (zeros && !left) {
      spec.align = '=';
      spec.fill = "0";
    }
    Number(out, value, spec);
  }

  // "%d" cuts off the fraction of a float, while "%x" and "%o" refuse one. "%c" takes a code point
  // or a string of one character.
  void Number(Builder* out, const Value& value, Spec spec) {
    if (spec.type == 'c') {
      spec.precision = -1;
      if (value.AsText() != nullptr && CountCharacters(value.AsText()->bytes()) == 1) {
        return FormatText(out, *value.AsText(), spec);
      }
      if (!value.IsInt64() || value.Int64() < 0 || value.Int64() > 0x10FFFF) {
        Throw("'%c' needs a character");
      }
      std::string character;
      AppendUtf8(static_cast<uint32_t>(value.Int64()), &character);
      return FormatText(out, Text(character, true), spec);
    }
    if (!value.IsNumber()) Throw("'%{}' needs a number, not a {}", spec.type, value.TypeName());
    if (std::string_view("diuxXo").find(spec.type) != std::string_view::npos) {
      const bool decimal = std::string_view("diu").find(spec.type) != std::string_view::npos;
      if (value.IsInteger()) return FormatInteger(out, value, spec);
      if (!decimal || !std::isfinite(value.Number())) Throw("'%{}' needs an integer", spec.type);
      return FormatInteger(out, TruncatedFloat(value.Number()), spec);
    }
    if (std::string_view("fFeEgG").find(spec.type) == std::string_view::npos) {
      Throw("'%{}' is no known format", spec.type);
    }
    FormatFloat(out, value.Number(), spec);
  }

  Interpreter& run_;
  const Text& format_;
  const std::string_view bytes_;
  const Value& arguments_;
  const List* tuple_;
  size_t at_ = 0;
  size_t used_ = 0;
  bool named_ = false;
};

// [[fill]align][sign][#][0][width][,|_][.precision][type], as Python's format specification has it.
// The fill may be any character, but counts as one only with an align behind it: "*>8" fills with
// "*", and "08" asks for zeros behind the sign.
Spec ParseSpec(std::string_view text) {
  Spec spec;
  size_t at = 0;
  const size_t first = text.empty() ? 0 : CharacterLength(text);
  const auto is_align = [&](size_t i) {
    return i < text.size() && std::string_view("<>^=").find(text[i]) != std::string_view::npos;
  };
  if (first > 0 && is_align(first)) {
    spec.fill = text.substr(0, first);
    spec.align = text[first];
    at = first + 1;
  } else if (is_align(0)) {
    spec.align = text[0];
    at = 1;
  }
  const auto now = [&] { return at < text.size() ? text[at] : '\0'; };
  if (now() == '+' || now() == '-' || now() == ' ') spec.sign = text[at++];
  if (now() == '#') spec.alternate = ++at != 0;
  if (now() == '0') {
    ++at;
    if (spec.align == 0) {
      spec.align = '=';
      spec.fill = "0";
    }
  }
  spec.width = ReadInt(text, &at);
  if (now() == ',' || now() == '_') spec.group = text[at++];
  if (now() == '.') {
    ++at;
    spec.precision = ReadInt(text, &at);
  }
  if (now() != 0) spec.type = text[at++];
  if (at < text.size()) Throw("a format has more behind its type");
  return spec;
}

// A bool is text without a type and a number with one: "{}" gives True, "{:d}" gives 1.
void FormatOne(Interpreter& run, Builder* out, const Value& value, const Spec& spec) {
  const bool integer_type =
      std::string_view("dxXobc").find(spec.type) != std::string_view::npos && spec.type != 0;
  if (value.IsNumber() && (value.As<bool>() == nullptr || spec.type != 0)) {
    if (value.IsInteger() && (spec.type == 0 || integer_type)) {
      return FormatInteger(out, value, spec);
    }
    if (integer_type) Throw("the format '{}' needs an integer", spec.type);
    return FormatFloat(out, value.Number(), spec);
  }
  if (spec.type != 0 && spec.type != 's') {
    Throw("the format '{}' does not apply to a {}", spec.type, value.TypeName());
  }
  FormatText(out, run.Str(value), spec);
}

// What "{name.attribute[item]}" stands for; an empty name takes the next argument. What follows the
// name is looked up as templates look up, which reaches nothing that they could not reach anyway;
// inside brackets digits are an index and all else is a key without quotes. `*automatic` is the
// number of the next argument for empty names.
Value FieldValue(Interpreter& run, std::string_view field, const Arguments& arguments,
                 size_t* automatic) {
  size_t at = std::min(field.find_first_of(".["), field.size());
  const std::string name(field.substr(0, at));
  Value value;
  if (name.empty() || std::isdigit(static_cast<uint8_t>(name[0])) != 0) {
    const std::optional<Value> given = ParseInt(name, 10);
    const size_t index = !given             ? (*automatic)++
                         : given->IsInt64() ? static_cast<size_t>(given->Int64())
                                            : SIZE_MAX;
    if (index >= arguments.positional.size()) Throw("format has no argument {}", index);
    value = arguments.positional[index];
  } else {
    const auto found = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&](const auto& named) { return named.first == name; });
    if (found == arguments.named.end()) Throw("format has no argument '{}'", name);
    value = found->second;
  }
  while (at < field.size()) {
    const bool item = field[at] == '[';
    const size_t end =
        std::min(item ? field.find(']', at) : field.find_first_of(".[", at + 1), field.size());
    const std::string part(field.substr(at + 1, end - at - 1));
    value = !item ? run.Attribute(value, part)
                  : run.Item(value, ParseInt(part, 10).value_or(Literal(part)));
    at = item ? std::min(end + 1, field.size()) : end;
  }
  return value;
}

}  // namespace

Value FormatPercent(Interpreter& run, const Text& format, const Value& arguments) {
  return run.New(PercentFormatter(&run, format, arguments).Run());
}

// A field is "{name!conversion:spec}", of which each part may be missing. "{:{width}}", a field
// within a spec, is refused: no template is known to have one.
Value FormatBraces(Interpreter& run, const Text& format, const Arguments& arguments) {
  Builder out(&run.budget());
  const std::string_view bytes = format.bytes();
  size_t automatic = 0;
  for (size_t at = 0; at < bytes.size();) {
    const size_t brace = std::min(bytes.find_first_of("{}", at), bytes.size());
    out.AppendSlice(format, at, brace);
    if (brace == bytes.size()) break;
    at = brace + 1;
    if (at < bytes.size() && bytes[at] == bytes[brace]) {  // "{{" is "{"
      out.AppendSlice(format, at, at + 1);
      ++at;
      continue;
    }
    const size_t end = bytes.find('}', at);
    if (bytes[brace] == '}' || end == bytes.npos) Throw("a brace in a format has no partner");
    std::string_view field = bytes.substr(at, end - at);
    at = end + 1;
    if (field.find('{') != field.npos) Throw("formats within formats are not supported");
    const size_t colon = std::min(field.find(':'), field.size());
    const Spec spec = ParseSpec(colon < field.size() ? field.substr(colon + 1) : "");
    field = field.substr(0, colon);
    const size_t bang = std::min(field.find('!'), field.size());
    const Value value = FieldValue(run, field.substr(0, bang), arguments, &automatic);
    if (bang == field.size()) {
      FormatOne(run, &out, value, spec);
    } else {
      FormatText(&out, field.substr(bang) == "!s" ? run.Str(value) : Repr(run, value), spec);
    }
  }
  return run.New(std::move(out));
}

}  // namespace lockstep::jinja
