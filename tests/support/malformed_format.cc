#include <sys/stat.h>

#include <filesystem>

#include "tests/support/malformed_edit.h"

namespace lockstep {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr uint64_t kMax64 = std::numeric_limits<uint64_t>::max();
constexpr uint32_t kF16 = 1, kQ4Removed = 4, kQ8 = 8, kF64 = 28;

}  // namespace

TinyModelOptions MalformedBase() {
  return {.dim = 32, .layers = 1, .head_dim = 8, .ffn_dim = 32, .vocab = 300, .context = 64};
}

std::vector<MalformedCase> MalformedGgufCases() {
  std::vector<MalformedCase> all;
  for (const auto part :
       {HeaderCases, PairCases, ModelCases, TokenizerCases, TensorCases, DataCases, FamilyCases}) {
    for (MalformedCase& c : part()) all.push_back(std::move(c));
  }
  return all;
}

std::vector<MalformedCase> HeaderCases() {
  const auto version = [](uint32_t v) { return Edited([v](GgufBuilder& b) { b.version = v; }); };
  const auto tensors = [](uint64_t n) { return Edited([n](GgufBuilder& b) { b.n_tensors = n; }); };
  const auto pairs = [](uint64_t n) { return Edited([n](GgufBuilder& b) { b.n_pairs = n; }); };
  const std::string safetensors = LittleEndian<uint64_t>(60) + "{\"weight\":{\"dtype\":\"F32\"";
  return {
      {1, "empty file", Raw(""), {"the file is empty"}},
      {2, "under 4 bytes", Raw("GG"), {"magic needs 4 bytes", "has 2 bytes"}},
      {3, "magic only", Raw("GGUF"), {"version needs 4 bytes", "has 4 bytes"}},
      {4, "safetensors", Raw(safetensors), {"magic is \"<\\x00", "safetensors"}},
      {4, "zip", Raw("PK\x03\x04 archive"), {"magic is \"PK\\x03\\x04\"", "zip"}},
      {4, "GGML", Raw("lmgg      "), {"magic is \"lmgg\"", "GGML"}},
      {4, "GGJT", Raw("tjgg      "), {"magic is \"tjgg\"", "GGJT"}},
      {4, "HTML", Raw("<!DOCTYPE html>"), {"magic is \"<!DO\"", "HTML"}},
      {4, "git-lfs pointer", Raw("version https://git-lfs."), {"magic is \"vers\"", "git-lfs"}},
      {4,
       "something else",
       Raw("\x7f"
           "ELF\2\1\1\0"),
       {"magic is \"\\x7fELF\"", "not a GGUF"}},
      {5, "version 0", version(0), {"version is 0"}},
      {6, "version 1", version(1), {"version is 1", "2 and 3"}},
      {7, "version 4", version(4), {"version is 4", "2 and 3"}},
      {7, "version -1", version(0xFFFFFFFF), {"version is 4294967295"}},
      {8, "big-endian", version(0x03000000), {"version is 0x3000000", "big-endian"}},
      {9, "n_tensors 2^63", tensors(1ull << 63), {"n_tensors is 9223372036854775808", "65536"}},
      {9, "n_tensors -1", tensors(kMax64), {"n_tensors is 18446744073709551615", "65536"}},
      {10, "n_kv 2^63", pairs(1ull << 63), {"n_kv is 9223372036854775808", "65536"}},
      {11,
       "n_tensors beyond the file",
       tensors(60000),
       {"n_tensors is 60000", "at most; it may be cut short"}},
      {11, "n_kv beyond the file", pairs(60000), {"n_kv is 60000", "at most"}},
      {12, "no tensors", Edited([](GgufBuilder& b) { b.tensors.clear(); }), {"n_tensors is 0"}},
      {13,
       "directory",
       [](const TempFile& f) { std::filesystem::create_directory(f.path()); },
       {"is a directory"}},
      {13, "FIFO", [](const TempFile& f) { mkfifo(f.path().c_str(), 0600); }, {"not a regular"}},
      {13,
       "dangling link",
       [](const TempFile& f) { std::filesystem::create_symlink("absent", f.path()); },
       {"cannot open it", "No such file"}},
      {13,
       "unreadable: a link to itself",
       [](const TempFile& f) { std::filesystem::create_symlink("model.gguf", f.path()); },
       {"cannot open it", "symbolic links"}},
  };
}

