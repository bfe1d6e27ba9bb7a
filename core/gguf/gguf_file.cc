// Layout of a GGUF file, versions 2 and 3, all numbers little-endian (ggml's docs/gguf.md):
//
//   file    := "GGUF" version:u32 n_tensors:u64 n_pairs:u64 pair* tensor* padding data
//   pair    := key:string type:u32 value            type 0..12, see GgufType
//   string  := length:u64 byte*length
//   value   := a number of 1, 2, 4 or 8 bytes | bool:u8 | string | array
//   array   := type:u32 count:u64 value*count       of one type, not of arrays
//   tensor  := name:string n_dims:u32 dim:u64*n_dims type:u32 offset:u64
//   padding := zero bytes up to a multiple of general.alignment (32 if absent)
//   data    := the tensors' rows, each at data + offset; offsets are multiples of the alignment

#include "core/gguf/gguf_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <utility>

#include "core/base/quoted.h"
#include "core/base/utf8.h"
#include "core/gguf/gguf_reader.h"

namespace lockstep {
namespace {

using enum GgufType;

// Limits that keep a hostile file from asking for much memory or time. Published files stay far
// below: they have some dozens of pairs, some thousands of tensors, and arrays of fewer than a
// million elements, one or two for each token of a vocabulary.
constexpr uint64_t kMaxPairs = 65536;
constexpr uint64_t kMaxTensors = 65536;
constexpr uint64_t kMaxArray = 16 << 20;  // elements
constexpr size_t kMaxString = 16 << 20;   // bytes
constexpr size_t kMaxKey = 65535;         // as the specification says
constexpr size_t kMaxTensorName = 63;     // ggml keeps one of its 64 bytes for the terminator
constexpr uint32_t kMaxDims = 4;
constexpr uint64_t kMaxAlignment = 65536;
// The least that a record can take, from which follows how many the rest of a file can hold.
constexpr size_t kMinPairBytes = 8 + 1 + 4 + 1;            // one-byte key and value
constexpr size_t kMinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;  // one-byte name, one dimension

// What else a file that is not GGUF may be, for the message.
const char* GuessFormat(std::span<const uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                              std::min<size_t>(bytes.size(), 16));
  const auto starts = [&](std::string_view s) { return text.substr(0, s.size()) == s; };
  // The magics of GGUF's forerunners, "ggml", "ggjt", "ggmf" and "ggla", are numbers of 32 bits,
  // which a little-endian file holds from back to front.
  if (starts("lmgg") || starts("tjgg") || starts("fmgg") || starts("algg"))
    return "this is an older GGML or GGJT file: convert it to GGUF";
  if (starts("PK\x03\x04")) return "this is a zip archive, perhaps a PyTorch checkpoint";
  if (starts("<!") || starts("<h") || starts("<H"))
    return "this is an HTML page, perhaps the error page of a download";
  if (starts("version https://")) return "this is a git-lfs pointer: run `git lfs pull`";
  if (starts("FUGG")) return "the bytes are swapped: lockstep reads little-endian files";
  // A safetensors file begins with the length of its header in 8 bytes, and the header is JSON.
  if (text.size() > 8 && text[8] == '{') return "this is a safetensors file: convert it to GGUF";
  return "this is not a GGUF file";
}

// The next multiple of `alignment`, a power of two. REQUIRES: no overflow, as for file offsets.
uint64_t PadUp(uint64_t offset, uint64_t alignment) {
  return (offset + alignment - 1) & ~(alignment - 1);
}

// A number in the one type that GgufValue has for its kind, whatever its width.
template <class T>
GgufValue Widened(T value) {
  if constexpr (std::is_floating_point_v<T>) return static_cast<double>(value);
  if constexpr (std::is_unsigned_v<T>) return static_cast<uint64_t>(value);
  return static_cast<int64_t>(value);
}

std::string Shape(const std::vector<uint64_t>& dims) {
  return fmt::format("[{}]", fmt::join(dims, ", "));
}

}  // namespace

class GgufFile::Parser {
 public:
  explicit Parser(GgufFile& file) : file_(file), reader_(file.bytes_, file.name_) {}

  [[nodiscard]] Status Run() {
    // The sections follow each other in the file, and each needs what those before it have read:
    // the alignment is a pair, and where the data begin is known after the last tensor's record.
    TRY_OK(Header());
    for (size_t i = 0; i < n_pairs_; ++i) TRY_OK(Pair(i));
    TRY_OK(Alignment());
    for (size_t i = 0; i < n_tensors_; ++i) TRY_OK(Tensor(i));
    TRY_OK(PlaceData());
    return CheckOverlap();
  }

