// The order of rows in which attention's kernels want queries and keys, where files have another.
#pragma once

#include <cstddef>
#include <vector>

#include "core/transformer/config_types.h"
#include "core/transformer/tensor_reader.h"

namespace lockstep {

// The order of heads' rows in which the values that rotate together are side by side; empty where
// files have it already. A head has `head_rows` rows in the file, of which the first are meant.
RowOrder SideBySide(const Architecture& family, const LayerConfig& layer, size_t heads,
                    size_t head_rows);

// The rows of the gates of attention, each head's after those of its query.
RowOrder GateRows(const LayerConfig& layer);

// Puts values that belong to rows into the order; those that have no place in it are dropped.
void Reorder(const RowOrder& order, std::vector<float>& values);

}  // namespace lockstep
