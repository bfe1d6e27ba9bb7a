// What templates can call by name: jinja2's globals, save lipsum, which no template needs, and the
// two that transformers adds, raise_exception and strftime_now. cycler, joiner and namespace make
// an Object, since they change.
#include <array>
#include <ctime>

#include "core/base/quoted.h"
#include "core/jinja/builtins/builtins.h"
#include "core/jinja/objects.h"

namespace lockstep::jinja {
namespace {

constexpr uint64_t kMaxRange = 100'000;  // as jinja2's sandbox has it

// One argument is the end, as in range(5); two are begin and end. The items are made at once, which
// the bound makes cheap enough.
Value RangeFunction(BuiltinCall& call) {
  const bool one = !call.Has(1);
  const int64_t begin = one ? 0 : call.Int(0, 0);
  const int64_t end = one ? call.Int(0, 0) : call.Int(1, 0);
  const int64_t step = call.Int(2, 1);
  if (step == 0) Throw("range's step cannot be 0");
  std::vector<Value> items;
  int64_t at = begin;
  while (step > 0 ? at < end : at > end) {
    if (items.size() == kMaxRange) Throw("range is longer than {}", kMaxRange);
    items.push_back(Value::Int(at));
    // An item beyond 64 bits is beyond `end`, too.
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return call.run.NewList(std::move(items), List::Kind::kRange);
}

// dict(), dict(pairs or another dict), dict(a=1), or the last two together.
Dict MakeDict(BuiltinCall& call) {
  Dict dict;
  if (call.Has(0)) {
    if (const Dict* other = call.At(0).AsDict()) {
      dict = *other;
    } else {
      for (const Value& pair : call.run.Items(call.At(0))) {
        const std::vector<Value> parts = call.run.Items(pair);
        std::string hash;
        if (parts.size() != 2 || !HashKey(parts[0], &hash))
          Throw("dict needs pairs of key and value");
        // 128 bytes stand for an entry of the dict and its index, as in Interpreter::NewDict.
        call.run.budget().Make(hash.size() + 128);
        dict.Set(parts[0], parts[1]);
      }
    }
  }
  for (auto& [name, value] : call.rest.named) dict.Set(Literal(name), std::move(value));
  return dict;
}

Value NamespaceFunction(BuiltinCall& call) {
  auto* const space = call.run.Own<Namespace>();
  for (const auto& [key, value] : MakeDict(call).entries) {
    if (key.AsText() == nullptr) Throw("a namespace's names are strings");
    space->values[key.AsText()->bytes()] = value;
  }
  return Value(static_cast<Object*>(space));
}

// cycler("odd", "even") gives "odd" and "even" in turns at each .next().
Value CyclerFunction(BuiltinCall& call) {
  if (call.rest.positional.empty()) Throw("cycler needs something to cycle through");
  auto* const cycler = call.run.Own<Cycler>();
  cycler->items = std::move(call.rest.positional);
  return Value(static_cast<Object*>(cycler));
}

// joiner(", ") gives "" at its first call and ", " at all others, for lists that a loop writes.
Value JoinerFunction(BuiltinCall& call) {
  auto* const joiner = call.run.Own<Joiner>();
  joiner->separator = call.At(0, Literal(", "));
  return Value(static_cast<Object*>(joiner));
}

// In the server's time zone, as datetime.now() is. Never trusted input: the format comes from the
// template, and the buffer bounds what strftime may write.
Value StrftimeNow(BuiltinCall& call) {
  const std::string& format = call.TextAt(0).bytes();
  if (format.empty()) return Literal("");
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 1024> buffer;
  const size_t size = std::strftime(buffer.data(), buffer.size(), format.c_str(), &local);
  if (size == 0) Throw("strftime_now cannot use the format {}", Quoted(format, 40));
  return Literal({buffer.data(), size});
}

constexpr Builtin kFunctions[] = {
    {"cycler", "*", CyclerFunction},
    {"dict", "from? **", [](BuiltinCall& call) { return call.run.NewDict(MakeDict(call)); }},
    {"joiner", "sep?", JoinerFunction},
    {"namespace", "from? **", NamespaceFunction},
    // The message goes to the client as the template wrote it: a template uses this to say what is
    // wrong with the conversation ("roles must alternate").
    {"raise_exception", "message",
     [](BuiltinCall& call) -> Value {
       throw Failure{call.Str(0, "").bytes(), call.run.line(), true};
     }},
    {"range", "start stop? step?", RangeFunction},
    {"strftime_now", "format", StrftimeNow},
};

}  // namespace

std::span<const Builtin> Functions() { return kFunctions; }

}  // namespace lockstep::jinja
