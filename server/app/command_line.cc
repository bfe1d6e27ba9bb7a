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

// "-c,--context,--ctx-size" is LOCKSTEP_CONTEXT and LOCKSTEP_CTX_SIZE.
std::vector<std::string> VariablesOf(const CLI::Option& option) {
  std::vector<std::string> variables;
  for (const std::string& name : option.get_lnames()) {
    std::string& variable = variables.emplace_back("LOCKSTEP_" + name);
    for (char& c : variable) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  }
  return variables;
}

const char* Environment(const std::string& variable) {
  return std::getenv(variable.c_str());  // NOLINT(concurrency-mt-unsafe): there are no threads yet
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

}  // namespace

Result<bool> ReadSwitch(const std::string& text) {
  const std::string word = CLI::detail::to_lower(text);
  for (const char* const yes : {"true", "yes", "on", "1", "enabled"}) {
    if (word == yes) return true;
  }
  for (const char* const no : {"false", "no", "off", "0", "disabled"}) {
    if (word == no) return false;
  }
  return Fail(ErrorKind::kInvalidArgument,
              Quoted(text) + " is none of true, false, yes, no, on, off, 1, 0, enabled, disabled");
}

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
void Flags::ReadEnvironment(const CLI::App& command) {
  const std::vector<const CLI::Option*> own = command.get_options();
  const auto is_own = [&own](const CLI::Option* option) {
    return std::ranges::find(own, option) != own.end();
  };
  const auto is_given = [](const CLI::Option* option) { return option->count() > 0; };
  for (const Declared& flag : flags_) {
    if (std::ranges::none_of(flag.options, is_own)) continue;
    if (std::ranges::any_of(flag.options, is_given)) continue;
    const std::string variable = SetVariableOf(flag);
    if (variable.empty()) continue;
    try {
      Apply(flag, Environment(variable));
    } catch (const CLI::Error& error) {
      // CLI11 names the flag in some of its messages only.
      std::string what = error.what();
      const std::string name = flag.options[0]->get_name();
      if (!what.starts_with(name)) what.insert(0, name + ": ");
      what.append(" (in the environment: ").append(variable).append(")");
      throw CLI::ValidationError(what, CLI::ExitCodes::ValidationError);
    }
  }
}

std::string Flags::SetVariableOf(const Declared& flag) {
  std::string set;
  for (const std::string& variable : flag.variables) {
    const char* const value = Environment(variable);
    if (value == nullptr || (*value == '\0' && flag.when_empty == WhenEmpty::kUnset)) continue;
    if (!set.empty() && std::string_view(value) != Environment(set)) {
      throw CLI::ValidationError(
          set.append(" and ").append(variable).append(" are one flag, with two values"),
          CLI::ExitCodes::ValidationError);
    }
    if (set.empty()) set = variable;
  }
  return set;
}

void Flags::ShowVariables() {
  for (const Declared& flag : flags_) {
    for (CLI::Option* option : flag.options) option->envname(flag.variables[0]);
  }
}

size_t Flags::ToNumber(const std::string& digits) {
  size_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

CLI::Validator Flags::YesOrNo() {
  return {[](std::string& text) {
            const auto yes = ReadSwitch(text);
            if (!yes) return yes.error().message;
            text = *yes ? "true" : "false";
            return std::string();
          },
          ""};
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
  std::vector<std::string> variables = VariablesOf(*option);
  // A command declares flags of the program again; both belong to one variable.
  const auto known = std::ranges::find(flags_, variables, &Declared::variables);
  if (known != flags_.end()) return known->options.push_back(option);
  flags_.push_back({std::move(variables), kind, when_empty, {option}});
}

void Flags::Apply(const Declared& flag, const std::string& value) {
  CLI::Option& option = *flag.options[0];
  if (flag.kind == Kind::kList) {
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
