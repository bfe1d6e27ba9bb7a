// DRY does not repeat across its breakers: they become a mask over the vocabulary here, once for a
// request, so that the sampler knows no texts.
#include "server/api/sampler_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cfloat>
#include <memory>

namespace lockstep {
namespace {

constexpr size_t kMaxBreakers = 32, kMaxBreakerBytes = 64;

// The tokens with a text in which one of them stands.
std::shared_ptr<const std::vector<bool>> FindBreakers(const GenerationService& service,
                                                      const std::vector<std::string>& breakers) {
  auto mask = std::make_shared<std::vector<bool>>(service.model().vocab);
  for (size_t i = 0; i < mask->size(); ++i) {
    const auto token = static_cast<int32_t>(i);
    std::string_view text = service.TokenBytes(token);
    if (text.empty()) text = service.TokenText(token);
    (*mask)[i] = std::ranges::any_of(
        breakers, [&](const std::string& breaker) { return text.find(breaker) != text.npos; });
  }
  return mask;
}

void ReadBreakers(FieldReader& fields, std::vector<std::string>* breakers) {
  constexpr char kName[] = "dry_sequence_breakers";
  const Json* const value = fields.Take(kName);
  if (value == nullptr) return;
  const std::string form = fmt::format("must be a list of at most {} texts of 1 to {} bytes",
                                       kMaxBreakers, kMaxBreakerBytes);
  if (!value->is_array() || value->size() > kMaxBreakers) return fields.Fail(kName, form);
  breakers->clear();
  for (const Json& breaker : *value) {
    if (!breaker.is_string()) return fields.Fail(kName, form);
    const auto& text = breaker.get_ref<const std::string&>();
    if (text.empty() || text.size() > kMaxBreakerBytes) return fields.Fail(kName, form);
    breakers->push_back(text);
  }
}

}  // namespace

void ReadOtherSamplers(FieldReader& fields, const GenerationService& service,
                       SamplingParams& sampling) {
  fields.Float("typical_p", {0, 1, true}, &sampling.typical_p);
  fields.Float("top_n_sigma", {-FLT_MAX, FLT_MAX}, &sampling.top_n_sigma);
  fields.Float("xtc_probability", {0, 1}, &sampling.xtc_probability);
  fields.Float("xtc_threshold", {0, 1}, &sampling.xtc_threshold);
  fields.Float("dynatemp_range", {0, 100}, &sampling.dynatemp_range);
  fields.Float("dynatemp_exponent", {0, 100}, &sampling.dynatemp_exponent);
  fields.Integer("repeat_last_n", -1, INT32_MAX, &sampling.repeat_last_n);

  DryParams& dry = sampling.dry;
  fields.Float("dry_multiplier", {0, 100}, &dry.multiplier);
  fields.Float("dry_base", {0, 100}, &dry.base);
  if (dry.base < 1) dry.base = DryParams{}.base;  // as llama-server has it
  fields.Integer("dry_allowed_length", 0, INT32_MAX, &dry.allowed_length);
  fields.Integer("dry_penalty_last_n", -1, INT32_MAX, &dry.last_n);
  if (dry.last_n == 0) dry.multiplier = 0;
  std::vector<std::string> breakers = {"\n", ":", "\"", "*"};
  ReadBreakers(fields, &breakers);
  if (fields.ok() && dry.multiplier > 0) dry.breakers = FindBreakers(service, breakers);
}

}  // namespace lockstep
