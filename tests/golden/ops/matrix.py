"""Products: their PyTorch formulas, and the samples."""
import torch
import torch.nn.functional as F

from golden import TORCH, draw, given, sample, shape_label

ACTIVATIONS = {
    "identity": lambda x: x,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "silu": F.silu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.01),
}
TORCH.update({
    "matmul": torch.matmul,
    "linear": lambda x, w, b, activation: ACTIVATIONS[activation](F.linear(x, w, b)),
})


for left, right in (([1, 1], [1, 1]), ([2, 3], [3, 4]), ([5, 7], [7, 3]), ([1, 9], [9, 1]),
                    ([33, 17], [17, 9]),
                    ([2, 3, 4], [2, 4, 5]), ([2, 3, 4], [4, 5]), ([3, 4], [2, 4, 5]),
                    ([2, 1, 3, 4], [5, 4, 2]),
                    ([1, 3, 4], [6, 4, 2]), ([3, 0], [0, 4]), ([0, 3], [3, 4]), ([3, 4], [4, 0]),
                    ([0, 2, 3], [3, 4])):
    sample("matmul", shape_label(left, right), draw(left), draw(right))
sample("matmul", "35x67_67x33", draw([35, 67], step=1 / 8), draw([67, 33], step=1 / 8), second=False)
sample("matmul", "2x1031_1031x3", draw([2, 1031], step=1 / 8), draw([1031, 3], step=1 / 8), second=False)

for activation in ACTIVATIONS:
    for x, n_out, bias in (([1, 1], 1, True), ([1, 1], 1, False), ([4, 3], 5, True), ([4, 3], 5, False),
                           ([2, 3, 7], 4, True), ([2, 3, 7], 4, False), ([17, 9], 33, True)):
        sample("linear", f"{activation}_{shape_label(x)}_to_{n_out}" + ("_bias" if bias else ""),
               draw(x, away=[0]), draw([n_out, x[-1]], -1, 1, away=[0]),
               draw([n_out], -1, 1) if bias else None,
               activation=activation)
    sample("linear", activation + "_empty_batch", draw([0, 3]), draw([2, 3]), draw([2]),
           activation=activation)
for activation in ("relu", "leaky_relu"):
    sample("linear", activation + "_at_zero", given([0.0, 0.0, 1.0, -1.0], [2, 2]), draw([3, 2]),
           given([0.0] * 3),
           activation=activation, kink=True)
sample("linear", "relu_37x65_to_34_bias", draw([37, 65], step=1 / 8), draw([34, 65], -1, 1, step=1 / 8),
       draw([34], -1, 1, step=1 / 4, shift=1 / 128), second=False, activation="relu")
sample("linear", "identity_2x1031_to_2_bias", draw([2, 1031], step=1 / 8), draw([2, 1031], -1, 1, step=1 / 8),
       draw([2], -1, 1), second=False, activation="identity")
