"""The script as a study of tune-jobs: TPE proposes, ASHA stops, a killed trial continues from its last epoch.

python -m tune_jobs run examples/segmentation/ours.py:study --workers 2
"""

from __future__ import annotations

import torch
from cells import UNet, dice_loss, iou_and_dice, make_cells

from tune_jobs import Choice, Float, Maximize, Space, Study, run_study

EPOCHS = 9


def train(config, run):
    torch.manual_seed(run.seed)
    images, masks = make_cells(64, seed=1)
    val_images, val_masks = make_cells(32, seed=2)
    net = UNet(depth=config["depth"])
    optimizer = torch.optim.AdamW(net.parameters(), lr=config["lr"])
    state = run.load() or {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 0}
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    for epoch in range(state["epoch"] + 1, EPOCHS + 1):
        for batch in torch.randperm(len(images)).split(16):
            optimizer.zero_grad()
            dice_loss(net(images[batch]), masks[batch]).backward()
            optimizer.step()
        iou, dice = iou_and_dice(net, val_images, val_masks)
        run.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch})
        yield {"iou": iou, "dice": dice}


space = Space(Float("lr", 1e-4, 1e-1, log=True), Choice("depth", (1, 2, 3)))
study = Study(name="cells", space=space, train=train, epochs=EPOCHS, objectives=Maximize("iou"))

if __name__ == "__main__":
    run_study(study, store="trials", workers=2)
