"""Normalisations along a dim: their PyTorch formulas, and the samples."""
import torch

from golden import INF, NAN, TORCH, draw, given, sample, shape_label

TORCH.update({
    "softmax": lambda x, dim: torch.softmax(x, dim),
    "log_softmax": lambda x, dim: torch.log_softmax(x, dim),
})


for op in ("softmax", "log_softmax"):
    for shape, dim in (([7], 0), ([3, 5], 1), ([3, 5], 0), ([2, 3, 4], 1), ([2, 3, 4], -1), ([4, 1], 1),
                       ([0, 5], 1),
                       ([13, 33], -1), ([1, 1031], 1), ([67, 3], 0)):
        label = f"{shape_label(shape)}_dim_{dim}".replace("-", "m")
        sample(op, label, draw(shape), dim=dim)
    sample(op, "large", given([1000.0, 999.0, -1000.0, 1e4, 0.0, -1e4, 88.0, 89.0, 90.0], [3, 3]), dim=1,
           kink=True)
    sample(op, "equal", given([2.0] * 8, [2, 4]), dim=1)
    sample(op, "minus_inf", given([0.5, -INF, 1.0, -INF, 3.0, -INF], [2, 3]), dim=1, kink=True)
    sample(op, "nonfinite", given([NAN, 0.0, 1.0, INF, 0.0, 1.0, -INF, -INF, -INF], [3, 3], diff=False),
           dim=1)
