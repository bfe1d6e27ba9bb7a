#include "core/kernels/packed_matrix.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "tests/support/random.h"

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

// The value of element (row, k) as the GGUF block formats define it.
float FileValue(WeightType type, const std::vector<uint8_t>& file, size_t cols, size_t row,
                size_t k) {
  const uint8_t* p = file.data() + row * FileRowBytes(type, cols);
  const auto u16 = [](const uint8_t* at) {
    uint16_t v;
    std::memcpy(&v, at, 2);
    return v;
  };
  switch (type) {
    case WeightType::kF32: {
      float v;
      std::memcpy(&v, p + 4 * k, 4);
      return v;
    }
    case WeightType::kF16:
      return HalfToFloat(u16(p + 2 * k));
    case WeightType::kBF16:
      return BFloat16ToFloat(u16(p + 2 * k));
    case WeightType::kQ8_0:
      p += k / 32 * 34;
      return HalfToFloat(u16(p)) * static_cast<float>(static_cast<int8_t>(p[2 + k % 32]));
    case WeightType::kQ4_0: {
      p += k / 32 * 18;
      const uint8_t byte = p[2 + k % 16];
      return HalfToFloat(u16(p)) * static_cast<float>((k % 32 < 16 ? byte & 15 : byte >> 4) - 8);
    }
  }
  return 0;
}

TEST(PackedMatrixTest, EveryElementIsFoundAgainAndPaddingIsZero) {
  Random random(7);
  constexpr size_t kRows = 37, kCols = 96;
  for (size_t t = 0; t < kWeightTypes; ++t) {
    const auto type = static_cast<WeightType>(t);
    std::vector<uint8_t> file(kRows * FileRowBytes(type, kCols));
    for (uint8_t& byte : file) byte = static_cast<uint8_t>(random.Next() & 0xbb);  // all finite
    PackedMatrix w = MakePackedMatrix(type, kRows, kCols);
    for (size_t p = 0; p < w.panel_count(); ++p) EXPECT_TRUE(PackPanel(file.data(), p, w));
    std::vector<float> row(kCols);
    for (size_t r = 0; r < kRows; ++r) {
      DecodeRow(w, r, row.data());
      for (size_t k = 0; k < kCols; ++k) {
        ASSERT_EQ(row[k], FileValue(type, file, kCols, r, k)) << Name(type) << r << "," << k;
      }
    }
    EXPECT_EQ(w.panel_count(), 3u);
    // Rows 37 to 47: a Q4_0 code of zero stands for -8, but its scale is zero.
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
    std::vector<uint8_t> file(FileRowBytes(type, 64), 0);
    PackedMatrix w = MakePackedMatrix(type, 1, 64);
    EXPECT_TRUE(PackPanel(file.data(), 0, w));
    // The high bytes of the second block's scale, or of one element.
    const size_t at = IsQuantised(type)          ? FileRowBytes(type, 32) + 1
                      : type == WeightType::kF32 ? 7
                                                 : 5;
    file[at] = 0x7f;
    file[at - 1] = 0xff;
    EXPECT_FALSE(PackPanel(file.data(), 0, w)) << Name(type);
  }
}

}  // namespace
}  // namespace lockstep
