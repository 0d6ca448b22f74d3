"""Train ResNet-20 on CIFAR-10 by one recipe, and say the test accuracy and the time.

    python tools/resnet20.py FOLDER [--epochs 30] [--seeds 0 1 2] [--threads 2] [--backend NAME]

FOLDER holds CIFAR-10's files, whole or fewer of them; all training images are trained on. The
recipe: flips and shifts of 4 pixels, batches of 64, Nesterov's momentum, weight decay 5e-4 on every
parameter, one cycle of the learning rate up to 0.1 (from 0.004 in 30 % of the steps, to 4e-7; the
momentum from 0.95 to 0.85 and back), images standardised by channel. The time is that of the steps;
that of the tests is not in it.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from threadpoolctl import threadpool_limits

from convkit import registry
from convkit.models import ResNet
from convkit.training import Callback, Solver
from convkit.training.data import Dataset, assembled, read_data
from convkit.training.protocol import Progress


class Tests(Callback):
    """Says the test accuracy after every few epochs, and how long the steps took."""

    def __init__(self, data: Dataset, every: int) -> None:
        self.data, self.every = data, every
        self.solver: Solver | None = None
        self.seconds = 0.0

    def on_train_begin(self, progress: Progress) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, progress: Progress) -> None:
        """Stop the clock while the test goes on."""
        self.seconds += time.perf_counter() - self._start
        if progress.epoch % self.every == 0 or progress.epoch == progress.num_epochs:
            print(
                f"{progress.epoch} test {self.accuracy():.3f} {self.seconds:.0f} s, "
                f"loss {progress.loss:.3f}, {progress.images_per_second:.0f} images/s",
                flush=True,
            )
        self._start = time.perf_counter()

    def accuracy(self) -> float:
        """Return the accuracy on all test images."""
        assert self.solver is not None
        found = self.solver.predict(self.data["X_test"])
        return float(np.mean(found == self.data["y_test"]))


def all_images(folder: str) -> Dataset:
    """Return the data set with every training image in its training part."""
    raw = read_data("cifar10", folder).divided(0)
    x, y = zip(raw.parts["train"], raw.parts["val"], strict=True)
    raw.parts["train"] = np.concatenate(x), np.concatenate(y)
    raw.parts["val"] = raw.parts["val"][0][:0], raw.parts["val"][1][:0]
    return assembled(raw, "standardise")


def train(data: Dataset, seed: int, epochs: int, backend: str | None) -> tuple[float, float]:
    """Train one network; return its test accuracy and the seconds of its steps."""
    rng = np.random.default_rng(seed)
    tests = Tests(data, every=5)
    solver = Solver(
        ResNet(input_dim=(3, 32, 32), rng=rng, backend=backend),
        data,
        update_rule="nesterov",
        optim_config={"learning_rate": 0.1},
        weight_decay=5e-4,
        schedule="one_cycle",
        batch_size=64,
        num_epochs=epochs,
        sampling="shuffle",
        augment="flip,shift=4",
        num_train_samples=100,
        verbose=False,
        rng=rng,
        callbacks=[tests],
    )
    tests.solver = solver
    solver.train()
    return tests.accuracy(), tests.seconds


def main() -> None:
    """Train once for each seed, and say the mean."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("folder")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--backend")
    asked = parser.parse_args()
    record = registry.load((asked.backend or "cython").split(",")[0])
    set_num_threads = record.method("set_num_threads")
    if set_num_threads is not None:
        set_num_threads(asked.threads)
    data = all_images(asked.folder)
    print(f"{len(data['y_train']):,} training and {len(data['y_test']):,} test images")
    # Two pools of threads slow each other down: NumPy's products get one.
    with threadpool_limits(1 if set_num_threads is not None else asked.threads):
        found = [train(data, seed, asked.epochs, asked.backend) for seed in asked.seeds]
    for seed, (accuracy, seconds) in zip(asked.seeds, found, strict=True):
        print(f"seed {seed}: test accuracy {accuracy:.3f} in {seconds:.0f} s")
    accuracies, times = zip(*found, strict=True)
    print(f"mean: {statistics.mean(accuracies):.3f} in {statistics.mean(times):.0f} s")


if __name__ == "__main__":
    main()
