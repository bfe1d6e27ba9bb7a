// The fields of samplers that llama-server has beside those of everybody, under its names. A pure
// function, safe from any thread.
#pragma once

#include "server/generation/generation_service.h"
#include "server/json/field_reader.h"

namespace lockstep {

// typical_p, top_n_sigma, xtc_*, dry_*, dynatemp_* and repeat_last_n; all off unless sent.
void ReadOtherSamplers(FieldReader& fields, const GenerationService& service,
                       SamplingParams& sampling);

}  // namespace lockstep
