// A receipt says all of one choice. Without one, the request's seed and the choice's place do, as
// long as no choice was made among more answers (best_of).
#include "server/api/answer_claim.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "server/api/request_fields.h"
#include "server/generation/prompt_tokens.h"

namespace lockstep {
namespace {

// Some dialects have it among an answer's details.
std::optional<uint64_t> SeedOf(const Json& json) {
  for (const char* name : {"details", "generation_settings"}) {
    const Json* const inner = FindField(json, name);
    if (inner != nullptr && inner->is_object() && inner->contains("seed")) return SeedOf(*inner);
  }
  const Json* const seed = FindField(json, "seed");
  if (seed == nullptr || !seed->is_number_integer()) return std::nullopt;
  return seed->is_number_unsigned() ? seed->get<uint64_t>()
                                    : static_cast<uint64_t>(seed->get<int64_t>());
}

// Takes what nothing has said yet from an object that has an answer.
Status AddTo(ClaimedChoice& choice, const Json& json, size_t vocab) {
  if (!choice.said_seed) choice.said_seed = SeedOf(json);
  if (const Json* const receipt = FindField(json, "receipt");
      receipt != nullptr && !choice.receipt) {
    TRY(choice.receipt, ReadReceipt(*receipt));
  }
  for (const char* name : {"tokens", "token_ids"}) {
    const Json* const tokens = FindField(json, name);
    // Some dialects have an empty list where nobody asked for tokens.
    if (tokens == nullptr || !tokens->is_array() || tokens->empty() || choice.tokens) continue;
    TRY(choice.tokens, ReadTokenIds(*tokens, vocab, name, name));
  }
  return {};
}

std::optional<size_t> IndexOf(const Json& json) {
  const Json* const index = FindField(json, "index");
  if (index == nullptr || !index->is_number_unsigned()) return std::nullopt;
  return index->get<size_t>();
}

// Null where the answer is one and no list: /completion lists several, and "/" always.
Json* ListOf(Claim& claim) {
  if (claim.answer.is_array()) return &claim.answer;
  const auto choices = claim.answer.find("choices");
  if (choices == claim.answer.end() || !choices->is_array()) return nullptr;
  claim.list = "choices";
  return &*choices;
}

// text-generation-inference's details of the answer that was chosen, and of those that were not.
Json* DetailsOf(Json& answer) {
  Json* const json = answer.is_array() && answer.size() == 1 ? &answer[0] : &answer;
  const auto details = json->is_object() ? json->find("details") : json->end();
  return details == json->end() || !details->is_object() ? nullptr : &*details;
}

Json* OthersOfBest(Json& answer) {
  Json* const details = DetailsOf(answer);
  if (details == nullptr) return nullptr;
  const auto others = details->find("best_of_sequences");
  return others == details->end() || !others->is_array() || others->empty() ? nullptr : &*others;
}

// Of all answers, the first one's, which is the least.
std::optional<uint64_t> FirstSeedOfBest(Json& answer) {
  std::optional<uint64_t> first;
  const auto add = [&first](const Json& json) {
    const std::optional<uint64_t> seed = SeedOf(json);
    if (seed) first = std::min(first.value_or(UINT64_MAX), *seed);
    return seed.has_value();
  };
  bool all = add(*DetailsOf(answer));
  for (const Json& other : *OthersOfBest(answer)) all = add(other) && all;
  return all ? first : std::nullopt;
}

// Of several choices that were chosen among more answers, those with a receipt.
void KeepReceived(Claim& claim) {
  Json* const list = ListOf(claim);
  for (size_t i = claim.choices.size(); list != nullptr && i > 0; --i) {
    if (claim.choices[i - 1].receipt) continue;
    claim.choices.erase(claim.choices.begin() + static_cast<ptrdiff_t>(i - 1));
    list->erase(i - 1);
  }
}

// Where nothing is left to chance, choices among more answers may be of any seeds.
void LeaveSeedsOut(Claim& claim) {
  Json* const list = ListOf(claim);
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    if ((*list)[i].erase("seed") > 0) {
      claim.left_out.push_back(fmt::format("{}[{}].seed", claim.list, i));
    }
  }
}

// Which prompt and which seed each choice is of.
class Chooser {
 public:
  Chooser(const GenerationService& service, const GenerateRequest& request, bool receipts)
      : request_(request) {
    if (!receipts) return;
    for (const GenerateRequest::Prompt& prompt : request.prompts) {
      digests_.push_back(HexDigest(PromptTokens(service, request, prompt)));
    }
  }

