"""How a network is trained on a scene: as published, and better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["RECIPES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """A way to train.

    Attributes
    ----------
    cosine : bool
        Lower the learning rate along a cosine. At a constant rate the weights of whichever step is
        the last scatter.
    centred : bool
        Multiply patches by a Gaussian around their centre. SSFTT takes means over the positions of
        a patch and has no code for them, so that it cannot tell the labelled pixel from the others:
        where fields meet it names the class that covers most of the patch.
    oriented : bool
        Turn and mirror training patches, and average predictions over the eight orientations.
    averaged : bool
        Predict with the mean of the weights after each of the last third of the epochs.
    label_smoothing : float
        Share of a label's weight that goes to all classes alike.
    """

    cosine: bool = False
    centred: bool = False
    oriented: bool = False
    averaged: bool = False
    label_smoothing: float = 0.0


RECIPES: Final = {
    "published": Recipe(),
    "ssftt": Recipe(cosine=True, centred=True),
    "best": Recipe(cosine=True, centred=True, oriented=True, averaged=True, label_smoothing=0.05),
}
