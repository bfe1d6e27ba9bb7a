// A tiny model with a block that guesses ahead, and the block.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/transformer_fixture.h"

namespace lockstep {

// A family's model, small or with all that its files may have.
inline TinyModelOptions TinyMtpOptions(const std::string& name) {
  for (auto& [family, options] : TinyFamilies()) {
    if (family != name) continue;
    options.skipped_layers = 1;
    return options;
  }
  ADD_FAILURE() << name;
  return {};
}

struct MtpModel : TestModel {
  explicit MtpModel(std::vector<uint8_t> gguf,
                    const KernelTable& kernels = *ChooseKernels("auto").kernels)
      : TestModel(kernels, std::move(gguf)), mtp_config(MtpConfig(config).value()) {
    ThreadPool pool(1);
    const Weights trunk = LoadWeights(file, config, pool).value();
    block = std::make_unique<Transformer>(
        mtp_config, LoadMtpWeights(file, mtp_config, config.layers.size(), trunk, pool).value(),
        kernels);
  }

  // Hidden states of all tokens, [tokens][dim].
  std::vector<float> Hidden(std::span<const int32_t> tokens) const {
    Scratch scratch(config, 128, 1, kMaxThreads);
    ThreadPool pool(1);
    KvCache kv = NewCache();
    const BatchEntry entry = {&kv, tokens, LogitRows::kNone};
    EXPECT_TRUE(transformer->Forward({&entry, 1}, scratch, pool));
    std::vector<float> hidden;
    for (size_t i = 0; i < tokens.size(); ++i) {
      const auto state = scratch.token_vector(0, i);
      hidden.insert(hidden.end(), state.begin(), state.end());
    }
    return hidden;
  }

  ModelConfig mtp_config;
  std::unique_ptr<Transformer> block;
};

}  // namespace lockstep
