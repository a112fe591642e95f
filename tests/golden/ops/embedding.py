"""embedding: its PyTorch formula, which is an index where the table is no matrix, and the samples."""
import torch.nn.functional as F

from golden import INF, NAN, TORCH, draw, given, index, sample, shape_label


def embedding(table, numbers):
    return F.embedding(numbers.long(), table) if table.dim() == 2 else table[numbers.long()]


TORCH["embedding"] = embedding

for table, numbers in (([5, 3], []), ([5, 3], [4]), ([5, 4], [7]), ([7, 1], [2, 3]), ([3], [6]), ([4, 2, 3], [2, 2]),
                       ([1, 5], [9]), ([10, 33], [37]), ([65, 67], [70]), ([3, 4], [1200]), ([2, 2], [2500]),
                       ([300, 2], [257]), ([6, 2], [2, 1, 1, 2]), ([2, 1, 2, 1, 3], [2, 2]), ([4, 1031], [3]),
                       ([4, 3], [0]), ([0, 3], [0]), ([0, 3], [2, 0]), ([5, 0], [3])):
    rows, second = max(table[0], 1), 0 not in numbers + table  # of nothing, PyTorch has no second derivative
    sample("embedding", shape_label(table, numbers), draw(table), index(numbers, rows), second=second)
    sample("embedding", shape_label(table, numbers) + "_i64", draw(table),
           index(numbers, rows, "i64"), second=second)
sample("embedding", "of_one_row_again_and_again", draw([3, 4]), given([1] * 11 + [2] + [1] * 5, dtype="i32"))
sample("embedding", "nonfinite", given([NAN, 1.0, INF, -INF, 0.0, 2.0], [3, 2], diff=False),
       given([2, 0, 1, 0], dtype="i64"))