 private:
  using Index = std::unordered_map<std::string_view, size_t>;

  Status Header();
  Result<uint64_t> Count(const char* field, uint64_t limit, size_t record_bytes);
  Result<std::string_view> UniqueName(const char* what, size_t i, size_t limit, Index& index);
  Status Pair(size_t i);
  Result<GgufValue> Value(uint32_t type, std::string_view key);
  Result<GgufValue> Array(std::string_view key);
  Status Alignment();
  Status Tensor(size_t i);
  Status TensorSize(const GgufTensor& tensor);
  Status PlaceData();
  Status CheckOverlap();

  GgufFile& file_;
  GgufReader reader_;
  uint64_t n_tensors_ = 0, n_pairs_ = 0, alignment_ = 32;
  // What a tensor's shape and type take, from TensorSize to PlaceData, which cuts the bytes out.
  std::vector<uint64_t> tensor_bytes_;  // of each tensor
};

Status GgufFile::Parser::Header() {
  const std::span<const uint8_t> bytes = file_.bytes_;
  if (bytes.empty()) return reader_.Fail("the file is empty");
  TRY(const auto magic, reader_.Bytes(4, [] { return "magic"; }));
  const std::string_view text(reinterpret_cast<const char*>(magic.data()), 4);
  if (text != "GGUF") {
    return reader_.Fail("magic is {}, not \"GGUF\": {}", Quoted(text), GuessFormat(bytes));
  }
  TRY(const auto version, reader_.Number<uint32_t>([] { return "version"; }));
  file_.version_ = version;
  // The version of a big-endian file, such as 3, reads as 0x03000000 here.
  if (version != 0 && (version & 0xFFFF) == 0) {
    return reader_.Fail(
        "version is {:#x}: the file is big-endian, but lockstep reads little-endian files",
        version);
  }
  // In version 1, lengths and counts had 32 bits. Versions 2 and 3 have one layout: 3 only added
  // big-endian files.
  if (version != 2 && version != 3) {
    return reader_.Fail("version is {}, but lockstep reads 2 and 3: convert the model again",
                        version);
  }
  TRY(n_tensors_, Count("n_tensors", kMaxTensors, kMinTensorBytes));
  TRY(n_pairs_, Count("n_kv", kMaxPairs, kMinPairBytes));
  file_.pairs_.reserve(n_pairs_);
  file_.tensors_.reserve(n_tensors_);
  tensor_bytes_.reserve(n_tensors_);
  return {};
}

// Reads a count of records of at least record_bytes each. One that the rest of the file cannot hold
// is refused before anything is allocated for it.
Result<uint64_t> GgufFile::Parser::Count(const char* field, uint64_t limit, size_t record_bytes) {
  TRY(const auto value, reader_.Number<uint64_t>([&] { return field; }));
  if (value > limit) {
    return reader_.Fail("{} is {}, but the limit is {}", field, value, limit);
  }
  if (value > reader_.remaining() / record_bytes) {
    return reader_.Fail("{} is {}, but {} bytes hold {} at most; {}", field, value,
                        reader_.remaining(), reader_.remaining() / record_bytes, kMayBeCut);
  }
  return value;
}

// The name of record i, entered into `index`.
Result<std::string_view> GgufFile::Parser::UniqueName(const char* what, size_t i, size_t limit,
                                                      Index& index) {
  const auto where = [&] { return fmt::format("{} {}", what, i); };
  TRY(auto name, reader_.String(limit, where));
  if (name.empty()) return reader_.Fail("{} has length 0", where());
  if (!IsUtf8(name) || name.find('\0') != name.npos) {
    return reader_.Fail("{} is {}, not UTF-8 without NUL", where(), Quoted(name));
  }
  if (const auto [at, added] = index.emplace(name, i); !added) {
    return reader_.Fail("{} is {}, a duplicate of number {}", where(), Quoted(name), at->second);
  }
  return name;
}

Status GgufFile::Parser::Pair(size_t i) {
  TRY(const auto key, UniqueName("key of metadata pair", i, kMaxKey, file_.pair_index_));
  TRY(const auto type, reader_.Number<uint32_t>([&] { return "type of " + Quoted(key); }));
  if (type >= kGgufTypes) {
    return reader_.Fail("type of {} is {}, but value types are 0 to {}", Quoted(key), type,
                        kGgufTypes - 1);
  }
  TRY(auto value, Value(type, key));
  file_.pairs_.push_back({key, type, std::move(value)});
  return {};
}

