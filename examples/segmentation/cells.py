"""What every version of the segmentation example shares: images of cells, a small U-Net, its loss and scores.

The images are drawn here, so nothing is downloaded. Plain PyTorch.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 32


def make_cells(count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy images of bright cells, and their masks; both float32, (count, 1, 32, 32), masks 0 or 1.

    Stripes are as bright as the cells, so that a threshold does not find the cells.
    """
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    masks = torch.zeros(count, 1, SIDE, SIDE)
    for mask in masks[:, 0]:
        for _ in range(int(torch.randint(2, 5, (), generator=generator))):
            row, column = torch.randint(5, SIDE - 5, (2,), generator=generator)
            height, width = torch.randint(2, 6, (2,), generator=generator)
            mask[((rows - row) / height) ** 2 + ((columns - column) / width) ** 2 <= 1] = 1
    phases = 6 * torch.rand(count, 1, 1, 1, generator=generator)
    stripes = (torch.sin(rows + phases) > 0.8).float()
    noise = 0.4 * torch.randn(masks.shape, generator=generator)
    return torch.maximum(masks, stripes) + noise, masks


class UNet(nn.Module):
    """A U-Net (arXiv 1505.04597), narrow, with batch norm: each level halves the side and doubles `width`."""

    def __init__(self, *, depth: int, width: int = 8) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(_convs(a, b) for a, b in zip([1, *widths], widths, strict=False))
        self.up = nn.ModuleList(_convs(a + b, a) for a, b in pairwise(widths))
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the mask, (N, 1, H, W)."""
        features, kept = images, []
        for level, convs in enumerate(self.down):
            features = convs(functional.max_pool2d(features, 2) if level else features)
            kept.append(features)
        for convs, skipped in zip(reversed(self.up), reversed(kept[:-1]), strict=True):
            larger = functional.interpolate(features, size=skipped.shape[-2:])
            features = convs(torch.cat([skipped, larger], dim=1))
        return self.head(features)


def _convs(channels: int, width: int) -> nn.Sequential:
    parts = [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*parts)


def dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """1 less the soft Dice coefficient of each image, on average."""
    found = torch.sigmoid(logits)
    overlap = (found * masks).sum((1, 2, 3))
    return 1 - ((2 * overlap + 1) / (found.sum((1, 2, 3)) + masks.sum((1, 2, 3)) + 1)).mean()


@torch.no_grad()
def iou_and_dice(net: nn.Module, images: Tensor, masks: Tensor) -> tuple[float, float]:
    """Intersection over union, and the Dice coefficient, over all pixels; both in [0, 1], more is better."""
    net.eval()
    found, wanted = net(images) > 0, masks > 0
    net.train()
    overlap, total = int((found & wanted).sum()), int(found.sum() + wanted.sum())
    return overlap / (total - overlap), 2 * overlap / total
