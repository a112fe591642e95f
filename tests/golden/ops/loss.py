"""Losses: their PyTorch formulas, and the samples."""
import torch.nn.functional as F

from golden import INF, TORCH, draw, given, index, sample, shape_label

TORCH.update({
    "cross_entropy": lambda x, labels, smoothing, ignore_index, reduction: F.cross_entropy(
        x, labels.long(), label_smoothing=smoothing, ignore_index=ignore_index, reduction=reduction),
    "mse_loss": lambda x, y, reduction: F.mse_loss(x, y, reduction=reduction),
})


def cross_entropy(label, logits, labels, smoothing=0.0, ignore_index=-100, reduction="mean", **flags):
    sample("cross_entropy", label, logits, labels, smoothing=smoothing, ignore_index=ignore_index,
           reduction=reduction, **flags)


for reduction_ in ("mean", "sum", "none"):
    cross_entropy(f"4x3_{reduction_}", draw([4, 3]), index([4], 3), reduction=reduction_)
    cross_entropy(f"7x10_smooth_{reduction_}", draw([7, 10]), index([7], 10, "i64"), 0.125,
                  reduction=reduction_)
    cross_entropy(f"6x4_ignore_{reduction_}", draw([6, 4]), given([0, -100, 3, 2, -100, 1], dtype="i32"),
                  reduction=reduction_)
    cross_entropy(f"6x4_ignore_a_class_smooth_{reduction_}", draw([6, 4]),
                  given([0, 2, 3, 2, 1, 1], dtype="i64"), 0.25,
                  ignore_index=2, reduction=reduction_)
    cross_entropy(f"large_{reduction_}", given([1000.0, 0.0, -1000.0, 1e4, 9999.0, 0.0], [2, 3]),
                  given([1, 0], dtype="i32"), reduction=reduction_, kink=True)
cross_entropy("1x2", draw([1, 2]), index([1], 2))
cross_entropy("5x1", draw([5, 1]), index([5], 1))
cross_entropy("33x10", draw([33, 10]), index([33], 10))
cross_entropy("2x1031", draw([2, 1031]), index([2], 1031), 0.125)
cross_entropy("257x3", draw([257, 3]), index([257], 3))
cross_entropy("0x3_sum", draw([0, 3]), index([0], 3), reduction="sum")
cross_entropy("0x3_none", draw([0, 3]), index([0], 3), reduction="none")
cross_entropy("0x3_mean_is_nan", draw([0, 3], diff=False), index([0], 3))
cross_entropy("all_ignored_sum", draw([3, 2]), given([-100] * 3, dtype="i32"), reduction="sum")
cross_entropy("all_ignored_mean_is_nan", draw([3, 2], diff=False), given([-100] * 3, dtype="i32"))
cross_entropy("all_smoothed", draw([3, 4]), index([3], 4), 1.0)
cross_entropy("minus_inf", given([0.5, -INF, 1.0, 2.0, 0.0, -INF], [2, 3]), given([0, 1], dtype="i32"),
              kink=True)


def pair_loss(op, away_from_equal=0.0, **attrs):
    for reduction_ in ("mean", "sum", "none"):
        for shape in ([], [7], [3, 5], [2, 1, 5, 3], [65]):
            sample(op, f"{shape_label(shape)}_{reduction_}", draw(shape, step=1 / 32),
                   draw(shape, step=1 / 32, shift=1 / 64), reduction=reduction_, **attrs)
    sample(op, "1031_mean", draw([1031], step=1 / 32), draw([1031], step=1 / 32, shift=1 / 64),
           reduction="mean",
           **attrs)
    sample(op, "0x3_sum", draw([0, 3]), draw([0, 3]), reduction="sum", **attrs)
    sample(op, "0x3_none", draw([0, 3]), draw([0, 3]), reduction="none", **attrs)
    sample(op, "equal", given([1.0, -2.0, 0.5]), given([1.0, -2.0, 0.0]), reduction="mean", kink=True,
           **attrs)
    sample(op, "constant_target", draw([5], step=1 / 32), draw([5], step=1 / 32, shift=1 / 64, diff=False),
           reduction="mean", **attrs)


pair_loss("mse_loss")
