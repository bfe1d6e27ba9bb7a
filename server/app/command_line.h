// Declares flags to the command line's library, each with a variable of the environment that sets
// it where the command line does not, by each of its long names. A default is the value that the
// flag's target has when the flag is declared, and stands nowhere else: the help shows it. For one
// thread; the targets must outlive the flags.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace lockstep {

// What a switch is set to, on the command line, in a variable or in a file, in any case of letters.
// Errors are kInvalidArgument.
[[nodiscard]] Result<bool> ReadSwitch(const std::string& text);

// Names are those of the library: "-m,--model". A flag that is declared for a program and for its
// command has the same variables: LOCKSTEP_MODEL.
class Flags {
 public:
  enum class WhenEmpty { kUnset, kError };  // what a variable without a value means
  static constexpr size_t kMostSeconds = 86'400;

  // A whole number in decimal digits, and nothing else.
  template <std::integral T>
  CLI::Option* Number(CLI::App& app, const std::string& names, T& value, size_t low, size_t high,
                      const std::string& help) {
    return Value(app, names, help, std::to_string(value), "N",
                 [&value](const std::string& text) { value = static_cast<T>(ToNumber(text)); })
        ->transform(Decimal(low, high));
  }
  // One that is worked out where nobody says it: the help shows no default.
  template <std::integral T>
  CLI::Option* NumberOrFound(CLI::App& app, const std::string& names, T& value, size_t low,
                             size_t high, const std::string& help) {
    return Number(app, names, value, low, high, help)->default_str("");
  }
  CLI::Option* Seconds(CLI::App& app, const std::string& names, auto& duration,
                       const std::string& help) {
    const auto shown = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
    return Value(app, names, help, std::to_string(shown), "N",
                 [&duration](const std::string& text) {
                   duration = std::chrono::seconds(ToNumber(text));
                 })
        ->transform(Decimal(1, kMostSeconds));
  }
  // Seconds of which 0 means `never`.
  CLI::Option* Seconds(CLI::App& app, const std::string& names, std::chrono::milliseconds& duration,
                       std::chrono::milliseconds never, const std::string& help);
  CLI::Option* Text(CLI::App& app, const std::string& names, std::string& value,
                    const std::string& help, WhenEmpty when_empty = WhenEmpty::kUnset);
  // One of a few words. REQUIRES: the value is one of them.
  template <class T>
  CLI::Option* Choice(CLI::App& app, const std::string& names, T& value,
                      const std::map<std::string, T>& words, const std::string& help) {
    std::string shown, all;
    for (const auto& [word, meaning] : words) {
      if (meaning == value) shown = word;
      all += (all.empty() ? "" : ", ") + word;
    }
    return Value(app, names, help, shown, "TEXT",
                 [&value, words](const std::string& word) { value = words.at(word); })
        ->check(CLI::Validator(
            [words, all](std::string& word) {
              return words.contains(word) ? std::string() : word + " is none of " + all;
            },
            ""));
  }
  // May be given more than once; the variable has commas between the items. The help shows no
  // items.
  CLI::Option* List(CLI::App& app, const std::string& names, std::vector<std::string>& list,
                    const std::string& help, WhenEmpty when_empty = WhenEmpty::kUnset);
  // Makes the target `meant`, unless it is set to no: --strict=no, which leaves the target as it is
  // and hides the variable. Of several the last one counts.
  template <class T>
  CLI::Option* Switch(CLI::App& app, const std::string& names, T& target, T meant,
                      const std::string& help) {
    CLI::Option* option = app.add_flag_function(
        names,
        [&target, meant](int64_t count) {
          if (count > 0) target = meant;
        },
        help);
    option->transform(YesOrNo())->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    Declare(option, Kind::kValue, WhenEmpty::kUnset);
    return option;
  }

  // What a switch is set to becomes true or false, which the library reads.
  static CLI::Validator YesOrNo();
  // A number from low to high. Takes leading zeros away, which the library would read as octal.
  static CLI::Validator Decimal(size_t low, size_t high);

  // The flag has no variable from here on.
  void ForgetVariable(const CLI::Option* option);
  // Sets from the environment what the command line left unset, of the flags that the command has.
  // Throws CLI::Error, which names flag and variable.
  void ReadEnvironment(const CLI::App& command);
  // The help says each flag's first variable from here on. The library must not know them before:
  // its versions differ in what they do with a value that is wrong.
  void ShowVariables();

 private:
  enum class Kind { kValue, kList };
  struct Declared {
    std::vector<std::string> variables;  // one for each long name
    Kind kind;
    WhenEmpty when_empty;
    std::vector<CLI::Option*> options;  // the program's first, then those of its commands
  };

  static size_t ToNumber(const std::string& digits);
  CLI::Option* Value(CLI::App& app, const std::string& names, const std::string& help,
                     const std::string& shown, const char* type,
                     const std::function<void(const std::string&)>& take,
                     WhenEmpty when_empty = WhenEmpty::kUnset);
  void Declare(CLI::Option* option, Kind kind, WhenEmpty when_empty);
  // The one of a flag's variables that is set; empty: none is.
  static std::string SetVariableOf(const Declared& flag);
  static void Apply(const Declared& flag, const std::string& value);

  std::vector<Declared> flags_;
};

// Says of an argument that nothing takes: "--modle" is no flag; did you mean --model?
std::string UnknownArgument(const CLI::App& app, const std::string& argument);

}  // namespace lockstep
