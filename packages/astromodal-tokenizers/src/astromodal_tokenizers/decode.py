"""Token files back to the columns of a hypercube."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.errors import InputError
from astro_common.parquet import ParquetWriter, described, field_metadata
from astromodal_tokenizers.artifacts import SCHEMA_VERSION
from astromodal_tokenizers.configuration import Configuration
from astromodal_tokenizers.encode import fitted_families, token_path
from astromodal_tokenizers.npz import ArrayStream, check_npz, read_npz, read_npz_scalar
from astromodal_tokenizers.tokenizers.bins import MISSING
from astromodal_tokenizers.tokenizers.image import ImageCodes, ImageTokenizer
from astromodal_tokenizers.tokenizers.loading import Fitted, load_tokenizer
from astromodal_tokenizers.tokenizers.scalar import ScalarTokenizer
from astromodal_tokenizers.tokenizers.spectrum import (
    SpectrumCodes,
    SpectrumGroup,
)

__all__ = ["METADATA_KEY", "decode_field", "spectrum_columns"]

METADATA_KEY = "astromodal_tokenizers"
"""Key of the JSON in the footer of a decoded file."""

Columns = list[tuple[pa.Field, pa.Array]]

_ROWS = 128
_XP_UNIT = "electron / s"


def decode_field(
    configuration: Configuration, field: str, path: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Decode the tokens of a field into one Parquet file.

    Parameters
    ----------
    configuration : Configuration
    field : str
    path : Path
        The file to write.
    overwrite : bool
        Replace it if it exists.

    Returns
    -------
    dict
        ``rows``, ``columns`` and ``families`` of the file.

    Raises
    ------
    InputError
        If tokens are missing, damaged or of another codebook.
    OutputError
        If the file exists or cannot be written.
    """
    output = configuration.output
    families = [f for f in fitted_families(output) if token_path(output, f, field).exists()]
    if not families:
        raise InputError(
            token_path(output, "scalar", field), "no such file", "tokens", f"encode {field} first"
        )
    with ExitStack() as stack:
        sources = [
            _Source(token_path(output, family, field), load_tokenizer(output, family), stack)
            for family in families
        ]
        ids, index = sources[0].ids, sources[0].index
        for source in sources[1:]:
            if not np.array_equal(source.ids, ids):
                raise InputError(
                    source.path, "other sources", f"those of {sources[0].path}", "encode again"
                )
        header = [described("id", pa.string(), ucd="meta.id;meta.main", modality="id")]
        schema = pa.schema(header + [f for s in sources for f, _ in s.columns(0)])
        metadata = {
            "schema_version": SCHEMA_VERSION,
            "field": field,
            "decoded": True,
            "synthetic": any(bool(source.fitted.record.get("synthetic")) for source in sources),
            "codebooks": {s.tokenizer.family: s.fitted.checksum for s in sources},
        }
        with ParquetWriter(
            path, schema, metadata={METADATA_KEY: metadata}, overwrite=overwrite
        ) as writer:
            for start in range(0, len(ids), _ROWS):
                count = min(_ROWS, len(ids) - start)
                arrays = [pa.array(ids[start : start + count].tolist(), pa.string())]
                arrays += [array for source in sources for _, array in source.columns(count)]
                writer.write(pa.Table.from_arrays(arrays, schema=schema))
    return {
        "output": str(path),
        "field": field,
        "rows": len(index),
        "columns": schema.names,
        "families": families,
    }


