"""A recipe that uses every part of a training step, with batches of two sizes.

Schedule, warm-up, average of the weights, decay, clipping, smoothed labels, augmentation and dropout.
"""

from eml_models import Recipe

FULL = Recipe(
    learning_rate=0.02,
    epochs=3,
    batch_size=40,
    max_train_samples=300,  # batches of 37 and 38 images
    schedule="one_cycle",
    warmup_fraction=0.2,
    ema_decay=0.9,
    weight_decay=1e-3,
    max_grad_norm=1.0,
    label_smoothing=0.1,
    augmentation="crop_flip",
    cutout=0.3,
    model_options={"dropout": 0.2},
)
