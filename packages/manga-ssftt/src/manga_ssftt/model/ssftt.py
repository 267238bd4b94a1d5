"""The spectral-spatial feature tokenization transformer (Sun et al. 2022, TGRS 60, 5522214).

For patches of few bands, such as principal components, the network is the published one: with 30
bands, 13 x 13 spaxels and 16 classes it has 153,224 parameters. There the first two-dimensional
convolution has 8 (n_bands - 2) input channels, 9.4 million weights for 2040 wavelengths. So more
than 64 bands first pass a stem, which learns a few features of each spaxel's spectrum.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import nn
from torch.nn import functional

__all__ = ["MAX_DIRECT_BANDS", "SSFTT", "SpectralStem"]

# More bands than this pass the stem by default.
MAX_DIRECT_BANDS: Final = 64
STEM_FEATURES: Final = 32

# Of the variance of a band: flat bands, such as masked ones, are not blown up.
_EPSILON: Final = 1e-6

_CHANNELS_3D: Final = 8
_DIM: Final = 64
_N_TOKENS: Final = 4
_N_HEADS: Final = 8
_MLP_DIM: Final = 8


class SpectralStem(nn.Module):
    """Features of each spaxel's spectrum, the same for all spaxels of a patch.

    Bands are standardised and projected. Mean and variance enter the weights of the projection and
    not the patches, which would have to be copied.

    Parameters
    ----------
    n_bands : int
    n_features : int, optional
    """

    mean: torch.Tensor
    variance: torch.Tensor

    def __init__(self, n_bands: int, n_features: int = STEM_FEATURES) -> None:
        super().__init__()
        self.project = nn.Linear(n_bands, n_features)
        self.register_buffer("mean", torch.zeros(n_bands))
        self.register_buffer("variance", torch.ones(n_bands))

    @torch.no_grad()
    def initialise(self, spectra: torch.Tensor) -> None:
        """Start from the principal components of training spectra, scaled to unit variance.

        Parameters
        ----------
        spectra : tensor of float, shape (n, n_bands)
            With fewer than two spectra per feature the stem is left as it is.
        """
        n, n_features = len(spectra), self.project.out_features
        if n < 2 * n_features:
            return
        spectra = spectra.to(self.mean.dtype)
        self.mean.copy_(spectra.mean(dim=0))
        self.variance.copy_(spectra.var(dim=0))
        standard = (spectra - self.mean) * torch.rsqrt(self.variance + _EPSILON)
        _, scale, basis = torch.pca_lowrank(standard, n_features, center=False, niter=4)
        self.project.weight.copy_(basis.T * (n**0.5 / scale.clamp(min=1e-6))[:, None])
        self.project.bias.zero_()

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Map (B, 1, n_bands, p, p) to (B, 1, n_features, p, p)."""
        weight = self.project.weight * torch.rsqrt(self.variance + _EPSILON)
        bias = self.project.bias - weight @ self.mean
        spectra = patches[:, 0].permute(0, 2, 3, 1)  # (B, p, p, n_bands)
        features = functional.linear(spectra, weight.to(spectra.dtype), bias.to(spectra.dtype))
        return features.permute(0, 3, 1, 2).unsqueeze(1)