  std::optional<ClaimDifference> CheckPrompt(const Receipt& receipt) const {
    if (std::ranges::find(digests_, receipt.prompt) != digests_.end()) return std::nullopt;
    return ClaimDifference{"prompt",
                           "the request becomes another prompt here: its chat template shows the "
                           "date, or the server that answered had other flags"};
  }

  // As its receipt says, which is to be that of its place where the first seed says which seed is
  // whose.
  std::optional<ClaimDifference> ChooseByReceipt(ClaimedChoice& choice,
                                                 std::optional<uint64_t> first_seed) {
    const Receipt& receipt = *choice.receipt;
    if (auto differs = CheckPrompt(receipt)) return differs;
    if (request_.has_seed && receipt.seed - request_.options.sampling.seed >= request_.best_of) {
      return ClaimDifference{"receipt", "the receipt's seed is none of the request's"};
    }
    const size_t n = request_.n;
    if (choice.placed && first_seed &&
        (receipt.seed != *first_seed + choice.place % n ||
         digests_[choice.place / n] != receipt.prompt)) {
      return ClaimDifference{"receipt", fmt::format("the receipt is of another choice than that "
                                                    "of index {}",
                                                    choice.place)};
    }
    // Equal prompts may have equal answers.
    for (size_t i = 0; i < digests_.size(); ++i) {
      if (digests_[i] == receipt.prompt && Take(choice, i, receipt.seed)) return std::nullopt;
    }
    return Twice();
  }
  // As its place says.
  std::optional<ClaimDifference> ChooseByPlace(ClaimedChoice& choice, uint64_t first_seed) {
    const size_t n = request_.n;
    if (Take(choice, choice.place / n, first_seed + choice.place % n)) return std::nullopt;
    return Twice();
  }

 private:
  bool Take(ClaimedChoice& choice, size_t prompt, uint64_t seed) {
    choice.prompt = prompt;
    choice.seed = seed;
    return used_.emplace(prompt, seed).second;
  }
  static ClaimDifference Twice() {
    return {"answer", "two of the choices are the same one, which no request is answered with"};
  }

  const GenerateRequest& request_;
  std::vector<std::string> digests_;
  std::set<std::pair<size_t, uint64_t>> used_;
};

// The seed of the first answer to each prompt, where the choices' places count from it.
std::optional<uint64_t> FirstSeed(const Claim& claim, const GenerateRequest& request) {
  if (request.best_of != request.n) return std::nullopt;
  if (request.has_seed) return request.options.sampling.seed;
  for (const ClaimedChoice& choice : claim.choices) {
    if (choice.receipt) return choice.receipt->seed - choice.place % request.n;
  }
  // Nothing is left to chance, and any seed would do.
  const ClaimedChoice& choice = claim.choices[0];
  return choice.said_seed.value_or(0) - (choice.said_seed ? choice.place % request.n : 0);
}

}  // namespace

bool Claim::HasReceipt() const {
  return std::ranges::any_of(choices, [](const ClaimedChoice& c) { return c.receipt.has_value(); });
}

bool Claim::empty() const {
  return !text && answer.is_null() && std::ranges::none_of(choices, [](const ClaimedChoice& c) {
    return c.receipt || c.tokens;
  });
}

