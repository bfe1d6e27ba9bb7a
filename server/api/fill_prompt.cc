// A model fills gaps best in the form that it was trained on, token by token, so that this follows
// llama-server's format_prompt_infill in each detail: texts are encoded one by one, and BOS stands
// behind the files (Qwen2.5-Coder's pattern of a repository).
#include "server/api/fill_prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace lockstep {
namespace {

// llama-server cuts a gap's surroundings to its default batch, three quarters of it the prefix.
constexpr size_t kBatch = 2048;
// Between files, where the vocabulary has no token for that.
constexpr char kSnippet[] = "\n\n--- snippet ---\n\n";

std::vector<int32_t> Plain(const GenerationService& service, std::string_view text) {
  return service.Encode(text, /*add_special=*/false, SpecialTokens::kAsText);
}

void Append(std::vector<int32_t>& ids, std::span<const int32_t> more) {
  ids.insert(ids.end(), more.begin(), more.end());
}

std::span<const int32_t> Last(const std::vector<int32_t>& ids, size_t count) {
  return std::span(ids).last(std::min(ids.size(), count));
}

// The repository, its files and the beginning of the one with the gap. llama-server knows no names
// for the first and the last, and has words in their place.
std::vector<int32_t> Files(const GenerationService& service, const std::vector<FillText>& files) {
  const FillTokens& fill = service.model().fill;
  std::vector<int32_t> ids;
  if (fill.repository >= 0) {
    ids.push_back(fill.repository);
    Append(ids, Plain(service, "myproject\n"));
  }
  for (const FillText& file : files) {
    if (fill.file >= 0) {
      ids.push_back(fill.file);
      Append(ids, Plain(service, file.name + "\n"));
    } else {
      Append(ids, Plain(service, kSnippet));
    }
    Append(ids, Plain(service, file.text));
  }
  if (fill.file >= 0) {
    ids.push_back(fill.file);
    Append(ids, Plain(service, "filename\n"));
  }
  return ids;
}

}  // namespace

Status CheckCanFill(const ServedModel& model, std::string_view param) {
  if (model.encodes) return tl::unexpected(GeneratesNothing(model));
  if (model.fill.can_fill()) return {};
  std::string missing;
  for (const auto& [token, name] :
       {std::pair{model.fill.prefix, "prefix"}, std::pair{model.fill.suffix, "suffix"},
        std::pair{model.fill.middle, "middle"}}) {
    if (token < 0) missing += (missing.empty() ? "" : ", ") + std::string(name);
  }
  return Fail(
      ErrorKind::kInvalidArgument,
      fmt::format("{} is not supported: the model continues texts and fills no gaps, for its "
                  "vocabulary has no token for {}; serve a model that was trained to "
                  "fill in the middle, such as one of the Qwen2.5-Coder family",
                  param, missing),
      std::string(param));
}

std::vector<int32_t> GapPrompt(const GenerationService& service, std::string_view prefix,
                               std::string_view suffix) {
  const ServedModel& model = service.model();
  std::vector<int32_t> ids;
  if (model.adds_bos) ids.push_back(model.bos);
  ids.push_back(model.fill.prefix);
  Append(ids, Plain(service, prefix));
  ids.push_back(model.fill.suffix);
  Append(ids, Plain(service, suffix));
  ids.push_back(model.fill.middle);
  return ids;
}

std::vector<int32_t> InfillPrompt(const GenerationService& service, const FillGap& gap,
                                  size_t answer, bool parse_special) {
  const ServedModel& model = service.model();
  const std::vector<int32_t> prefix = Plain(service, gap.prefix);
  const std::vector<int32_t> suffix = Plain(service, gap.suffix);
  const std::vector<int32_t> begun =
      service.Encode(gap.begun, /*add_special=*/false,
                     parse_special ? SpecialTokens::kParse : SpecialTokens::kAsText);
  // A context in which such a batch leaves no room for an answer is halved.
  const size_t batch = model.context > kBatch + kBatch / 8 ? kBatch : model.context / 2;
  const size_t quarter = batch / 4, taken = 2 + begun.size();

  std::vector<int32_t> ids;
  if (model.adds_bos) ids.push_back(model.bos);
  ids.push_back(model.fill.prefix);
  Append(ids, Last(prefix, 3 * quarter));
  Append(ids, begun);
  ids.push_back(model.fill.suffix);
  const size_t behind = quarter > taken ? quarter - taken : 0;
  Append(ids, std::span(suffix).first(std::min(suffix.size(), behind)));
  ids.push_back(model.fill.middle);
  const size_t room = model.context - std::min(model.context, ids.size() + answer);
  const std::vector<int32_t> files = Files(service, gap.files);
  const std::span<const int32_t> nearest = Last(files, room);
  ids.insert(ids.begin(), nearest.begin(), nearest.end());
  return ids;
}

}  // namespace lockstep