std::vector<MalformedCase> PairCases() {
  constexpr uint32_t kU32 = 4, kBool = 7, kString = 8, kArray = 9, kU64 = 10;
  const std::string text = GgufString("v");
  const auto add = [](GgufBuilder::Pair pair) {
    return Edited([pair](GgufBuilder& b) { b.pairs.push_back(pair); });
  };
  const auto array = [](uint32_t type, uint64_t count, const std::string& elements = "") {
    return LittleEndian(type) + LittleEndian(count) + elements;
  };
  return {
      {14, "empty key", add({"", kString, text}), {"key of metadata pair 25 has length 0"}},
      {15,
       "long key",
       add({std::string(65536, 'k'), kString, text}),
       {"key of metadata pair 25 has length 65536", "65535"}},
      {16,
       "key length 2^64 - 1",
       add({"key", kString, text, kMax64}),
       {"key of metadata pair 25", "18446744073709551615", "65535"}},
      {16,
       "string length 2^64 - 1",
       add({"key", kString, LittleEndian(kMax64)}),
       {"\"key\"", "18446744073709551615", "16777216"}},
      {17,
       "key past the end",
       OnePair({"key", kString, text, 1000}),
       {"key of metadata pair 0 needs 1000 bytes"}},
      {18, "key not UTF-8", add({"k\xff", kString, text}), {"pair 25 is \"k\\xff\"", "UTF-8"}},
      {18,
       "key with NUL",
       add({std::string("k\0y", 3), kString, text}),
       {"pair 25 is \"k\\x00y\"", "NUL"}},
      {19,
       "duplicate key",
       add({"general.name", kString, text}),
       {"pair 25 is \"general.name\", a duplicate of number 1"}},
      {20, "value type 13", add({"key", 13, text}), {"type of \"key\" is 13", "0 to 12"}},
      {20, "value type -1", add({"key", 0xFFFFFFFF, text}), {"type of \"key\" is 4294967295"}},
      {21, "bool 2", add({"key", kBool, "\x02"}), {"\"key\" is 2", "bool"}},
      {21,
       "bool 2 in an array",
       add({"key", kArray, array(kBool, 2, "\x01\x02")}),
       {"element 1 of \"key\" is 2", "bool"}},
      {22,
       "string past the end",
       OnePair({"key", kString, LittleEndian<uint64_t>(100) + "abc"}),
       {"\"key\" needs 100 bytes"}},
      {23,
       "element type 13",
       add({"key", kArray, array(13, 1, "x")}),
       {"element type of \"key\" is 13", "0 to 12"}},
      {24,
       "array of arrays",
       add({"key", kArray, array(kArray, 1, array(kU32, 0))}),
       {"\"key\" is an array of arrays"}},
      {25,
       "count x size wraps",
       add({"key", kArray, array(kU32, 1ull << 62)}),
       {"\"key\" has 4611686018427387904 elements", "16777216"}},
      {26,
       "count past the end",
       OnePair({"key", kArray, array(kU32, 1000)}),
       {"\"key\" has 1000 elements of u32, at least 4000 bytes"}},
      {26,
       "strings past the end",
       OnePair({"key", kArray, array(kString, 2, text)}),
       {"\"key\" has 2 elements of string"}},
      {27, "end within a value", OnePair({"key", kU64, "abc"}), {"\"key\" needs 8 bytes"}},
      {27,
       "end within an array's string",
       OnePair({"key", kArray, array(kString, 1, LittleEndian<uint64_t>(9) + "abc")}),
       {"element 0 of \"key\" needs 9 bytes"}},
      {28,
       "context_length as string",
       Edited([](GgufBuilder& b) { b.SetString("llama.context_length", "64"); }),
       {"\"llama.context_length\" is of type string", "an integer"}},
      {28,
       "tokens as numbers",
       Edited([](GgufBuilder& b) {
         b.SetNumbers<uint32_t>("tokenizer.ggml.tokens", 4, {1, 2});
       }),
       {"\"tokenizer.ggml.tokens\" is of type array of u32", "array of string"}},
      {29, "alignment 0", SetU32("general.alignment", 0), {"general.alignment is 0"}},
      {30,
       "alignment 24",
       SetU32("general.alignment", 24),
       {"general.alignment is 24", "power of two"}},
      {31,
       "alignment 2^31",
       SetU32("general.alignment", 0x80000000),
       {"general.alignment is 2147483648", "65536"}},
      {32,
       "alignment as u64",
       Edited([](GgufBuilder& b) { b.Set("general.alignment", 10, LittleEndian<uint64_t>(32)); }),
       {"general.alignment is of type u64", "u32"}},
  };
}

