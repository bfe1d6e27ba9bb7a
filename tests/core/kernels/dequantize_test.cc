// Checks what other tests measure against, by values worked out by hand from the formats.
#include "tests/support/dequantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <iterator>
#include <utility>
#include <vector>

#include "core/gguf/element_type.h"
#include "tests/support/random.h"
#include "tests/support/random_tensor.h"

namespace lockstep {
namespace {

struct Case {
  uint32_t type;
  std::vector<std::pair<size_t, std::vector<uint8_t>>> bytes;  // at offset; the others are 0
  std::vector<std::pair<size_t, double>> values;               // at index
};

// Halves: 0.25 is 34 00, 0.5 is 38 00, 1 is 3c 00, 2 is 40 00, -1 is bc 00, in reverse.
const Case kCases[] = {
    {0, {{0, {0x00, 0x00, 0xC0, 0xBF}}}, {{0, -1.5}}},
    {1, {{0, {0x00, 0xC1}}}, {{0, -2.5}}},
    {1, {{0, {0x01, 0x00}}}, {{0, 0x1p-24}}},
    {30, {{0, {0xC0, 0x3F}}}, {{0, 1.5}}},
    {2,
     {{0, {0x00, 0x38}}, {2, {0x1F}}},
     {{0, (15 - 8) * 0.5}, {16, (1 - 8) * 0.5}, {1, -4}, {31, -4}}},
    {3,
     {{0, {0x00, 0x38, 0x00, 0xBC}}, {7, {0x2B}}},
     {{3, 11 * 0.5 - 1}, {19, 2 * 0.5 - 1}, {0, -1}}},
    {6,
     {{0, {0x00, 0x40}}, {2, {0x20, 0, 0, 0x20}}, {11, {0x73}}, {19, {0xA0}}},
     {{5, (16 + 3 - 16) * 2},
      {21, (7 - 16) * 2},
      {13, -16 * 2},
      {29, (16 + 10 - 16) * 2},
      {0, -32}}},
    {7,
     {{0, {0x00, 0x3C, 0x00, 0x34}}, {4, {0x20, 0, 0, 0x20}}, {13, {0x73}}, {21, {0xA0}}},
     {{5, 19.25}, {21, 7.25}, {13, 0.25}, {29, 26.25}}},
    {8, {{0, {0x00, 0x34}}, {2, {0x80}}, {33, {0x7F}}}, {{0, -32}, {31, 31.75}, {1, 0}}},
    {39,
     {{0, {128}}, {1, {0xF1, 0x72}}, {16, {0x9A}}},
     {{0, 1}, {16, -12}, {1, 2}, {17, 12}, {15, -2}, {31, -1}, {2, 0}}},
    // Two sub-blocks: 1 (exponent 7), and 2^-9 from the mantissa alone.
    {40,
     {{0, {0x38, 0x01, 0x7F}}, {4, {0xF1}}, {12, {0x07}}, {20, {0x77}}},
     {{0, 0.5}, {8, -6}, {16, 6 * 0x1p-9}, {24, 0}, {32, 0}, {40, 0}}},
    {41,
     {{0, {0x00, 0x38}}, {2, {0x05}}, {17, {0x80}}},
     {{0, 0.5}, {1, -0.5}, {2, 0.5}, {127, 0.5}}},
    {42, {{0, {0x00, 0x38}}, {2, {0xE4}}}, {{0, -0.5}, {1, 0}, {2, 0.5}, {3, 1}, {63, -0.5}}},
    {35,
     {{64, {0x00, 0x40}}, {0, {0x24}}, {63, {0x80}}},
     {{0, -2}, {32, 0}, {64, 2}, {96, -2}, {255, 2}}},
    // 0.111 to the base 3 is 13/27, about 124/256; 0.2 is 171/256.
    {34,
     {{52, {0x00, 0x3C}}, {0, {124}}, {32, {171}}, {48, {171}}},
     {{0, 0}, {32, 0}, {64, 0}, {160, 1}, {176, -1}, {240, 1}, {244, -1}, {1, -1}}},
    // Grids: entry 0 is all of the least, entry 1 has one larger value in front.
    {16,
     {{0, {0x00, 0x3C}}, {2, {1}}, {6, {0x01, 0, 0, 0x10}}},
     {{0, -43 * 0.375}, {1, 3}, {7, -3}, {8, 3}, {32, 1}}},
    {17,
     {{0, {0x00, 0x3C}}, {2, {1, 0x02}}, {66, {0x21}}},
     {{0, -43 * 0.375}, {1, 3}, {7, -3}, {8, 3}, {16, 5}, {32, 1}}},
    {22,
     {{0, {0x00, 0x3C}}, {2, {1, 0xFF}}, {34, {0x02}}, {66, {0x0C}}, {74, {0x21}}},
     {{0, 43 * 0.375}, {1, -3}, {8, 43 * 0.375}, {16, 5}, {32, 1}}},
    {18,
     {{0, {0x00, 0x3C}}, {2, {1, 0xFF}}, {66, {0x01, 0, 0, 0x10}}},
     {{0, -20 * 0.75}, {1, 3}, {4, 3}, {5, 28 * 0.75}, {7, -62 * 0.75}, {32, 1}}},
    {21,
     {{0, {0x00, 0x3C}}, {2, {1, 0xFF}}, {66, {0x02}}, {74, {0x11}}, {106, {0x21}}},
     {{0, -9}, {1, 3}, {4, -3}, {5, 3}, {6, 45}, {7, 45}, {32, 5}}},
    {19,
     {{0, {0x00, 0x3C}}, {2, {1, 0xFF}}, {34, {0x38, 0x90}}},
     {{0, 3 * 0.875}, {1, 3 * -1.125}, {8, 3 * 0.875}, {32, -0.875}}},
    {29,
     {{0, {1}}, {32, {0x80}}, {48, {0x02, 0, 0, 0, 0, 0xC0, 0, 0x30}}},
     {{0, 5 * 1.125}, {1, 5 * -0.875}, {8, 5 * -1.125}, {16, -0.875}}},
    // Q2_K: byte E4 has the codes 0, 1, 2 and 3, of the values 0, 32, 64 and 96.
    {10,
     {{80, {0x00, 0x3C, 0x00, 0x38}},
      {0, {0x23, 0xF0, 0x12, 0, 0x0F, 0, 0xF1}},
      {13, {0x14}},
      {16, {0xE4}},
      {16 + 49, {0x30}}},
     {{0, 3 * 0 - 1},
      {16, 0 - 7.5},
      {32, 2 * 1 - 0.5},
      {64, 15 * 2},
      {96, 1 * 3 - 7.5},
      {128 + 64 + 17, 4 * 3 - 0.5}}},
    // Q3_K: block 0 has the scale 2:1 = 33, block 13 has 3:7 = 55, the others 0.
    {11,
     {{108, {0x00, 0x3C}},
      {0, {0x01}},
      {32, {0x03}},
      {32 + 49, {0x20}},
      {96, {0x01, 0, 0, 0, 0, 0x70, 0, 0, 0x02, 0xC0}}},
     {{0, (33 - 32) * (4 + 3 - 4)},
      {1, (33 - 32) * (0 - 4)},
      {209, (55 - 32) * (2 - 4)},
      {64, -32 * -4}}},
    // Q4_K and Q5_K: block 1 has scale 5 and min 2, block 5 has 3:12 = 60 and 2:3 = 35.
    {12,
     {{0, {0x00, 0x3C, 0x00, 0x38}},
      {4, {0x01, 0xC5, 0, 0, 0, 0x82, 0, 0, 0, 0x3C}},
      {16 + 4, {0x9A}},
      {16 + 71, {0x3F}}},
     {{4, 1 * 10}, {36, 5 * 9 - 1}, {37, -1}, {167, 60 * 3 - 17.5}, {135, 0}}},
    {13,
     {{0, {0x00, 0x3C, 0x00, 0x38}},
      {4, {0x01, 0xC5, 0, 0, 0, 0x82, 0, 0, 0, 0x3C}},
      {16 + 4, {0x02, 0, 0, 0x20}},
      {48 + 4, {0x9A}},
      {48 + 71, {0x3F}}},
     {{4, 1 * 10}, {36, 5 * (16 + 9) - 1}, {37, -1}, {167, 60 * (16 + 3) - 17.5}, {135, 0}}},
    // Q6_K: the high pairs of byte E4 are 0, 1, 2 and 3, of the values 0, 32, 64 and 96.
    {14,
     {{208, {0x00, 0x38}},
      {0, {0x5F}},
      {32, {0x07}},
      {116, {0xB0}},
      {128, {0xE4}},
      {128 + 52, {0x40}},
      {192, {2, 0, 0x80, 0, 4, 0, 1}},
      {207, {127}}},
     {{0, 2 * 0.5 * (15 - 32)},
      {32, -128 * 0.5 * (16 + 7 - 32)},
      {64, 4 * 0.5 * (32 + 5 - 32)},
      {96, 1 * 0.5 * (48 + 0 - 32)},
      {128 + 96 + 20, 127 * 0.5 * (16 + 11 - 32)}}},
    {20, {{0, {0x00, 0x40}}, {4, {0x8F}}}, {{2, 113 * 2}, {18, 1 * 2}, {0, -127 * 2}}},
    // IQ4_XS: block 5 has the scale 3:9 = 57, the others 0.
    {23,
     {{0, {0x00, 0x3C}}, {3, {0x0C}}, {6, {0x90}}, {8 + 82, {0x1F}}},
     {{162, (57 - 32) * 113}, {178, (57 - 32) * -104}, {0, -32 * -127}}},
};

TEST(DequantizeTest, GivesTheValuesOfTheFormats) {
  for (const Case& c : kCases) {
    const ElementType& info = *FindElementType(c.type);
    std::vector<uint8_t> block(info.block_bytes);
    for (const auto& [at, bytes] : c.bytes) {
      std::copy(bytes.begin(), bytes.end(), block.begin() + static_cast<ptrdiff_t>(at));
    }
    const std::vector<double> values = Dequantize(c.type, block, info.block_elements);
    ASSERT_EQ(values.size(), info.block_elements);
    for (const auto& [i, value] : c.values) EXPECT_EQ(values[i], value) << info.name << " " << i;
  }
}

TEST(DequantizeTest, EveryWeightTypeHasACase) {
  for (const WeightFormat& format : kWeightFormats) {
    EXPECT_TRUE(std::any_of(std::begin(kCases), std::end(kCases), [&](const Case& c) {
      return c.type == format.file.id;
    })) << format.name;
  }
}

TEST(DequantizeTest, FindsTheSecondBlock) {
  for (const WeightFormat& format : kWeightFormats) {
    const auto& [id, n, block_bytes] = format.file;
    Random random(id);
    const std::vector<uint8_t> bytes = RandomTensorBytes(random, format.type, 2 * n, 1);
    const std::vector<double> both = Dequantize(id, bytes, 2 * n);
    const std::vector<double> second = Dequantize(id, std::span(bytes).subspan(block_bytes), n);
    EXPECT_EQ(std::vector<double>(both.begin() + static_cast<ptrdiff_t>(n), both.end()), second)
        << format.name;
  }
}

TEST(DequantizeTest, AnUnknownTypeIsNotANumber) {
  const std::vector<uint8_t> bytes(64);
  EXPECT_TRUE(std::isnan(Dequantize(9, bytes, 1)[0]));
}

TEST(RandomTensorTest, HasTheStandardDeviationAskedFor) {
  for (const WeightFormat& format : kWeightFormats) {
    for (const double std : {0.03, 1.0}) {
      Random random(17);
      constexpr size_t kValues = 1 << 17;
      const auto bytes = RandomTensorBytes(random, format.type, kValues, std);
      double sum = 0, squares = 0;
      for (const double v : Dequantize(format.file.id, bytes, kValues)) {
        sum += v;
        squares += v * v;
      }
      EXPECT_NEAR(sum / kValues, 0, 0.05 * std) << format.name;
      EXPECT_NEAR(std::sqrt(squares / kValues), std, 0.05 * std) << format.name;
    }
  }
}

TEST(RandomTensorTest, EveryBitOfCodesScalesAndMinsOccurs) {
  for (const WeightFormat& format : kWeightFormats) {
    const FileFormat& file = format.file;
    if (file.columns == 1) continue;
    Random random(23);
    constexpr size_t kBlocks = 256;
    const auto bytes = RandomTensorBytes(random, format.type, kBlocks * file.columns, 1);
    size_t constant = 0;  // bytes with a bit that is the same in all blocks
    for (size_t at = 0; at < file.bytes; ++at) {
      unsigned ones = 0, zeros = 0;
      for (size_t block = 0; block < kBlocks; ++block) {
        ones |= bytes[block * file.bytes + at];
        zeros |= ~bytes[block * file.bytes + at] & 0xFFu;
      }
      constant += (ones & zeros) != 0xFF;
    }
    // The exponents of the two halves, or of NVFP4's scales.
    EXPECT_LE(constant, format.quant.scale == ScaleForm::kHalves ? 4u : 2u) << format.name;
  }
}

TEST(RandomTensorTest, TheSeedDecides) {
  Random a(5), b(5), c(6);
  const auto first = RandomTensorBytes(a, WeightType::kQ4_K, 256, 1);
  EXPECT_EQ(first, RandomTensorBytes(b, WeightType::kQ4_K, 256, 1));
  EXPECT_NE(first, RandomTensorBytes(c, WeightType::kQ4_K, 256, 1));
}

}  // namespace
}  // namespace lockstep