class _Tokenizer(nn.Module):
    """Semantic tokens: means of the positions, weighted by what each token looks for."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.Parameter(torch.empty(1, _N_TOKENS, _DIM))
        self.value = nn.Parameter(torch.empty(1, _DIM, _DIM))
        nn.init.xavier_normal_(self.attend)
        nn.init.xavier_normal_(self.value)

    def forward(self, positions: torch.Tensor) -> torch.Tensor:
        """Map (B, n_positions, 64) to (B, 4, 64)."""
        weights = torch.softmax(positions @ self.attend[0].T, dim=1)  # (B, n_positions, 4)
        # The weighted mean first: four rows meet the value matrix instead of all positions.
        return (weights.transpose(1, 2) @ positions) @ self.value[0]


class _Encoder(nn.Module):
    """One transformer layer with the normalisation in front of each block."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(_DIM)
        self.to_qkv = nn.Linear(_DIM, 3 * _DIM)
        self.project = nn.Linear(_DIM, _DIM)
        self.norm_mlp = nn.LayerNorm(_DIM)
        self.widen = nn.Linear(_DIM, _MLP_DIM)
        self.narrow = nn.Linear(_MLP_DIM, _DIM)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.to_qkv, self.project, self.widen, self.narrow):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=1e-6)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map (B, n, 64) to (B, n, 64)."""
        batch, n, _ = tokens.shape
        qkv = self.to_qkv(self.norm_attention(tokens))
        query, key, value = qkv.view(batch, n, 3, _N_HEADS, -1).permute(2, 0, 3, 1, 4)
        # The published network divides by the root of the whole width, not of a head's.
        mixed = functional.scaled_dot_product_attention(query, key, value, scale=_DIM**-0.5)
        mixed = mixed.transpose(1, 2).reshape(batch, n, _DIM)
        tokens = tokens + self.dropout(self.project(mixed))
        hidden = self.dropout(functional.gelu(self.widen(self.norm_mlp(tokens))))
        result: torch.Tensor = tokens + self.dropout(self.narrow(hidden))
        return result


class SSFTT(nn.Module):
    """The network.

    Parameters
    ----------
    n_bands : int
        At least 3.
    patch_size : int
        Odd. From 5 on the convolutions are 3 x 3 without padding; smaller patches are not
        convolved over spaxels.
    n_classes : int
        Outputs.
    dropout : float, optional
    stem : bool, optional
        Whether a `SpectralStem` comes first; by default if there are more than 64 bands.

    Raises
    ------
    ValueError
        If there are too few bands, the patch size is even, or there is no output.
    """

    def __init__(
        self,
        n_bands: int,
        patch_size: int,
        n_classes: int,
        dropout: float = 0.1,
        stem: bool | None = None,
    ) -> None:
        super().__init__()
        if n_bands < 3 or patch_size < 1 or patch_size % 2 == 0 or n_classes < 1:
            raise ValueError(
                f"{n_bands} bands, patches of {patch_size} and {n_classes} outputs; expected at "
                "least 3 bands, an odd patch size and an output"
            )
        with_stem = n_bands > MAX_DIRECT_BANDS if stem is None else stem
        self.stem = SpectralStem(n_bands) if with_stem else None
        bands = STEM_FEATURES if with_stem else n_bands
        side = 3 if patch_size >= 5 else 1
        self.conv3d = nn.Conv3d(1, _CHANNELS_3D, (3, side, side))
        self.norm3d = nn.BatchNorm3d(_CHANNELS_3D)
        self.conv2d = nn.Conv2d(_CHANNELS_3D * (bands - 2), _DIM, side)
        self.norm2d = nn.BatchNorm2d(_DIM)
        self.tokenizer = _Tokenizer()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, _DIM))
        self.pos_embedding = nn.Parameter(torch.empty(1, _N_TOKENS + 1, _DIM))
        nn.init.normal_(self.pos_embedding, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.encoder = _Encoder(dropout)
        self.head = nn.Linear(_DIM, n_classes)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.normal_(self.head.bias, std=1e-6)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Outputs of patches.

        Parameters
        ----------
        patches : tensor of float, shape (B, 1, n_bands, p, p)

        Returns
        -------
        tensor of float, shape (B, n_classes)
        """
        if self.stem is not None:
            patches = self.stem(patches)
        # In place: the normalised volume is the largest array of a step, and not needed again.
        volume = self.norm3d(self.conv3d(patches)).relu_()  # (B, 8, bands - 2, s, s)
        image = self.norm2d(self.conv2d(volume.flatten(1, 2))).relu_()  # (B, 64, t, t)
        tokens = self.tokenizer(image.flatten(2).transpose(1, 2))  # (B, 4, 64)
        cls = self.cls_token.expand(len(tokens), -1, -1)
        tokens = self.dropout(torch.cat([cls, tokens], dim=1) + self.pos_embedding)
        result: torch.Tensor = self.head(self.encoder(tokens)[:, 0])
        return result
