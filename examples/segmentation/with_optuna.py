"""The script with Optuna: TPE proposes, a pruner stops, a retried trial continues from its checkpoint.

python examples/segmentation/with_optuna.py
"""

from __future__ import annotations

from pathlib import Path

import optuna
import torch
from cells import UNet, dice_loss, iou_and_dice, make_cells
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

EPOCHS = 9


def train(trial):
    lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    config = {"lr": lr, "depth": trial.suggest_categorical("depth", [1, 2, 3])}
    torch.manual_seed(0)
    images, masks = make_cells(64, seed=1)
    val_images, val_masks = make_cells(32, seed=2)
    net = UNet(depth=config["depth"])
    optimizer = torch.optim.AdamW(net.parameters(), lr=config["lr"])
    retried = RetryHeartbeatStaleTrialCallback.retried_trial_number(trial.study.trials[trial.number])
    path = Path(f"cells-{trial.number if retried is None else retried}.pt")
    state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 0}
    if path.exists():
        state = torch.load(path, weights_only=True)
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    for epoch in range(state["epoch"] + 1, EPOCHS + 1):
        for batch in torch.randperm(len(images)).split(16):
            optimizer.zero_grad()
            dice_loss(net(images[batch]), masks[batch]).backward()
            optimizer.step()
        iou, dice = iou_and_dice(net, val_images, val_masks)
        torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}, path)
        trial.set_user_attr("dice", dice)
        trial.report(iou, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return iou


if __name__ == "__main__":
    retry = RetryHeartbeatStaleTrialCallback(max_retry=3)
    storage = RDBStorage("sqlite:///cells.db", heartbeat_interval=60, heartbeat_stale_trial_callback=retry)
    pruner = optuna.pruners.SuccessiveHalvingPruner(reduction_factor=3)
    study = optuna.create_study(
        study_name="cells", storage=storage, pruner=pruner, direction="maximize", load_if_exists=True
    )
    study.optimize(train, n_trials=24)