std::vector<MalformedCase> TensorCases() {
  const auto dims = [](std::vector<uint64_t> d) {
    return AddTensor({"huge", std::move(d), 0, std::string(32, '\0')});
  };
  return {
      {57,
       "empty name",
       AddTensor({"", {8}, 0, std::string(32, '\0')}),
       {"name of tensor 11 has length 0"}},
      {57,
       "name of 64 bytes",
       AddTensor({std::string(64, 'n'), {8}, 0, std::string(32, '\0')}),
       {"name of tensor 11 has length 64", "63"}},
      {57,
       "name not UTF-8",
       AddTensor({"n\xff", {8}, 0, std::string(32, '\0')}),
       {"name of tensor 11 is \"n\\xff\"", "UTF-8"}},
      {58,
       "duplicate name",
       AddTensor({"output_norm.weight", {8}, 0, std::string(32, '\0')}),
       {"name of tensor 11 is \"output_norm.weight\", a duplicate of number 10"}},
      {59,
       "no dimensions",
       EditTensor("output_norm.weight", [](auto& t) { t.n_dims = 0; }),
       {"n_dims of tensor \"output_norm.weight\" is 0", "1 to 4"}},
      {59,
       "5 dimensions",
       EditTensor("output_norm.weight", [](auto& t) { t.n_dims = 5; }),
       {"n_dims of tensor \"output_norm.weight\" is 5", "1 to 4"}},
      {60, "dimension 0", dims({8, 0}), {"dimension 1 of tensor \"huge\" is 0", "at least 1"}},
      {61,
       "dimension -5",
       dims({static_cast<uint64_t>(-5)}),
       {"dimension 0 of tensor \"huge\" is -5", "at least 1"}},
      {62,
       "elements wrap int64",
       dims({1ull << 32, 1ull << 31}),
       {"tensor \"huge\"", "[4294967296, 2147483648]", "2^63 - 1"}},
      {63,
       "bytes wrap size_t",
       dims({1ull << 62}),
       {"tensor \"huge\"", "[4611686018427387904] of F32", "2^64 - 1"}},
      {64,
       "padded bytes wrap to 0",
       dims({4, (1 << 30) - 1, (1 << 30) + 1, 1}),
       {"tensor \"huge\" has 18446744073709551600 bytes"}},
      {65,
       "sum of bytes wraps",
       Edited([](GgufBuilder& b) {
         b.tensors.push_back({"half", {1ull << 61}, 0, std::string(32, '\0')});
         b.tensors.push_back({"other", {1ull << 61}, 0, std::string(32, '\0')});
       }),
       {"tensor \"half\" has 9223372036854775808 bytes"}},
      {66,
       "removed type",
       EditTensor("output_norm.weight", [](auto& t) { t.type = kQ4Removed; }),
       {"type of tensor \"output_norm.weight\" is 4", "removed"}},
      {66,
       "unknown type",
       EditTensor("output_norm.weight", [](auto& t) { t.type = 1000; }),
       {"type of tensor \"output_norm.weight\" is 1000", "does not define"}},
      {67,
       "row no multiple of the block",
       AddTensor({"odd", {33}, kQ8, std::string(64, '\0')}),
       {"dimension 0 of tensor \"odd\" is 33", "Q8_0 needs a multiple of 32"}},
      {68,
       "end within the table",
       [](const TempFile& file) {
         const std::string tables = TinyModelBuilder(MalformedBase()).BuildTables();
         WriteText(file, tables.substr(0, tables.size() - 3));
       },
       {"offset of tensor \"output_norm.weight\" needs 8 bytes"}},
      {69,
       "missing tensor",
       Edited([](GgufBuilder& b) { b.RemoveTensor("blk.0.ffn_up.weight"); }),
       {"tensor blk.0.ffn_up.weight is missing"}},
      {70,
       "another shape",
       EditTensor("blk.0.attn_k.weight", [](auto& t) { std::swap(t.dims[0], t.dims[1]); }),
       {"tensor blk.0.attn_k.weight has dimensions [16, 32]", "[32, 16]"}},
      {71,
       "matrix of another type",
       EditTensor("blk.0.attn_q.weight",
                  [](auto& t) {
                    t.type = kF64;
                    t.data += t.data;
                  }),
       {"tensor blk.0.attn_q.weight is of type F64", "Q8_0"}},
      {71,
       "norm of another type",
       EditTensor("output_norm.weight",
                  [](auto& t) {
                    t.type = kF16;
                    t.data.resize(t.data.size() / 2);
                  }),
       {"tensor output_norm.weight is of type F16", "F32"}},
  };
}

