// The dialect of Hugging Face's text-embeddings-inference: POST /embed, /embed_all and /similarity,
// and / where a model that encodes is alone. Pure functions, safe from any thread.
#pragma once

#include "server/api/encode_api.h"

namespace lockstep {

extern const EncodeDialect kTeiEmbed;
extern const EncodeDialect kTeiEmbedAll;
extern const EncodeDialect kTeiSimilarity;

// {"error", "error_type"}, with the status that the dialect has for it.
HttpReply TeiErrorReply(const Error& error);
// Whether an error on this path is in this dialect, wherever it comes from; and how it is made so.
bool IsTeiPath(std::string_view path);
void PutInTeiForm(HttpReply& reply);
// Whether a request on a path that other dialects have, too, is in this one.
bool IsTeiRequest(std::string_view path, const Json& body);
// The texts, of which there must be one, and may be too many.
void ReadTeiInputs(FieldReader& fields, std::string_view name, const ReadContext& context, bool ids,
                   EncodeRequest& request);
// What all of its requests say of how texts are read.
void ReadTeiReading(FieldReader& fields, EncodeRequest& request);

// POST /: of text-generation-inference where the model generates, else /embed or /similarity, by
// the form of the inputs. Clients that know nothing but an address send it there.
HttpReply TgiOrTei(RouteCall& call);
// GET /info, where the model encodes.
HttpReply TeiInfo(RouteCall& call);

}  // namespace lockstep
