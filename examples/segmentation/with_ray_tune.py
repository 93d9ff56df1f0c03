"""The script with Ray Tune: ASHA stops, a failed trial continues from its last checkpoint.

python examples/segmentation/with_ray_tune.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from cells import UNet, dice_loss, iou_and_dice, make_cells
from ray import tune
from ray.tune.schedulers import ASHAScheduler

EPOCHS = 9


def train(config):
    torch.manual_seed(0)
    images, masks = make_cells(64, seed=1)
    val_images, val_masks = make_cells(32, seed=2)
    net = UNet(depth=config["depth"])
    optimizer = torch.optim.AdamW(net.parameters(), lr=config["lr"])
    state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 0}
    if checkpoint := tune.get_checkpoint():
        with checkpoint.as_directory() as folder:
            state = torch.load(Path(folder) / "state.pt", weights_only=True)
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    for epoch in range(state["epoch"] + 1, EPOCHS + 1):
        for batch in torch.randperm(len(images)).split(16):
            optimizer.zero_grad()
            dice_loss(net(images[batch]), masks[batch]).backward()
            optimizer.step()
        iou, dice = iou_and_dice(net, val_images, val_masks)
        state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
        with tempfile.TemporaryDirectory() as folder:
            torch.save(state, Path(folder) / "state.pt")
            tune.report({"iou": iou, "dice": dice}, checkpoint=tune.Checkpoint.from_directory(folder))


if __name__ == "__main__":
    space = {"lr": tune.loguniform(1e-4, 1e-1), "depth": tune.choice([1, 2, 3])}
    scheduler = ASHAScheduler(max_t=EPOCHS, reduction_factor=3)
    search = tune.TuneConfig(metric="iou", mode="max", num_samples=24, scheduler=scheduler)
    run = tune.RunConfig(name="cells", failure_config=tune.FailureConfig(max_failures=3))
    tune.Tuner(train, param_space=space, tune_config=search, run_config=run).fit()
