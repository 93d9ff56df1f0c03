"""My model, my loop: a study of any training function, here plain PyTorch on scikit-learn's digits.

python -m tune_jobs run examples/my_loop.py:study --workers 2
"""

import torch
from sklearn.datasets import load_digits

from tune_jobs import Choice, Float, Maximize, Space, Study


def train(params, run):
    torch.manual_seed(run.seed)
    images, labels = map(torch.tensor, load_digits(return_X_y=True))
    images = images.float() / 16
    width = params["width"]
    net = torch.nn.Sequential(torch.nn.Linear(64, width), torch.nn.ReLU(), torch.nn.Linear(width, 10))
    optimizer = torch.optim.SGD(net.parameters(), lr=params["lr"])
    state = run.load() or {"net": net.state_dict(), "epoch": 0}  # after a kill: the last epoch that counts
    net.load_state_dict(state["net"])
    for epoch in range(state["epoch"] + 1, run.epochs + 1):
        torch.manual_seed(run.seed + epoch)  # so that an epoch draws the same after a kill
        for batch in torch.randperm(1400).split(50):
            loss = torch.nn.functional.cross_entropy(net(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found = net(images[1400:]).argmax(1)
        run.save({"net": net.state_dict(), "epoch": epoch})
        yield {"accuracy": (found == labels[1400:]).float().mean(), "loss": loss}


space = Space(Float("lr", 1e-3, 1.0, log=True), Choice("width", (16, 32, 64)))
study = Study(name="my-loop", space=space, train=train, epochs=9, objectives=Maximize("accuracy"))
