"""Size and form of the network: presets, and what the settings change."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from astromodal_transformer.configuration import ModelSettings

__all__ = ["PRESETS", "ModelShape"]


@dataclass(frozen=True)
class ModelShape:
    """Size and form of the network.

    Attributes
    ----------
    layers, d_model, heads, feed_forward : int
    dropout : float
    objective : {'masked', 'causal'}
    norm : {'rms', 'layer'}
    positions : {'learned', 'rotary'}
    embedding : {'codebook', 'free', 'both'}
    tie_weights : bool
    digest : bool
        Whether BOS begins with a digest of all that is seen; masked model only.
    """

    layers: int
    d_model: int
    heads: int
    feed_forward: int
    dropout: float = 0.0
    objective: str = "masked"
    norm: str = "rms"
    positions: str = "learned"
    embedding: str = "both"
    tie_weights: bool = True
    digest: bool = False

    @classmethod
    def from_settings(cls, settings: ModelSettings) -> ModelShape:
        """The preset with the values that the settings change."""
        values = dict(PRESETS[settings.preset])
        for key in ("layers", "d_model", "heads", "feed_forward", "dropout", "embedding"):
            if getattr(settings, key) is not None:
                values[key] = getattr(settings, key)
        if settings.d_model is not None and settings.feed_forward is None:
            values["feed_forward"] = 4 * settings.d_model
        values["digest"] = settings.objective == "masked" and (
            settings.preset in _WITH_DIGEST if settings.digest is None else settings.digest
        )
        return cls(
            objective=settings.objective,
            norm=settings.norm,
            positions=settings.positions,
            tie_weights=settings.tie_weights,
            **values,
        )

    def record(self) -> dict[str, Any]:
        """The shape as JSON can hold it."""
        return asdict(self)


PRESETS: dict[str, dict[str, Any]] = {
    name: {
        "layers": layers,
        "d_model": d_model,
        "heads": heads,
        "feed_forward": 4 * d_model,
        "dropout": dropout,
        "embedding": embedding,
    }
    for name, layers, d_model, heads, dropout, embedding in (
        ("tiny", 3, 96, 4, 0.0, "codebook"),
        ("small", 6, 256, 8, 0.0, "both"),
        ("base", 12, 768, 12, 0.1, "both"),
        ("large", 24, 1024, 16, 0.1, "both"),
    )
}
"""Networks by name."""

_WITH_DIGEST = ("tiny", "small")
