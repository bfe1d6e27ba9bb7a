// How a model writes calls of tools. Chat templates show it, each in a way of its own, but the ways
// are made of the same pieces in the same order:
//
//   opens { before_name NAME after_name ARGUMENTS after } closes     with `between` in between
//
// In these texts kCounter stands for a number that counts calls, and kAnyId for an id that the
// model makes up.
//
// Data, immutable once found; the functions are pure. Knows no JSON library.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

inline constexpr char kCounter = '\x01', kAnyId = '\x02';

struct CallForm {
  enum class Arguments {
    kJson,      // {"a": 1}
    kTagged,    // <parameter=a>1</parameter>: a key and a text each, of which strings are bare
    kPythonic,  // a=1, b='x'
    kGemma,     // a:1,b:<|"|>x<|"|>
  };

  std::string opens;
  std::string before_name, after_name;
  std::string after, between, closes;
  Arguments arguments = Arguments::kJson;
  // For kTagged. What stands behind a key may tell strings from other values.
  std::string key_before, key_after, key_after_other, value_after;
  bool many = true;  // calls in one message
  // The template has a call's id in the place of its name: "functions.NAME:0".
  bool ids_of_names = false;
  // Mistral's: ids have nine letters and digits, and stand behind the arguments, or do not.
  bool mistral = false;
  // OpenAI's harmony: each part of an answer has a header that says whether it is thought, text or
  // a call.
  bool harmony = false;
  // The template takes arguments as the text of their JSON, and not as an object.
  bool arguments_as_text = false;
  bool null_content = false;  // the template shows calls only where the content is null
  bool unshown = false;       // the template describes calls, and leaves them out of a history
  bool generic = false;       // the server's own, where the template has none
  std::string space_behind;   // that the template puts behind all calls, before the message ends
};

inline constexpr std::string_view kCallForms =
    "between tags, brackets or at the beginning of a message, as JSON, parameters in tags or a "
    "call "
    "of Python";

// What no text has and calls begin with; of a form that IsAtStart no text begins with it.
std::string Marker(const CallForm& form);
bool IsAtStart(const CallForm& form);
// Whether a call can be told from text by the words that it begins with, be they no tag.
bool OpensWithWord(std::string_view opens);
// All that stands between the beginning of the first call and its name.
std::string Prefix(const CallForm& form);
// All texts of the form, one behind the other: control tokens among them have to be read.
std::string Literals(const CallForm& form);

// <tool_call>\n{"name": "f", "arguments": {...}}\n</tool_call>, as Hermes and Qwen 2.5 and 3 have.
CallForm HermesForm();
CallForm HarmonyForm();
// The form that a text shows without a call in it: a template that describes its tools, and
// refuses calls or leaves them out. False if it is none that is known.
bool FindDescribedForm(std::string_view rendered, CallForm* form);

bool IsCallNameChar(char c);
// How much of `text` the form's literal takes from its front: nothing where it is another text, and
// npos where more has to come before that is known. *id becomes what stands for kAnyId.
std::optional<size_t> MatchLiteral(std::string_view text, std::string_view literal,
                                   std::string* id = nullptr);
// The id of an answer's nth call, such as the form's templates take back: the same each time, and
// another one in each answer.
std::string CallId(const CallForm& form, std::string_view answer_id, size_t n);

}  // namespace lockstep
