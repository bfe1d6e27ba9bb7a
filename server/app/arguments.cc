// One walk over the arguments, which puts each flag's value where the library cannot mistake it.
// Whatever names no flag is left to the library and to who explains its errors, and so are short
// flags in one word, -vc 64 and -c64.
#include "server/app/arguments.h"

#include <algorithm>
#include <cctype>

namespace lockstep {
namespace {

std::string NameOf(const std::string& argument) {
  std::string name = argument.substr(0, argument.find('='));
  // llama-server's, which the library would read as -h and -f.
  return name == "-hf" ? "--hf" : name;
}

// Whether a text looks like a long flag, be there one of this name or not: "-- a comment" and
// "---" are texts.
bool IsLongFlag(const std::string& argument) {
  const std::string name = NameOf(argument);
  return name.starts_with("--") && name.find_first_not_of('-') == 2 &&
         std::ranges::all_of(name, [](unsigned char c) { return c == '-' || std::isalnum(c); });
}

// Null where the app has no flag of that name: "--model" or "-m".
const CLI::Option* FindFlag(const CLI::App& app, const std::string& name) {
  const std::vector<const CLI::Option*> options = app.get_options();
  const auto found = std::ranges::find_if(options, [&name](const CLI::Option* option) {
    return name.starts_with("--") ? option->check_lname(name.substr(2))
                                  : option->check_sname(name.substr(1));
  });
  return found == options.end() ? nullptr : *found;
}

// Null where there is none of that name.
const CLI::App* FindCommand(const CLI::App& app, const std::string& name) {
  const auto found =
      app.get_subcommands([&name](const CLI::App* command) { return command->get_name() == name; });
  return found.empty() ? nullptr : found[0];
}

class Reader {
 public:
  Reader(const CLI::App& app, int argc, const char* const* argv)
      : app_(app), given_(argv + 1, argv + std::max(argc, 1)) {}

  std::vector<std::string> Read() {
    for (at_ = 0; at_ < given_.size() && given_[at_] != "--"; ++at_) {
      const std::string& argument = given_[at_];
      if (!argument.starts_with('-')) {
        if (command_ == nullptr) command_ = FindCommand(app_, argument);
        read_.push_back(argument);
      } else if (const CLI::Option* const option = Find(NameOf(argument))) {
        if (option->get_items_expected_max() == 0) {
          TakeSwitch(*option, argument);
        } else {
          TakeValue(*option, argument);
        }
      } else {
        read_.push_back(argument);
      }
    }
    read_.insert(read_.end(), given_.begin() + static_cast<ptrdiff_t>(at_), given_.end());
    return std::move(read_);
  }

 private:
  // A command's own flag comes before the program's, as in the library.
  const CLI::Option* Find(const std::string& name) const {
    const CLI::Option* const own = command_ == nullptr ? nullptr : FindFlag(*command_, name);
    return own == nullptr ? FindFlag(app_, name) : own;
  }

  void TakeSwitch(const CLI::Option& option, const std::string& argument) {
    const size_t equals = argument.find('=');
    if (equals == argument.npos) return read_.push_back(argument);
    const std::string value = argument.substr(equals + 1);
    if (value.empty()) throw CLI::ValidationError(NameOf(argument), "it is empty");
    // The library has -v=no for a flag -=.
    read_.push_back("--" + option.get_lnames().at(0) + "=" + value);
  }

  void TakeValue(const CLI::Option& option, const std::string& argument) {
    const std::string name = NameOf(argument);
    const size_t equals = argument.find('=');
    const bool has_value = equals != argument.npos;
    const std::string value = has_value ? argument.substr(equals + 1) : "";
    if (has_value && !value.empty() && name.starts_with("--")) {
      return read_.push_back(name + "=" + value);
    }
    read_.push_back(name);
    if (has_value) return read_.push_back(value);
    if (option.get_items_expected_min() == 0 || at_ + 1 == given_.size()) return;
    const std::string& next = given_[++at_];
    if (next == "--" || IsLongFlag(next) ||
        (next.starts_with('-') && Find(NameOf(next)) != nullptr)) {
      throw CLI::ValidationError(
          name, "it has no value; one that begins with a dash is written " + name + "=VALUE");
    }
    read_.push_back(next);
  }

  const CLI::App& app_;
  const CLI::App* command_ = nullptr;  // that was chosen, if one was
  const std::vector<std::string> given_;
  size_t at_ = 0;
  std::vector<std::string> read_;
};

}  // namespace

std::vector<std::string> ReadArguments(const CLI::App& app, int argc, const char* const* argv) {
  return Reader(app, argc, argv).Read();
}

}  // namespace lockstep
