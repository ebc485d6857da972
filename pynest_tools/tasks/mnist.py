# SPDX-License-Identifier: GPL-2.0-or-later
"""MNIST (LeCun, Cortes and Burges 1998) and Fashion-MNIST (Xiao, Rasul and Vollgraf 2017), 70 000 images of 28 x 28 pixels."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..errors import UserError
from .dataset import DatasetTask
from .files import read_openml
from .idx import TEST, TRAINING, idx_pair, read_idx_pair
from .samples import Samples, one_hot

SIDE = 28  # pixels
N_CLASSES = 10
LARGEST_PIXEL = 255.0
VALIDATION = 12  # one training image in so many: the last 5000 of 60 000
TRAINING_OF_OPENML = 60_000  # its first images are the training set
OPENML = "openml"


class _Images(NamedTuple):
    pixels: NDArray[np.uint8]  # (n, 784); eight times smaller than as rates
    labels: NDArray[np.int64]

    def part(self, which: slice) -> _Images:
        return _Images(self.pixels[which], self.labels[which])


class _ImageTask(DatasetTask):
    """Ten classes of images; the last twelfth of the training images is the validation set."""

    openml_name: ClassVar[str]

    data: str = Field(
        default=OPENML,
        description='folder with the four IDX files (train-images-idx3-ubyte, ..., plain or .gz), or "openml" to fetch them',
    )
    lo: float = Field(default=0.0, ge=0.0, description="rate of an input at pixel 0, 1/ms")
    hi: float = Field(default=1.0, ge=0.0, description="rate of an input at pixel 255, 1/ms")

    @property
    def n_inputs(self) -> int:
        """Number of pixels."""
        return SIDE * SIDE

    @property
    def n_outputs(self) -> int:
        """Number of classes."""
        return N_CLASSES

    def training_set(self) -> Samples:
        """All training images but the last twelfth."""
        return self._samples(self._training())

    def validation_set(self) -> Samples:
        """The last twelfth of the training images, by which models are chosen."""
        training, _ = self._images()
        return self._samples(training.part(slice(len(training.labels) - len(training.labels) // VALIDATION, None)))

    def test_set(self) -> Samples:
        """The test images, which decide nothing."""
        return self._samples(self._images()[1])

    def epoch(self, rng: np.random.Generator) -> Samples:
        """The training images in random order; shuffled as pixels, so that there is one copy of their rates."""
        training = self._training()
        order = rng.permutation(len(training.labels))
        return self._samples(_Images(training.pixels[order], training.labels[order]))

    def describe(self) -> dict[str, Any]:
        """Where the images are from, and how many there are of each set."""
        training, test = self._images()
        held_back = len(training.labels) // VALIDATION
        return {
            "data": self.data,
            "samples": {
                "training": len(training.labels) - held_back,
                "validation": held_back,
                "test": len(test.labels),
            },
            "image_shape": [SIDE, SIDE],
        }

    @staticmethod
    def default_run() -> dict[str, Any]:
        """Entries of a `RunSpecification` that suit this task, found for steady states; experiments/mnist has one for spikes.

        A presentation begins with a free phase, in which interneurons learn to follow the outputs without a teacher, too: without it
        two of three runs lost their self-prediction and diverged.
        """
        return {
            "backend": "steady",
            "network": {
                "hidden": [100],
                "neuron": {"beta": 8.0, "gamma": 0.125, "theta": 0.0, "g_nudge": 0.03, "g_target": 0.03, "psi": 100.0},
                "weights": {"up": [0.1, 0.3], "down": 0.3, "aligned": True},
                "plasticity": {
                    "eta_up": [0.025, 7.5e-4],
                    "eta_ip": "match",
                    "eta_pi": 0.0,
                    "Wmin": -20.0,
                    "Wmax": 20.0,
                },
                "trial": {
                    "t_pres": 26.0,
                    "t_target_on": 16.0,
                    "t_learn_on": 18.0,
                    "free_learning": ["ip"],
                    "t_free_learn_on": 8.0,
                    "t_readout_on": 20.0,
                    "t_pres_test": 24.0,
                    "t_readout_on_test": 12.0,
                },
                "simulation": {"h": 0.5, "delay": 0.5},
            },
            "training": {
                "epochs": 15,
                "test_interval": 1,
                "batch_size": 20,
                "schedule": {"up": {"kind": "cosine", "final": 0.02}},
            },
        }

    def _training(self) -> _Images:
        training, _ = self._images()
        return training.part(slice(len(training.labels) - len(training.labels) // VALIDATION))

    def _images(self) -> tuple[_Images, _Images]:
        if self.data == OPENML:
            return _from_openml(self.openml_name)
        return _from_folder(self.data)

    def _samples(self, images: _Images) -> Samples:
        rates: Any = images.pixels.astype(np.float32)  # 7 digits, of a pixel that has 3
        rates *= (self.hi - self.lo) / LARGEST_PIXEL
        rates += self.lo
        return one_hot(rates, images.labels, N_CLASSES)


class Mnist(_ImageTask):
    """Handwritten digits: 55 000 images to learn, 5000 to choose by, 10 000 to test."""

    openml_name = "mnist_784"
    name: Literal["mnist"] = Field(default="mnist", description="MNIST, handwritten digits of 28 x 28 pixels")


class FashionMnist(_ImageTask):
    """Pieces of clothing: 55 000 images to learn, 5000 to choose by, 10 000 to test."""

    openml_name = "Fashion-MNIST"
    name: Literal["fashion_mnist"] = Field(
        default="fashion_mnist", description="Fashion-MNIST, pieces of clothing of 28 x 28 pixels"
    )


@lru_cache(maxsize=2)
def _from_folder(name: str) -> tuple[_Images, _Images]:
    """Training and test images of the four IDX files."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"there is no folder {folder.absolute()}: give the one with train-images-idx3-ubyte and the three files beside it, "
            f'or task.data = "{OPENML}" to fetch the images'
        )
    found = []
    for which in (TRAINING, TEST):
        pair = idx_pair(folder, which)
        if pair is None:
            raise UserError(f"{folder} has no {which}-images-idx3-ubyte and {which}-labels-idx1-ubyte, plain or .gz")
        pixels, labels = read_idx_pair(*pair)
        assert labels is not None
        found.append(_checked(pixels.reshape(len(pixels), -1), labels, str(pair[0])))
    return found[0], found[1]


@lru_cache(maxsize=2)
def _from_openml(name: str) -> tuple[_Images, _Images]:
    """Training and test images of openml.org, which has them in one table."""
    contents = read_openml(name)
    assert contents.x is not None
    assert contents.y is not None
    images = _checked(contents.x, contents.y.astype(np.int64), f"openml:{name}")
    return images.part(slice(TRAINING_OF_OPENML)), images.part(slice(TRAINING_OF_OPENML, None))


def _checked(pixels: NDArray[Any], labels: NDArray[Any], where: str) -> _Images:
    if pixels.shape[1] != SIDE * SIDE or labels.max(initial=0) >= N_CLASSES:
        raise UserError(
            f"{where} must have images of {SIDE} x {SIDE} pixels in classes 0 to {N_CLASSES - 1}, got {pixels.shape[1]} pixels "
            f"and classes up to {labels.max(initial=0)}: for other images use the task data"
        )
    return _Images(pixels.astype(np.uint8, copy=False), labels.astype(np.int64))
