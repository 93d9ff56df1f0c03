"""The script before any search: it trains a U-Net once, and prints IoU and Dice after each epoch.

python examples/segmentation/plain.py
"""

from __future__ import annotations

import torch
from cells import UNet, dice_loss, iou_and_dice, make_cells

EPOCHS = 9


def train(config):
    torch.manual_seed(0)
    images, masks = make_cells(64, seed=1)
    val_images, val_masks = make_cells(32, seed=2)
    net = UNet(depth=config["depth"])
    optimizer = torch.optim.AdamW(net.parameters(), lr=config["lr"])
    for epoch in range(1, EPOCHS + 1):
        for batch in torch.randperm(len(images)).split(16):
            optimizer.zero_grad()
            dice_loss(net(images[batch]), masks[batch]).backward()
            optimizer.step()
        iou, dice = iou_and_dice(net, val_images, val_masks)
        print(f"epoch {epoch}: iou {iou:.3f}, dice {dice:.3f}")


if __name__ == "__main__":
    train({"lr": 0.003, "depth": 2})