std::vector<MalformedCase> DataCases() {
  const auto cut = [](size_t missing) {
    return [=](const TempFile& file) {
      std::vector<uint8_t> bytes = TinyModelBuilder(MalformedBase()).Build();
      bytes.resize(bytes.size() - missing);
      file.Write(bytes);
    };
  };
  const auto last = "output_norm.weight";  // of 128 bytes, so no padding follows it
  const auto offset = [last](uint64_t value) {
    return EditTensor(last, [=](auto& t) { t.offset = value; });
  };
  const auto put = [](const char* name, size_t at, const std::string& bytes) {
    return EditTensor(name, [=](auto& t) { t.data.replace(at, bytes.size(), bytes); });
  };
  return {
      {72, "offset misaligned", offset(4), {"offset of tensor \"output_norm.weight\" is 4", "32"}},
      {73,
       "offset past the end",
       offset(1ull << 40),
       {"tensor \"output_norm.weight\" has 128 bytes at offset 1099511627776"}},
      {73,
       "offset at the top",
       offset(kMax64 - 31),
       {"tensor \"output_norm.weight\" has 128 bytes at offset 18446744073709551584"}},
      {74, "offset + size past the end", cut(32), {"tensor \"output_norm.weight\" has 128 bytes"}},
      {75,
       "overlap",
       offset(32),
       {"tensors \"token_embd.weight\" and \"output_norm.weight\"", "overlap"}},
      // Decided: gaps load, as the specification only asks for aligned offsets.
      {76,
       "gap",
       EditTensor("token_embd.weight", [](auto& t) { t.data += std::string(64, '\7'); }),
       {}},
      {77, "a byte short", cut(1), {"tensor \"output_norm.weight\" has 128 bytes", "cut short"}},
      // Decided: trailing bytes load, with a warning.
      {78, "trailing bytes", Edited([](GgufBuilder& b) { b.trailer = std::string(99, 'x'); }), {}},
      {79,
       "NaN in a norm",
       put("output_norm.weight", 0, LittleEndian(kNan)),
       {"tensor output_norm.weight holds NaN or infinity"}},
      {79,
       "infinity in the embeddings",
       put("token_embd.weight", 400, LittleEndian(-kInfinity)),
       {"tensor token_embd.weight holds NaN or infinity"}},
      {79,
       "infinite block scale",
       [](const TempFile& file) {
         TinyModelOptions options = MalformedBase();
         options.type = WeightType::kQ8_0;
         GgufBuilder b = TinyModelBuilder(options);
         b.GetTensor("blk.0.ffn_down.weight").data.replace(34, 2, "\x00\x7c", 2);
         file.Write(b.Build());
       },
       {"tensor blk.0.ffn_down.weight holds NaN or infinity"}},
      {80,
       "split file",
       Edited([](GgufBuilder& b) { b.Set("split.count", 2, LittleEndian<uint16_t>(3)); }),
       {"split.count is 3", "join"}},
      {81,
       "data start past the end",
       [](const TempFile& file) {
         GgufBuilder b = TinyModelBuilder(MalformedBase());
         b.SetU32("general.alignment", 65536);
         WriteText(file, b.BuildTables());
       },
       {"the tensor data start at offset 65536"}},
  };
}

}  // namespace lockstep
