"""Torchvision's small networks within 30 M multiply-adds: what is larger is refused before it trains.

python -m tune_jobs run examples/within_30m_macs.py:study --workers 2
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch.nn import functional
from torchvision import models

from eml_models import count_macs
from tune_jobs import Choice, Float, Maximize, Minimize, Space, Study, When

NETWORKS = ("mobilenet_v2", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "resnet18")


def build(params):
    """An untrained network for ten classes; only MobileNetV2 has a width."""
    width = {"width_mult": params["width"]} if params["network"] == "mobilenet_v2" else {}
    return models.get_model(params["network"], weights=None, num_classes=10, **width)


def cost(params):
    net = build(params)
    return {
        "macs": count_macs(net, (3, 32, 32)),
        "parameters": sum(weight.numel() for weight in net.parameters()),
    }


def train(params, run):
    torch.manual_seed(run.seed)
    images, labels = read_digits()
    val_images, val_labels = images[1400:], labels[1400:]
    net = build(params)
    optimizer = torch.optim.AdamW(net.parameters(), lr=params["lr"])
    for _ in range(run.epochs):
        net.train()
        for batch in torch.randperm(1400).split(64):
            optimizer.zero_grad()
            functional.cross_entropy(net(images[batch]), labels[batch]).backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            yield {"accuracy": (net(val_images).argmax(1) == val_labels).float().mean()}


def read_digits():
    """scikit-learn's digits as images of CIFAR-10's shape, float32 (1797, 3, 32, 32), and their labels."""
    images, labels = map(torch.tensor, load_digits(return_X_y=True))
    images = images.float().view(-1, 1, 8, 8) / 16
    return functional.interpolate(images, size=32).expand(-1, 3, -1, -1), labels


study = Study(
    name="within-30m-macs",
    space=Space(
        Choice("network", NETWORKS),
        Float("width", 0.25, 4.0, log=True, when=When("network", ("mobilenet_v2",))),
        Float("lr", 1e-4, 1e-2, log=True),
    ),
    train=train,
    epochs=9,
    objectives=(Maximize("accuracy"), Minimize("macs")),
    cost=cost,
    limits={"macs": 30e6},
)
