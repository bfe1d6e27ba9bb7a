#include "core/kernels/packed_matrix.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/dequantize.h"
#include "tests/support/random.h"
#include "tests/support/random_tensor.h"

namespace lockstep {
namespace {

TEST(PackedMatrixTest, EveryElementIsFoundAgainAndPaddingIsZero) {
  Random random(7);
  constexpr size_t kRows = 37;
  for (size_t t = 0; t < kWeightTypes; ++t) {
    const auto type = static_cast<WeightType>(t);
    const size_t cols = IsQuantized(type) ? 3 * FileBlock(type) : 97;
    const auto file = RandomTensorBytes(random, type, kRows * cols, 0.3);
    const std::vector<double> values = Dequantize(FormatOf(type).file.id, file, kRows * cols);
    PackedMatrix w = MakePackedMatrix(type, kRows, cols);
    for (size_t p = 0; p < w.panel_count(); ++p) EXPECT_TRUE(PackPanel(file.data(), p, w));
    std::vector<float> row(cols);
    for (size_t r = 0; r < kRows; ++r) {
      DecodeRow(w, r, row.data());
      for (size_t k = 0; k < cols; ++k) {
        ASSERT_EQ(row[k], static_cast<float>(values[r * cols + k])) << Name(type) << r << "," << k;
      }
    }
    EXPECT_EQ(w.panel_count(), 3u);
    // Rows 37 to 47: a code of zero may stand for -8, but its scale is zero.
    w.rows = 48;
    for (size_t r = kRows; r < 48; ++r) {
      DecodeRow(w, r, row.data());
      for (float v : row) ASSERT_EQ(v, 0.0f);
    }
  }
}

TEST(PackedMatrixTest, NonFiniteValuesAreReported) {
  for (size_t t = 0; t < kWeightTypes; ++t) {
    const auto type = static_cast<WeightType>(t);
    const size_t cols = 2 * FileBlock(type), block = FileRowBytes(type, FileBlock(type));
    for (const size_t half : HalfOffsets(type)) {
      std::vector<uint8_t> file(FileRowBytes(type, cols), 0);
      PackedMatrix w = MakePackedMatrix(type, 1, cols);
      EXPECT_TRUE(PackPanel(file.data(), 0, w));
      // The last bytes of the second element, or those of a half of the second block.
      const size_t at = IsQuantized(type) ? block + half : 2 * block - 2;
      file[at] = 0xff;
      file[at + 1] = 0x7f;
      EXPECT_FALSE(PackPanel(file.data(), 0, w)) << Name(type) << " " << half;
    }
  }
}

}  // namespace
}  // namespace lockstep
