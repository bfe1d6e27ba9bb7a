// The values that a chat template reads and makes: Python's, as far as templates go. Lists and
// dicts are immutable and shared, so a copy is cheap, any thread may read one, and none can contain
// itself. What changes while a template runs (namespaces, loops) is an Object, owned by that run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/trusted_text.h"

namespace lockstep {

namespace jinja {
using Text = TrustedText;
struct BigInteger;
struct List;
struct Dict;
struct Object;
struct Arguments;
class Interpreter;
}  // namespace jinja

class TemplateValue {
 public:
  // A value nested deeper than this is refused by ChatTemplate::Render. Whoever builds one from
  // hostile input keeps to it, since building and freeing recurse.
  static constexpr size_t kMaxDepth = 100;

  struct Undefined {
    std::shared_ptr<const std::string> why;  // null: no more is known than that it is undefined
  };
  struct None {};

  TemplateValue() = default;  // undefined
  static TemplateValue Null() { return TemplateValue(None{}); }
  static TemplateValue Bool(bool value) { return TemplateValue(value); }
  static TemplateValue Int(int64_t value) { return TemplateValue(value); }
  // An integer of any size, which keeps its digits. REQUIRES: decimal digits, "-" before them or
  // not.
  static TemplateValue Integer(std::string_view digits);
  static TemplateValue Float(double value) { return TemplateValue(value); }
  // A client's text: what it says never counts as written by the template.
  static TemplateValue String(std::string utf8);
  // Text of the model's own, such as bos_token.
  static TemplateValue TrustedString(std::string utf8);
  static TemplateValue List(std::vector<TemplateValue> items);
  // Where two entries have one key, the later one's value stands at the place of the first.
  static TemplateValue Dict(std::vector<std::pair<std::string, TemplateValue>> entries);

  // What follows is for the interpreter alone. An Object is a plain pointer since its run owns it
  // (Interpreter::Own). So no value may outlive the run that made it if it holds one; results are
  // Text, which never do.
  using Data =
      std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const jinja::BigInteger>,
                   std::shared_ptr<const jinja::Text>, std::shared_ptr<const jinja::List>,
                   std::shared_ptr<const jinja::Dict>, jinja::Object*>;
  template <class T>
  explicit TemplateValue(T value) : data_(std::move(value)) {}
  static TemplateValue UndefinedBecause(std::string why);

  template <class T>
  const T* As() const {
    return std::get_if<T>(&data_);
  }
  const jinja::BigInteger* AsBigInteger() const { return AsShared<jinja::BigInteger>(); }
  const jinja::Text* AsText() const { return AsShared<jinja::Text>(); }
  const jinja::List* AsList() const { return AsShared<jinja::List>(); }
  const jinja::Dict* AsDict() const { return AsShared<jinja::Dict>(); }
  jinja::Object* AsObject() const {
    const auto* object = As<jinja::Object*>();
    return object == nullptr ? nullptr : *object;
  }
  bool IsUndefined() const { return As<Undefined>() != nullptr; }
  bool IsNone() const { return As<None>() != nullptr; }
  bool IsNumber() const { return IsInteger() || As<double>() != nullptr; }
  bool IsInteger() const { return IsInt64() || AsBigInteger() != nullptr; }
  bool IsInt64() const { return As<int64_t>() != nullptr || As<bool>() != nullptr; }
  int64_t Int64() const;       // REQUIRES: IsInt64()
  std::string Digits() const;  // REQUIRES: IsInteger()
  double Number() const;       // REQUIRES: IsNumber()

  size_t Depth() const;  // 0 for what holds no other values
  // Python's bool(value).
  bool Truth() const;
  // Whether every text in it, keys included, is the template's own.
  bool AllTrusted() const;
  std::string_view TypeName() const;  // Python's: "str", "list", "dict", ...

 private:
  template <class T>
  const T* AsShared() const {
    const auto* shared = As<std::shared_ptr<const T>>();
    return shared == nullptr ? nullptr : shared->get();
  }

  Data data_;
};

namespace jinja {

using Value = TemplateValue;

// An integer that 64 bits do not hold, such as an id that a client sent. Templates print and
// compare these; arithmetic on them is refused, since no published template has any need for it.
struct BigInteger {
  std::string digits;  // "-" or none, then digits without leading zeros
};

struct List {
  enum class Kind {
    kList,
    kTuple,
    kGroup,      // a tuple (grouper, list) whose items also have these names
    kRange,      // what range() returns
    kView,       // a dict's keys, values or items: it has a length but no indexes
    kGenerator,  // what most filters return: can only be gone through, and only once
  };

  List(Kind list_kind, std::vector<Value> values);
  bool IsSequence() const { return kind != Kind::kView && kind != Kind::kGenerator; }
  bool IsTuple() const { return kind == Kind::kTuple || kind == Kind::kGroup; }

  Kind kind;
  std::vector<Value> items;
  // It is one more than that of the deepest item, and 1 where all items are plain.
  size_t depth;
  bool trusted = true;            // every text in it is the template's own
  mutable bool consumed = false;  // kGenerator only, which never outlives its run
};

// Keys are any values that Python can hash; entries keep the order in which they were added.
struct Dict {
  // REQUIRES: HashKey takes the key. A key that is there keeps its place and its type, as in
  // Python: {1: "a", 1.0: "b"} is {1: "b"}.
  void Set(Value key, Value value);
  const Value* Find(const Value& key) const;
  const Value* Find(std::string_view key) const;

  std::vector<std::pair<Value, Value>> entries;
  // An ordered map, since clients choose keys, and a hash table has collisions for them to find.
  std::map<std::string, size_t, std::less<>> index;  // by HashKey
  size_t depth = 1;
  bool trusted = true;
};

// What changes or acts: a namespace, a loop, a macro, a function. Compared by identity.
struct Object {
  virtual ~Object() = default;
  virtual std::string_view TypeName() const = 0;
  virtual bool IsCallable() const { return false; }
  virtual Value Call(Interpreter& run, Arguments arguments);           // throws Failure here
  virtual Value Attribute(Interpreter& run, const std::string& name);  // undefined here
};

// Equal for equal keys (1, 1.0 and True are one key) and for these alone; false if Python cannot
// hash the value or if it is a huge tuple. It appends to `*out`. Texts are equal by their bytes,
// whoever wrote them.
bool HashKey(const Value& value, std::string* out);
Value MakeList(std::vector<Value> items, List::Kind kind = List::Kind::kList);
Value MakeText(Text text);
Value Literal(std::string_view text);  // trusted

}  // namespace jinja
}  // namespace lockstep
