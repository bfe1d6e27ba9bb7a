// The environment is read here and not by CLI11: version 2.3 and later pass over a value that fails
// its check, and a server that silently serves with other limits than it was told is worse than one
// that does not start. Numbers are checked here for a like reason: CLI11 takes 0512 for octal.
#include "server/app/command_line.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "core/base/nearest.h"
#include "core/base/quoted.h"

namespace lockstep {
namespace {

// The first long name counts: "-m,--model" is LOCKSTEP_MODEL, and "--queue-tokens" is
// LOCKSTEP_QUEUE_TOKENS.
std::string VariableOf(const CLI::Option& option) {
  std::string variable = "LOCKSTEP_" + option.get_lnames().at(0);
  for (char& c : variable) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return variable;
}

CLI::Validator NotEmpty() {
  return {[](std::string& text) { return text.empty() ? std::string("it is empty") : ""; }, ""};
}

std::vector<std::string> SplitAtCommas(const std::string& text) {
  std::vector<std::string> items;
  for (const std::string& item : CLI::detail::split(text, ',')) {
    items.push_back(CLI::detail::trim_copy(item));
  }
  return items;
}

// A variable must be able to say no as well, for which the command line just leaves the flag out.
bool ReadSwitch(const std::string& text) {
  const std::string word = CLI::detail::to_lower(text);
  if (word == "1" || word == "true" || word == "yes" || word == "on") return true;
  if (word == "0" || word == "false" || word == "no" || word == "off") return false;
  throw CLI::ConversionError(Quoted(text) + " is none of true, false, 1, 0, yes, no, on, off");
}

}  // namespace

CLI::Option* Flags::Text(CLI::App& app, const std::string& names, std::string& value,
                         const std::string& help, WhenEmpty when_empty) {
  // On the command line an empty value is a shell's variable that is not set.
  return Value(
             app, names, help, value, "TEXT", [&value](const std::string& text) { value = text; },
             when_empty)
      ->check(NotEmpty());
}

CLI::Option* Flags::Seconds(CLI::App& app, const std::string& names,
                            std::chrono::milliseconds& duration, std::chrono::milliseconds never,
                            const std::string& help) {
  const auto shown = duration == never ? 0 : duration.count() / 1000;
  const auto set = [&duration, never](const std::string& text) {
    const size_t seconds = ToNumber(text);
    duration = seconds == 0 ? never : std::chrono::seconds(seconds);
  };
  return Value(app, names, help, std::to_string(shown), "N", set)
      ->transform(Decimal(0, kMostSeconds));
}

CLI::Option* Flags::List(CLI::App& app, const std::string& names, std::vector<std::string>& list,
                         const std::string& help, WhenEmpty when_empty) {
  // Each --api-key takes one value. CLI11's vectors would otherwise also take what follows, and
  // with it the model's file.
  CLI::Option* const option = app.add_option(names, list, help)
                                  ->type_name("TEXT")
                                  ->type_size(1)
                                  ->allow_extra_args(false)
                                  ->check(NotEmpty());
  Declare(option, Kind::kList, when_empty);
  return option;
}

void Flags::ForgetVariable(const CLI::Option* option) {
  std::erase_if(flags_, [option](const Declared& flag) { return flag.options[0] == option; });
}

// A flag that was given anywhere on the command line, be it behind the command, hides its variable.
void Flags::ReadEnvironment() {
  for (const Declared& flag : flags_) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): there are no other threads yet
    const char* const value = std::getenv(flag.variable.c_str());
    if (value == nullptr || std::any_of(flag.options.begin(), flag.options.end(),
                                        [](const auto* option) { return option->count() > 0; })) {
      continue;
    }
    if (*value == '\0' && flag.when_empty == WhenEmpty::kUnset) continue;
    try {
      Apply(flag, value);
    } catch (const CLI::Error& error) {
      // CLI11 names the flag in some of its messages only.
      std::string what = error.what();
      const std::string name = flag.options[0]->get_name();
      if (!what.starts_with(name)) what.insert(0, name + ": ");
      what.append(" (in the environment: ").append(flag.variable).append(")");
      throw CLI::ValidationError(what, CLI::ExitCodes::ValidationError);
    }
  }
}

void Flags::ShowVariables() {
  for (const Declared& flag : flags_) {
    for (CLI::Option* option : flag.options) option->envname(flag.variable);
  }
}

size_t Flags::ToNumber(const std::string& digits) {
  size_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

CLI::Validator Flags::Decimal(size_t low, size_t high) {
  return {
      [low, high](std::string& text) {
        size_t number = 0;
        const char* const end = text.data() + text.size();
        const auto [read, error] = std::from_chars(text.data(), end, number);
        if (text.empty() || read != end || error != std::errc() || number < low || number > high) {
          return Quoted(text) + " is not a number from " + std::to_string(low) + " to " +
                 std::to_string(high);
        }
        // CLI11 goes on with the text that a transform leaves, here without zeros in front.
        text = std::to_string(number);
        return std::string();
      },
      ""};
}

CLI::Option* Flags::Value(CLI::App& app, const std::string& names, const std::string& help,
                          const std::string& shown, const char* type,
                          const std::function<void(const std::string&)>& take,
                          WhenEmpty when_empty) {
  CLI::Option* const option = app.add_option(
      names,
      [take](const CLI::results_t& given) {
        take(given.at(0));
        return true;
      },
      help);
  option->type_name(type)->default_str(shown);
  Declare(option, Kind::kValue, when_empty);
  return option;
}

void Flags::Declare(CLI::Option* option, Kind kind, WhenEmpty when_empty) {
  std::string variable = VariableOf(*option);
  // A command declares flags of the program again; both belong to one variable.
  const auto known = std::find_if(flags_.begin(), flags_.end(),
                                  [&](const Declared& flag) { return flag.variable == variable; });
  if (known != flags_.end()) return known->options.push_back(option);
  flags_.push_back({std::move(variable), kind, when_empty, {option}});
}

void Flags::Apply(const Declared& flag, const std::string& value) {
  CLI::Option& option = *flag.options[0];
  if (flag.kind == Kind::kSwitch) {
    // A switch that is set to no leaves the target as it is.
    if (!ReadSwitch(value)) return;
    option.add_result("true");
  } else if (flag.kind == Kind::kList) {
    option.add_result(SplitAtCommas(value));
  } else {
    option.add_result(value);
  }
  option.run_callback();
}

// Only flags of the command that was chosen, and of the program, are proposed: another command's
// flag would not be taken either.
std::string UnknownArgument(const CLI::App& app, const std::string& argument) {
  std::vector<std::string> names;
  const bool is_flag = argument.starts_with('-');
  const auto collect = [&names](const CLI::App& from) {
    for (const CLI::Option* option : from.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  };
  if (is_flag) {
    for (const CLI::App* command : app.get_subcommands()) collect(*command);
    collect(app);
  } else {
    for (const CLI::App* command : app.get_subcommands(nullptr)) {
      names.push_back(command->get_name());
    }
  }
  const std::string meant = Nearest(argument.substr(0, argument.find('=')), names);
  return Quoted(argument) + (is_flag ? " is no flag" : " is neither a command nor a .gguf file") +
         (meant.empty() ? std::string("; see --help") : "; did you mean " + meant + "?");
}

}  // namespace lockstep