// REQUIRES: type < kGgufTypes.
Result<GgufValue> GgufFile::Parser::Value(uint32_t type, std::string_view key) {
  const auto where = [&] { return Quoted(key); };
  if (type == Id(kArray)) return Array(key);
  if (type == Id(kString)) {
    TRY(const auto text, reader_.String(kMaxString, where));
    return GgufValue(text);
  }
  return ForNumberType(static_cast<GgufType>(type), [&]<class T>() -> Result<GgufValue> {
    TRY(const T value, reader_.Number<T>(where));
    if (type != Id(kBool)) return Widened(value);
    if (value > 1) return reader_.Fail("{} is {}, but a bool is 0 or 1", where(), value);
    return GgufValue(value == 1);
  });
}

Result<GgufValue> GgufFile::Parser::Array(std::string_view key) {
  TRY(const auto type, reader_.Number<uint32_t>([&] { return "element type of " + Quoted(key); }));
  // The format allows them and no known key has one; nesting would let a file set the depth of a
  // recursion.
  if (type == Id(kArray)) {
    return reader_.Fail("{} is an array of arrays, which is not supported", Quoted(key));
  }
  if (type >= kGgufTypes) {
    return reader_.Fail("element type of {} is {}, but value types are 0 to {}", Quoted(key), type,
                        kGgufTypes - 1);
  }
  TRY(const auto count, reader_.Number<uint64_t>([&] { return "count of " + Quoted(key); }));
  if (count > kMaxArray) {
    return reader_.Fail("{} has {} elements, but the limit is {}", Quoted(key), count, kMaxArray);
  }

  GgufArray array{type, count, {}, {}};
  // Every element takes room in the file, so a small file cannot ask for much memory.
  const size_t min_bytes = count * (type == Id(kString) ? 8 : GgufTypeBytes(type));
  if (min_bytes > reader_.remaining()) {
    return reader_.Fail("{} has {} elements of {}, at least {} bytes, but {} are left; {}",
                        Quoted(key), count, GgufTypeName(type), min_bytes, reader_.remaining(),
                        kMayBeCut);
  }
  if (type != Id(kString)) {
    TRY(const auto data, reader_.Bytes(min_bytes, [&] { return Quoted(key); }));
    const auto wrong = std::find_if(data.begin(), data.end(), [](uint8_t b) { return b > 1; });
    if (type == Id(kBool) && wrong != data.end()) {
      return reader_.Fail("element {} of {} is {}, but a bool is 0 or 1", wrong - data.begin(),
                          Quoted(key), *wrong);
    }
    array.data = data;
    return GgufValue(std::move(array));
  }
  array.strings.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    TRY(array.strings.emplace_back(), reader_.String(kMaxString, [&] {
      return fmt::format("element {} of {}", i, Quoted(key));
    }));
  }
  return GgufValue(std::move(array));
}

Status GgufFile::Parser::Alignment() {
  const GgufPair* pair = file_.Find("general.alignment");
  if (pair == nullptr) return {};
  if (pair->type != Id(kU32)) {
    return reader_.Fail("general.alignment is of type {}, but must be u32",
                        GgufTypeName(pair->type));
  }
  alignment_ = std::get<uint64_t>(pair->value);
  // The format asks for a multiple of 8; a power of two is what ggml needs, too.
  if (alignment_ < 8 || alignment_ > kMaxAlignment || (alignment_ & (alignment_ - 1)) != 0) {
    return reader_.Fail("general.alignment is {}, but must be a power of two from 8 to {}",
                        alignment_, kMaxAlignment);
  }
  return {};
}

Status GgufFile::Parser::Tensor(size_t i) {
  TRY(const auto name, UniqueName("name of tensor", i, kMaxTensorName, file_.tensor_index_));
  const auto field = [&](const char* what) {
    return [what, &name] { return fmt::format("{} of tensor {}", what, Quoted(name)); };
  };
  TRY(const auto n_dims, reader_.Number<uint32_t>(field("n_dims")));
  if (n_dims < 1 || n_dims > kMaxDims) {
    return reader_.Fail("{} is {}, but must be 1 to {}", field("n_dims")(), n_dims, kMaxDims);
  }
  GgufTensor tensor{name, nullptr, {}, 0, {}};
  for (uint32_t d = 0; d < n_dims; ++d) {
    TRY(tensor.dims.emplace_back(), reader_.Number<uint64_t>(field("dimension")));
  }
  TRY(const auto type, reader_.Number<uint32_t>(field("type")));
  tensor.type = FindElementType(type);
  if (tensor.type == nullptr) {
    return reader_.Fail("{} is {}, which ggml does not define or has removed", field("type")(),
                        type);
  }
  TRY(tensor.offset, reader_.Number<uint64_t>(field("offset")));  // relative, until PlaceData
  TRY_OK(TensorSize(tensor));
  file_.tensors_.push_back(std::move(tensor));
  return {};
}

