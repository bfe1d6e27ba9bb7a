// No merge joins newlines to anything but newlines, and a run of them that is a token is that token
// whatever the merges say, so that runs of newlines and the text between them are encoded one by
// one.
#include "core/tokenizer/gemma4_encoder.h"

namespace lockstep {

Result<std::unique_ptr<TextEncoder>> Gemma4Encoder::Create(const GgufFile& file,
                                                           const Vocabulary& vocabulary) {
  std::unique_ptr<Gemma4Encoder> encoder(new Gemma4Encoder(vocabulary));
  TRY_OK(encoder->merges_.Load(file, vocabulary));
  TRY_OK(encoder->bytes_.Load(file, vocabulary));
  return encoder;
}

void Gemma4Encoder::Encode(std::string_view text, std::vector<int32_t>* ids) const {
  const std::string escaped = ReplaceAll(text, " ", kEscapedSpace);
  PairMerger merger;
  for (std::string_view rest = escaped; !rest.empty();) {
    const bool newlines = rest.front() == '\n';
    const size_t end = newlines ? rest.find_first_not_of('\n') : rest.find('\n');
    const std::string_view run = rest.substr(0, end);
    rest.remove_prefix(run.size());
    const int32_t whole = newlines ? vocabulary_.FindNormal(run) : -1;
    if (whole >= 0) {
      ids->push_back(whole);
    } else {
      EncodeRun(run, &merger, ids);
    }
  }
}

void Gemma4Encoder::EncodeRun(std::string_view run, PairMerger* merger,
                              std::vector<int32_t>* ids) const {
  merger->Clear();
  AddCharacters(run, vocabulary_, merger);
  merger->Run([&](const Symbol& left, const Symbol& right) { return merges_.Find(left, right); });
  PutIds(*merger, run, bytes_, ids);
}

std::string Gemma4Encoder::Bytes(std::string_view text) const {
  return ReplaceAll(text, kEscapedSpace, " ");
}

}  // namespace lockstep