Result<Claim> ReadClaim(const Json& body, size_t vocab) {
  Claim claim;
  claim.choices.resize(1);
  TRY_OK(AddTo(claim.choices[0], body, vocab));
  if (const Json* const text = FindField(body, "text"); text != nullptr && text->is_string()) {
    claim.text = text->get<std::string>();
  }
  const Json* const answer = FindField(body, "answer");
  if (answer == nullptr) {
    claim.choices[0].place = IndexOf(body).value_or(0);
    return claim;
  }
  if (!answer->is_structured() || answer->empty()) {
    return Fail(ErrorKind::kInvalidArgument,
                "answer must be what the request was answered with, as JSON", "answer");
  }
  claim.answer = *answer;
  if (Json* const list = ListOf(claim)) {
    const std::optional<size_t> index = IndexOf(body);
    if (index.value_or(0) >= list->size()) {
      return Fail(ErrorKind::kInvalidArgument, "the answer has no choice of that index", "index");
    }
    const size_t first = index.value_or(0), end = index ? first + 1 : list->size();
    Json taken(list->begin() + static_cast<ptrdiff_t>(first),
               list->begin() + static_cast<ptrdiff_t>(end));
    claim.choices.resize(end - first);
    // That of the header is the first one's.
    if (first > 0 && FindField((*list)[first], "receipt") != nullptr) {
      claim.choices[0].receipt.reset();
    }
    for (size_t i = first; i < end; ++i) {
      ClaimedChoice& choice = claim.choices[i - first];
      const std::optional<size_t> said = IndexOf((*list)[i]);
      choice.place = said.value_or(i);
      choice.placed = said.has_value();
      TRY_OK(AddTo(choice, (*list)[i], vocab));
    }
    *list = std::move(taken);
  }
  TRY_OK(AddTo(claim.choices[0], *answer, vocab));
  return claim;
}

std::optional<ClaimDifference> ChooseAnswers(const GenerationService& service, Claim& claim,
                                             GenerateRequest& request, bool* whole) {
  request.stream = false;
  *whole = false;
  const size_t count = request.prompts.size() * request.n;
  for (const ClaimedChoice& choice : claim.choices) {
    if (claim.choices.size() <= count && choice.place < count) continue;
    return ClaimDifference{"answer", fmt::format("the request is answered with {} choices, and "
                                                 "there are more",
                                                 count)};
  }
  Chooser chooser(service, request, claim.HasReceipt());
  if (Json* const others = OthersOfBest(claim.answer); others != nullptr) {
    const std::optional<uint64_t> first = FirstSeedOfBest(claim.answer);
    *whole = request.has_seed || first;
    if (!request.has_seed && first) request.options.sampling.seed = *first;
    if (!*whole) {
      claim.left_out.emplace_back("details.best_of_sequences");
      DetailsOf(claim.answer)->erase("best_of_sequences");
    }
  }
  const bool by_receipts = std::ranges::all_of(
      claim.choices, [](const ClaimedChoice& c) { return c.receipt.has_value(); });
  if (request.best_of > request.n && !by_receipts) {
    if (!*whole && !request.has_seed && !claim.HasReceipt()) LeaveSeedsOut(claim);
    *whole = *whole || request.has_seed || !claim.HasReceipt();
  }
  if (*whole) {
    for (const ClaimedChoice& choice : claim.choices) {
      if (!choice.receipt) continue;
      if (auto differs = chooser.CheckPrompt(*choice.receipt)) return differs;
    }
    return std::nullopt;
  }
  const std::optional<uint64_t> first_seed = FirstSeed(claim, request);
  for (size_t i = 0; i < claim.choices.size(); ++i) {
    ClaimedChoice& choice = claim.choices[i];
    std::optional<ClaimDifference> differs;
    if (choice.receipt) {
      differs = chooser.ChooseByReceipt(choice, first_seed);
    } else if (first_seed) {
      differs = chooser.ChooseByPlace(choice, *first_seed);
    } else {
      claim.left_out.push_back(fmt::format("{}[{}]", claim.list, i));
    }
    if (differs) return differs;
  }
  if (!first_seed && claim.choices.size() > 1) KeepReceived(claim);
  return std::nullopt;
}

Json WithOneChoice(const Claim& claim, size_t choice) {
  if (claim.choices.size() == 1) return claim.answer;
  if (claim.list.empty()) return Json::array({claim.answer[choice]});
  Json one = Json::object();
  for (const auto& [key, value] : claim.answer.items()) {
    if (key != claim.list) one[key] = value;
  }
  one[claim.list] = Json::array({claim.answer[claim.list][choice]});
  return one;
}

}  // namespace lockstep
