"""Losses: their PyTorch formulas, and the samples."""
import torch.nn.functional as F

from golden import INF, NAN, TORCH, draw, given, index, sample, shape_label

TORCH.update({
    "cross_entropy": lambda x, labels, smoothing, ignore_index, reduction: F.cross_entropy(
        x, labels.long(), label_smoothing=smoothing, ignore_index=ignore_index, reduction=reduction),
    "mse_loss": lambda x, y, reduction: F.mse_loss(x, y, reduction=reduction),
    "l1_loss": lambda x, y, reduction: F.l1_loss(x, y, reduction=reduction),
    "huber_loss": lambda x, y, reduction, delta: F.huber_loss(x, y, reduction=reduction, delta=delta),
    "bce_with_logits": lambda x, y, reduction: F.binary_cross_entropy_with_logits(x, y, reduction=reduction),
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


def pair_loss(op, x=lambda shape, **kind: draw(shape, step=1 / 32, **kind),
              y=lambda shape, **kind: draw(shape, step=1 / 32, shift=1 / 64, **kind), far=-INF, **attrs):
    """Of the inputs that x and y draw: by default never equal, and never a multiple of 1/32 apart."""
    for reduction_ in ("mean", "sum", "none"):
        for shape in ([], [7], [3, 5], [2, 1, 5, 3], [65]):
            sample(op, f"{shape_label(shape)}_{reduction_}", x(shape), y(shape), reduction=reduction_, **attrs)
    sample(op, "1031_mean", x([1031]), y([1031]), reduction="mean", **attrs)
    sample(op, "0x3_sum", draw([0, 3]), draw([0, 3]), reduction="sum", **attrs)
    sample(op, "0x3_none", draw([0, 3]), draw([0, 3]), reduction="none", **attrs)
    sample(op, "equal", given([1.0, -2.0, 0.5]), given([1.0, -2.0, 0.0]), reduction="mean", kink=True,
           **attrs)
    sample(op, "constant_target", x([5]), y([5], diff=False), reduction="mean", **attrs)
    sample(op, "constant_input", x([5], diff=False), y([5]), reduction="mean", **attrs)
    for reduction_ in ("mean", "none"):
        sample(op, f"nonfinite_{reduction_}", given([NAN, 0.5, INF, far], diff=False),
               given([0.5, NAN, 0.25, 0.75], diff=False), reduction=reduction_, **attrs)


pair_loss("mse_loss")
pair_loss("l1_loss")
pair_loss("huber_loss", delta=0.75)
for delta_ in (0.25, 1.0, 1e-3, 100.0):
    sample("huber_loss", f"33_delta_{delta_}".replace(".", "p"), draw([33], step=1 / 32),
           draw([33], step=1 / 32, shift=1 / 64), reduction="none", delta=delta_)
sample("huber_loss", "at_delta", given([1.0, -1.0, 0.0]), given([0.5, -0.5, 0.5]), reduction="sum", delta=0.5,
       kink=True)
pair_loss("bce_with_logits", x=lambda shape, **kind: draw(shape, -6.0, 6.0, **kind),
          y=lambda shape, **kind: draw(shape, 0.0, 1.0, step=1 / 16, **kind),
          far=-200.0)  # at -inf torch subtracts inf from inf
for reduction_ in ("mean", "none"):
    sample("bce_with_logits", f"large_{reduction_}",
           given([1e4, -1e4, 1e3, -1e3, 88.0, -88.0, 40.0, -40.0, 750.0, -750.0]),
           given([1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.5, 0.5, 0.25, 0.75]), reduction=reduction_, kink=True)
sample("bce_with_logits", "hard_labels", draw([4, 9], -6.0, 6.0), given([0.0, 1.0, 1.0] * 12, [4, 9], diff=False),
       reduction="mean")