// Checks the dimensions and notes the size in bytes.
Status GgufFile::Parser::TensorSize(const GgufTensor& tensor) {
  const std::string who = "tensor " + Quoted(tensor.name);
  // ggml keeps dimensions and their product in int64_t, so what it could not hold is refused.
  int64_t elements = 1;
  for (size_t d = 0; d < tensor.dims.size(); ++d) {
    const int64_t dim = static_cast<int64_t>(tensor.dims[d]);
    if (dim < 1) {
      return reader_.Fail("dimension {} of {} is {}, but must be at least 1", d, who, dim);
    }
    if (__builtin_mul_overflow(elements, dim, &elements)) {
      return reader_.Fail("the elements of {}, dimensions {}, are more than 2^63 - 1", who,
                          Shape(tensor.dims));
    }
  }
  const ElementType& type = *tensor.type;
  if (tensor.dims[0] % type.block_elements != 0) {
    return reader_.Fail("dimension 0 of {} is {}, but {} needs a multiple of {}", who,
                        tensor.dims[0], type.name, type.block_elements);
  }
  uint64_t size = static_cast<uint64_t>(elements) / type.block_elements;
  if (__builtin_mul_overflow(size, uint64_t{type.block_bytes}, &size)) {
    return reader_.Fail("the bytes of {}, dimensions {} of {}, are more than 2^64 - 1", who,
                        Shape(tensor.dims), type.name);
  }
  tensor_bytes_.push_back(size);
  return {};
}

// Turns offsets into views, once it is known that every tensor lies within the file.
Status GgufFile::Parser::PlaceData() {
  const uint64_t file_size = file_.bytes_.size();
  const uint64_t start = PadUp(reader_.position(), alignment_);
  uint64_t end = start;
  if (n_tensors_ > 0 && start > file_size) {
    return reader_.Fail("the tensor data start at offset {}, but the file has {} bytes in all; {}",
                        start, file_size, kMayBeCut);
  }
  for (size_t i = 0; i < file_.tensors_.size(); ++i) {
    GgufTensor& tensor = file_.tensors_[i];
    const uint64_t size = tensor_bytes_[i], available = file_size - start;
    if (tensor.offset % alignment_ != 0) {
      return reader_.Fail("offset of tensor {} is {}, not a multiple of the alignment {}",
                          Quoted(tensor.name), tensor.offset, alignment_);
    }
    // Written without a sum, which could overflow: the offset and the size are the file's words.
    if (tensor.offset > available || size > available - tensor.offset) {
      return reader_.Fail(
          "tensor {} has {} bytes at offset {}, but the file has {} bytes of data; {}",
          Quoted(tensor.name), size, tensor.offset, available, kMayBeCut);
    }
    tensor.offset += start;
    tensor.data = file_.bytes_.subspan(tensor.offset, size);
    end = std::max(end, tensor.offset + size);
  }
  if (file_size > PadUp(end, alignment_)) {
    file_.warnings_.push_back(fmt::format("{}: {} bytes follow the end of the data at offset {}",
                                          file_.name_, file_size - end, end));
  }
  return {};
}

// Gaps between tensors are harmless and the specification allows them; sharing bytes is not.
Status GgufFile::Parser::CheckOverlap() {
  std::vector<const GgufTensor*> order;
  for (const GgufTensor& tensor : file_.tensors_) order.push_back(&tensor);
  // Two of them overlap only if two neighbours in the order of their offsets do.
  std::sort(order.begin(), order.end(),
            [](const GgufTensor* a, const GgufTensor* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const GgufTensor &a = *order[i - 1], &b = *order[i];
    if (a.offset + a.data.size() > b.offset) {
      return reader_.Fail("tensors {} and {} overlap: offset {} + {} bytes > offset {}",
                          Quoted(a.name), Quoted(b.name), a.offset, a.data.size(), b.offset);
    }
  }
  return {};
}

Result<GgufFile> GgufFile::Parse(std::span<const uint8_t> bytes, std::string name) {
  GgufFile file;
  file.name_ = std::move(name);
  file.bytes_ = bytes;
  file.size_ = bytes.size();
  TRY_OK(Parser(file).Run());
  return file;
}

}  // namespace lockstep
