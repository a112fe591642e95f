"""Normalisations along a dim: their PyTorch formulas, and the samples."""
import torch
import torch.nn.functional as F

from golden import INF, NAN, TORCH, draw, given, sample, shape_label



def ones_for_none(gamma, size):
    """torch has no second derivative without one."""
    return torch.ones(size, dtype=torch.float64) if gamma is None else gamma


def layer_norm(x, gamma, beta, eps):
    size = x.shape[-1:]
    return F.layer_norm(x, size, ones_for_none(gamma, size), beta, eps)


def batch_norm(x, gamma, beta, mean, var, training, momentum, eps):
    # Copies: the running statistics are updated in place.
    return F.batch_norm(x, mean.clone(), var.clone(), ones_for_none(gamma, x.shape[1:2]), beta, training=training,
                        momentum=momentum, eps=eps)


TORCH.update({
    "softmax": lambda x, dim: torch.softmax(x, dim),
    "log_softmax": lambda x, dim: torch.log_softmax(x, dim),
    "layer_norm": layer_norm,
    "batch_norm": batch_norm,
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


def layer_norm_sample(label, x, gamma=True, beta=True, eps=1e-5, **flags):
    size = x.shape[-1:]
    sample("layer_norm", label, x, draw(size) if gamma else None, draw(size) if beta else None, eps=eps, **flags)


for shape in ([7], [3, 5], [1, 8], [2, 3, 4], [2, 1, 5, 3], [13, 33], [67, 3], [9, 64]):
    layer_norm_sample(shape_label(shape), draw(shape))
layer_norm_sample("3x5_plain", draw([3, 5]), gamma=False, beta=False)
layer_norm_sample("3x5_without_beta", draw([3, 5]), beta=False)
layer_norm_sample("2x3x4_without_gamma", draw([2, 3, 4]), gamma=False)
layer_norm_sample("3x5_eps", draw([3, 5]), eps=0.5)
layer_norm_sample("1x1031", draw([1, 1031]))
layer_norm_sample("of_one_element", draw([4, 1]))
layer_norm_sample("0x5", draw([0, 5]))
layer_norm_sample("far_from_zero", draw([3, 6], 1000.0, 1004.0, dtype="f64"), eps=1e-3, dtypes=("f64",))
layer_norm_sample("constant_row", given([2.0] * 4 + [0.5, 1.0, -1.0, 0.0], [2, 4]), eps=1e-2)
layer_norm_sample("no_gradient", draw([5, 6], diff=False))
layer_norm_sample("nonfinite", given([NAN, 0.0, 1.0, INF, 0.0, 1.0, 0.5, 1.0, 2.0], [3, 3], diff=False), gamma=False,
           beta=False)


def batch_norm_samples(label, x, gamma=True, beta=True, momentum=0.1, eps=1e-5, modes=(True, False), **flags):
    c = x.shape[1:2]
    for training in modes:
        sample("batch_norm", label + ("" if training else "_eval"), x, draw(c) if gamma else None,
               draw(c) if beta else None, draw(c, diff=False), draw(c, 0.25, 2.0, diff=False), training=training,
               momentum=momentum, eps=eps, **flags)


for shape in ([4, 3], [2, 1], [33, 5], [3, 65], [2, 3, 4], [1, 3, 5], [5, 1, 2, 3], [2, 2, 1, 3, 2], [3, 1, 2, 1, 2, 2]):
    batch_norm_samples(shape_label(shape), draw(shape))
batch_norm_samples("4x3_plain", draw([4, 3]), gamma=False, beta=False)
batch_norm_samples("2x3x4_without_beta", draw([2, 3, 4]), beta=False)
batch_norm_samples("2x3x4_without_gamma", draw([2, 3, 4]), gamma=False)
batch_norm_samples("5x2_eps", draw([5, 2]), eps=0.5)
batch_norm_samples("1031x1", draw([1031, 1]), modes=(True,))
batch_norm_samples("3x1x67", draw([3, 1, 67]))
batch_norm_samples("constant_channel", given([2.0, 0.5, 2.0, -1.0, 2.0, 0.0], [3, 2]), eps=1e-2)
batch_norm_samples("no_gradient", draw([5, 6], diff=False))
batch_norm_samples("of_one_value", draw([1, 4]), modes=(False,))
batch_norm_samples("0x3x2", draw([0, 3, 2]))
