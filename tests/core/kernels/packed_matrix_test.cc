#include "core/kernels/packed_matrix.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/kernels/half.h"
#include "tests/support/dequantize.h"
#include "tests/support/random.h"
#include "tests/support/random_tensor.h"

namespace lockstep {
namespace {

TEST(HalfTest, EveryHalfSurvivesTheWayToFloatAndBack) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const auto half = static_cast<uint16_t>(h);
    const float value = HalfToFloat(half);
    if ((h & 0x7fff) > 0x7c00) {
      EXPECT_TRUE(std::isnan(value));
    } else {
      EXPECT_EQ(FloatToHalf(value), half) << value;
    }
  }
  EXPECT_EQ(HalfToFloat(0x3c00), 1.0f);
  EXPECT_EQ(HalfToFloat(0x0001), std::ldexp(1.0f, -24));
  EXPECT_EQ(HalfToFloat(0xfbff), -65504.0f);
}

TEST(HalfTest, RoundsToNearestEven) {
  EXPECT_EQ(FloatToHalf(1.0f + 1.0f / 2048), 0x3c00);    // half way: to even
  EXPECT_EQ(FloatToHalf(1.0f + 3.0f / 2048), 0x3c02);    // half way: to even
  EXPECT_EQ(FloatToHalf(1.0f + 1.001f / 2048), 0x3c01);  // above half way
  EXPECT_EQ(FloatToHalf(65519.0f), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520.0f), 0x7c00);               // rounds to infinity
  EXPECT_EQ(FloatToHalf(std::ldexp(1.0f, -25)), 0x0000);  // half of the smallest: to even
  EXPECT_EQ(FloatToHalf(std::ldexp(1.001f, -25)), 0x0001);
  EXPECT_EQ(FloatToHalf(std::ldexp(1.5f, -24)), 0x0002);  // denormal, half way: to even
}

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
