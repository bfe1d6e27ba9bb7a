// Rows are reordered when a model is loaded, so that no kernel has to know of families.
#include "core/transformer/row_order.h"

#include <algorithm>
#include <cstdint>

namespace lockstep {

// The order of heads' rows in which the values that rotate together, i and i + rope_dim / 2, are 2i
// and 2i + 1, as the kernels rotate them. Queries and keys alike: their products stay the same but
// for the order of sums. With rope_dim 4 of a head of 6, rows 0 to 5 of a head are the file's rows
// 0 2 1 3 4 5. Files of kAdjacent families have this order already. A head has `head_rows` rows in
// the file, of which the first are meant.
RowOrder SideBySide(const Architecture& family, const LayerConfig& layer, size_t heads,
                    size_t head_rows) {
  RowOrder order;
  const size_t size = layer.head.key;
  const bool halves = family.pairs == RopePairs::kHalves;
  if (!halves && head_rows == size) return order;
  for (size_t i = 0; i < heads * size; ++i) {
    const size_t d = i % size;
    const bool rotates = halves && d < layer.rope_dim;
    const size_t from = rotates ? d / 2 + d % 2 * (layer.rope_dim / 2) : d;
    order.push_back(static_cast<uint32_t>(i / size * head_rows + from));
  }
  return order;
}

RowOrder GateRows(const LayerConfig& layer) {
  RowOrder order;
  const size_t size = layer.head.key;
  for (size_t i = 0; i < layer.q_dim(); ++i) {
    order.push_back(static_cast<uint32_t>((2 * (i / size) + 1) * size + i % size));
  }
  return order;
}

void Reorder(const RowOrder& order, std::vector<float>& values) {
  if (order.empty()) return;
  const std::vector<float> old = values;
  values.resize(std::min(values.size(), order.size()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = old[order[i]];
}

}  // namespace lockstep
