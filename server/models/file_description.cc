// The file is opened anew for each question: whoever asks does so once, and a file may be replaced.
#include "server/models/file_description.h"

#include <fmt/format.h>

#include <utility>
#include <variant>

#include "core/gguf/gguf_parts.h"
#include "core/model/model_card.h"
#include "core/transformer/model_config.h"
#include "server/api/ollama/ollama_common.h"
#include "server/generation/generation_service.h"

namespace lockstep {
namespace {

std::string ChatTemplateOf(const GgufFile& file) {
  for (const GgufPair& pair : file.pairs()) {
    const auto* const text = std::get_if<std::string_view>(&pair.value);
    if (pair.key == "tokenizer.chat_template" && text != nullptr) return std::string(*text);
  }
  return {};
}

}  // namespace

Result<Json> DescribeFile(const std::string& path, bool generic_tools) {
  TRY(const GgufParts parts, GgufParts::Open(path));
  TRY(const ModelConfig config, ReadModelConfig(parts.file()));
  const ModelCard card = MakeModelCard(parts.file(), config);
  const std::string chat = config.encodes() ? "" : ChatTemplateOf(parts.file());
  ServedModel served;
  served.encodes = config.encodes();
  served.scores_pairs = config.scores_pairs();
  Json capabilities = Json::array({Capability(served)});
  const bool tools = generic_tools || chat.find("tools") != chat.npos;
  if (!chat.empty() && tools) capabilities.push_back("tools");
  const std::string parameters = fmt::format("{:<30} {}", "num_ctx", config.context);
  return Json{{"license", CardText(card, "general.license")},
              {"modelfile", fmt::format("FROM {}\n", CardText(card, "general.name"))},
              {"parameters", parameters},
              {"template", chat},
              {"details", ModelDetailsJson(card)},
              {"model_info", ModelInfoJson(card, config.context)},
              {"capabilities", std::move(capabilities)}};
}

Error WithoutFolder(Error error, const std::string& path) {
  const size_t end = path.rfind('/');
  if (end == path.npos || end == 0) return error;
  const std::string folder = path.substr(0, end + 1);
  for (size_t at; (at = error.message.find(folder)) != std::string::npos;) {
    error.message.erase(at, folder.size());
  }
  return error;
}

}  // namespace lockstep