class _Source:
    """The tokens of one tokenizer, read in order."""

    def __init__(self, path: Path, fitted: Fitted, stack: ExitStack) -> None:
        self.path = path
        self.fitted = fitted
        self.tokenizer = fitted.tokenizer
        check_npz(path)
        found = read_npz_scalar(path, "codebook_sha256")
        if found != fitted.checksum:
            raise InputError(
                path,
                f"tokens of the codebook {found[:12]}",
                f"{fitted.checksum[:12]} of {fitted.tokenizer.family}.safetensors",
                "encode again, or restore the codebook",
            )
        self.ids = read_npz(path, "ids")
        self.index = read_npz(path, "row_index")
        self._streams: dict[str, ArrayStream] = {}
        self._pointers: dict[str, NDArray[np.int64]] = {}
        self._done = 0
        self._stack = stack

    def columns(self, count: int) -> Columns:
        """Columns of the next rows."""
        tokenizer = self.tokenizer
        if isinstance(tokenizer, ScalarTokenizer):
            result = tokenizer.decode(self._read("tokens", count))
        elif isinstance(tokenizer, ImageTokenizer):
            flux = self._read("scale_image", count)
            shape = (count, len(tokenizer.fields), len(tokenizer.radii_px))
            codes = ImageCodes(self._read("tokens_2d", count), flux.reshape(shape))
            result = tokenizer.decode_columns(codes)
        else:
            result = [
                column
                for group in tokenizer.groups
                for column in spectrum_columns(group, self._spectra(group, count))
            ]
        self._done += count
        return result

    def _spectra(self, group: SpectrumGroup, count: int) -> SpectrumCodes:
        scale = self._read(f"scale_{group.name}", count)
        if group.tokens is not None:
            pixels = self._read(f"tokens_{group.name}", count)
            return SpectrumCodes(pixels, scale, None, np.full(count, group.tokens))
        name = f"tokens_{group.name}"
        if name not in self._pointers:
            self._pointers[name] = read_npz(self.path, f"{name}_indptr")
        pointers = self._pointers[name][self._done : self._done + count + 1]
        lengths = np.diff(pointers)
        inside = np.arange(max(1, int(lengths.max(initial=0)))) < lengths[:, None]
        total = int(lengths.sum())
        pixels = np.full(inside.shape, MISSING, dtype=np.uint16)
        pixels[inside] = self._read(f"{name}_flat", total)
        time = None
        if group.time is not None:
            time = np.full(inside.shape, MISSING, dtype=np.uint16)
            time[inside] = self._read(f"time_{group.name}_flat", total)
        return SpectrumCodes(pixels, scale, time, lengths)

    def _read(self, name: str, count: int) -> NDArray[Any]:
        if name not in self._streams:
            stream = ArrayStream(self.path, name)
            self._stack.callback(stream.close)
            self._streams[name] = stream
        return self._streams[name].read(count)


def spectrum_columns(group: SpectrumGroup, codes: SpectrumCodes) -> Columns:
    """Columns of the hypercube from the codes of a group.

    Parameters
    ----------
    group : SpectrumGroup
    codes : SpectrumCodes

    Returns
    -------
    list of (pyarrow.Field, pyarrow.Array)
        Flux, coefficients or magnitudes; null for rows without a spectrum and for pixels without a
        token. What the tokens do not tell, such as the ivar of the decoded flux, is null.
    """
    values = group.decode(codes)
    absent = codes.scale[:, 0] == MISSING
    if group.is_curve:
        return _curve_columns(group, codes, values, absent)
    lengths = np.where(absent, 0, values.shape[1] if group.length else codes.lengths * group.patch)
    fields = group.fields
    if group.modality.kind == "coefficients":
        if group.xp.representation == "coefficients":
            return [_list_column(fields["coefficients"], values, lengths, absent)]
        xp = group.xp
        field = described(
            f"{group.name}_flux",
            pa.list_(pa.float32()),
            unit=_XP_UNIT,
            ucd="phot.flux;em.opt",
            description=f"Mean spectrum at {xp.samples} pseudo-wavelengths, {xp.start:g} to "
            f"{xp.stop:g}",
            survey=field_metadata(fields["coefficients"]).get("survey", ""),
            modality="spectrum",
        )
        return [_list_column(field, values, lengths, absent)]
    columns = []
    if "wavelength" in fields and group.wavelength is not None:
        grid = np.broadcast_to(group.wavelength, values.shape)
        columns.append(_list_column(fields["wavelength"], grid, lengths, absent))
    columns.append(_list_column(fields["flux"], values, lengths, absent))
    columns.append((fields["ivar"], pa.nulls(len(absent), fields["ivar"].type)))
    return columns


def _curve_columns(
    group: SpectrumGroup,
    codes: SpectrumCodes,
    values: NDArray[np.float64],
    absent: NDArray[np.bool_],
) -> Columns:
    lengths = np.where(absent, 0, codes.lengths * group.patch)
    columns = [_list_column(group.fields["value"], values, lengths, absent)]
    columns.append((group.fields["error"], pa.nulls(len(absent), group.fields["error"].type)))
    if group.time is not None and codes.time is not None:
        time = np.repeat(group.time.decode(codes.time), group.patch, axis=1)
        columns.append(_list_column(group.fields["time"], time, lengths, absent))
    return columns


def _list_column(
    field: pa.Field,
    values: NDArray[np.float64],
    lengths: NDArray[np.int64],
    absent: NDArray[np.bool_],
) -> tuple[pa.Field, pa.Array]:
    inside = np.arange(values.shape[1]) < lengths[:, None]
    some = values[inside]
    flat = pa.array(some, mask=~np.isfinite(some)).cast(field.type.value_type)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    array = pa.ListArray.from_arrays(pa.array(offsets), flat, mask=pa.array(absent))
    return field, array.cast(field.type)
