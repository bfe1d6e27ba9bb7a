// SentencePiece's BPE has no list of merges: two neighbours may be joined if their joined text is a
// token, and the best score goes first. So the merger looks up substrings of the text, which the
// vocabulary's longest token bounds.
#include "core/tokenizer/spm_encoder.h"

#include "core/tokenizer/pair_merger.h"

namespace lockstep {

Result<std::unique_ptr<TextEncoder>> SpmEncoder::Create(const GgufFile& file,
                                                        const Vocabulary& vocabulary) {
  std::unique_ptr<SpmEncoder> encoder(new SpmEncoder(vocabulary));
  TRY(encoder->scores_, LoadScores(file, vocabulary));
  TRY(const auto space, file.GetBool("tokenizer.ggml.add_space_prefix"));
  encoder->adds_space_ = space.value_or(true);
  TRY_OK(encoder->bytes_.Load(file, vocabulary));
  return encoder;
}

void SpmEncoder::Encode(std::string_view text, std::vector<int32_t>* ids) const {
  std::string escaped(adds_space_ ? kEscapedSpace : "");
  escaped += ReplaceAll(text, " ", kEscapedSpace);
  const std::string_view all = escaped;
  PairMerger merger;
  AddCharacters(all, vocabulary_, &merger);
  const auto find = [&](const Symbol& left, const Symbol& right) -> Merge {
    // The cost is the negative score, so that the merger, which takes the least cost, takes the
    // best score.
    const int32_t id = vocabulary_.FindNormal(all.substr(left.begin, left.size + right.size));
    return {id < 0 ? 0.0f : -scores_[static_cast<size_t>(id)], id};
  };
  merger.Run(find);
  PutIds(merger, all, bytes_, ids);
}

std::string SpmEncoder::Bytes(std::string_view text) const {
  return ReplaceAll(text, kEscapedSpace, " ");
}

}  // namespace lockstep
