"""Draws of whole spectra or cutouts of some sources, written beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from astro_common.errors import ConfigurationError, InputError
from astro_common.parquet import ParquetWriter, described
from astro_common.provenance import provenance
from astromodal_transformer.code_sampling import generate_codes
from astromodal_transformer.configuration import Configuration
from astromodal_transformer.decoding import SequenceDecoder
from astromodal_transformer.figures import Drawn, generated_spectra, save
from astromodal_transformer.predict import METADATA_KEY, load_for_use
from astromodal_transformer.store import TokenStore

__all__ = ["generate"]

_DEFAULT_TARGETS = ("desi_b", "desi_r", "desi_z")


def generate(
    configuration: Configuration,
    checkpoint: Path,
    field: str,
    given: Sequence[str],
    targets: Sequence[str],
    path: Path,
    *,
    sources: Sequence[str] = (),
    count: int = 4,
    samples: int = 16,
    rounds: int = 8,
    figure: Path | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Draw spectra or cutouts of sources and write them into a Parquet file.

    Parameters
    ----------
    configuration : Configuration
    checkpoint : Path
    field : str
    given : sequence of str
        Modalities that are seen, by name or pattern; photometry and XP without any.
    targets : sequence of str
        Spectra or ``image``; the DESI spectra without any.
    path : Path
    sources : sequence of str
        Identifiers; the first held-out sources that have a target without any.
    count : int
        Of these.
    samples : int
        Draws of each source.
    rounds : int
    figure : Path, optional
        PNG with the draws over the measured spectra.
    overwrite : bool

    Returns
    -------
    dict
        ``output``, ``sources``, ``samples``, ``given``, ``targets``.

    Raises
    ------
    AstroError
        If a name is unknown, an input damaged, or the file exists.
    """
    loaded = load_for_use(configuration, checkpoint)
    project, layout, answerer = loaded.project, loaded.project.layout, loaded.answerer
    asked = layout.matching(
        targets or [n for n in _DEFAULT_TARGETS if n in layout.modalities] or ["*"], "--target"
    )
    asked = [name for name in asked if name not in project.books.columns]
    if not asked:
        raise ConfigurationError("--target", "no spectrum and no cutouts", "at least one")
    patterns = list(given) or [
        p for p in ("mag_*", "gaiaxp_*") if any(fnmatchcase(n, p) for n in layout.modalities)
    ]
    seen = [n for n in layout.matching(patterns or ["*"], "--given") if n not in asked]
    store = project.store([field])
    decoders = {name: SequenceDecoder(project, answerer, name) for name in asked}
    rows = _sources(configuration, store, layout.slots(asked), sources, count)
    fields = [
        described("id", pa.string(), ucd="meta.id;meta.main"),
        described("sample", pa.int32(), description="number of the draw"),
        *(
            described(name, pa.list_(pa.float32()), unit=d.unit, description=f"drawn{d.order}")
            for name, d in decoders.items()
        ),
    ]
    schema = pa.schema(fields)
    synthetic = store.synthetic or bool(loaded.record.get("synthetic"))
    footer = {
        "schema_version": 1,
        "field": field,
        "generated": True,
        "synthetic": synthetic,
        "given": seen,
        "provenance": provenance("astromodal-transformer", {}, [loaded.path / "model.safetensors"]),
    }
    codes = store.codes(rows)
    visible = answerer.visible(codes, seen, asked)
    slots = layout.slots(asked)
    panels = []
    with ParquetWriter(
        path, schema, metadata={METADATA_KEY: footer}, overwrite=overwrite
    ) as writer:
        for place, row in enumerate(rows.tolist()):
            drawn = generate_codes(
                answerer,
                codes[place],
                visible[place],
                slots,
                samples=samples,
                seed=configuration.seed + row,
                rounds=rounds,
            )
            name = store.ids[row]
            arrays = [pa.array([name] * samples), pa.array(range(samples), pa.int32())]
            for target, decoder in decoders.items():
                values = decoder.decode(drawn)
                arrays.append(pa.array(list(values.astype(np.float32)), pa.list_(pa.float32())))
                spectra = project.books.spectra.get(target)
                if spectra is not None and spectra.kind != "light_curve":
                    truth = decoder.decode(codes[place : place + 1])[0]
                    panels.append(Drawn(name, target, spectra.grid, values, truth, spectra.unit))
            writer.write(pa.Table.from_arrays(arrays, schema=schema))
    result = {
        "output": str(path),
        "sources": [store.ids[row] for row in rows],
        "samples": samples,
        "given": seen,
        "targets": asked,
    }
    if figure is not None and panels:
        save(generated_spectra(panels, synthetic), figure)
        result["figure"] = str(figure)
    return result


def _sources(
    configuration: Configuration,
    store: TokenStore,
    slots: NDArray[np.int64],
    wanted: Sequence[str],
    count: int,
) -> NDArray[np.int64]:
    if wanted:
        number = {name: row for row, name in enumerate(store.ids)}
        for name in wanted:
            if name not in number:
                raise InputError("--source", f"no source {name}", f"an id of {store.fields[0]}")
        return np.array([number[name] for name in wanted], dtype=np.int64)
    rows = store.rows(configuration.evaluation.split)
    has = (store.codes(rows)[:, slots] != store.vocabulary.missing).any(axis=1)
    chosen = np.concatenate([rows[has], rows[~has]])[:count]
    if not len(chosen):
        raise InputError(
            configuration.tokens,
            f"no source in the {configuration.evaluation.split} part of the sky",
            "some",
            "name sources with --source",
        )
    return np.asarray(chosen)
