"""The columns, datasets and keys of the files that the packages write, from their own schemas."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from site_figures import make_scene
from site_markdown import escaped, literal, table

__all__ = ["FORMATS", "render_formats", "render_keys", "render_schema"]

_COLUMN_HEAD = ("Column", "Type", "Unit", "Meaning")


def render_formats(root: Path, distribution: str) -> str:
    """Write what the schemas of a package say as Markdown; headings start at the second level."""
    return FORMATS[distribution](root)


def render_schema(fields: Iterable[pa.Field]) -> str:
    """Write Arrow fields as a table of names, types, units and descriptions."""
    return table(_COLUMN_HEAD, (_column(field) for field in fields))


def render_keys(model: Any) -> str:
    """Write the keys of a pydantic model as a table, those of its sections with their full names.

    What a key means is read from the section ``Attributes`` of the model's docstring.
    """
    return table(("Key", "Default", "Meaning"), _keys(model, ""))


def _column(field: pa.Field) -> tuple[str, str, str, str]:
    about = _about(field)
    return (
        literal(field.name),
        literal(_type(field.type)),
        literal(about.get("unit", "")),
        escaped(about.get("description", "")),
    )


def _about(field: pa.Field) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}


def _type(kind: pa.DataType) -> str:
    if pa.types.is_fixed_size_list(kind):
        return f"{kind.value_type}[{kind.list_size}]"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"{kind.value_type}[]"
    return str(kind)


def _keys(model: Any, prefix: str) -> list[tuple[str, str, str]]:
    meanings = _attributes(inspect.getdoc(model) or "")
    rows = []
    for name, field in model.model_fields.items():
        meaning = meanings.get(name, "")
        section = _section(field.annotation)
        default = "required" if field.is_required() else literal(_shown(field.default))
        if section is not None:
            first = (inspect.getdoc(section) or "").partition("\n")[0]
            default = "left out" if field.default is None else ""
            rows.append((literal(prefix + name), default, _sentence(meaning or first)))
            rows += _keys(section, f"{prefix}{name}.")
            continue
        rows.append((literal(prefix + name), default, _sentence(meaning)))
    return rows


def _sentence(text: str) -> str:
    """A sentence of a docstring as Markdown: what stands in double backquotes is code there too."""
    parts = re.split(r"``(.+?)``", text)
    return "".join(
        literal(part) if number % 2 else _spaced(part) for number, part in enumerate(parts)
    )


def _spaced(text: str) -> str:
    """Escaped text that keeps the blanks at its ends, which part it from code."""
    before = " " if text[:1].isspace() else ""
    after = " " if text[-1:].isspace() else ""
    return f"{before}{escaped(text)}{after}" if text.strip() else before


def _section(annotation: Any) -> Any:
    """The model of a key that has keys of its own, also where it may be left out."""
    for kind in (annotation, *getattr(annotation, "__args__", ())):
        if hasattr(kind, "model_fields"):
            return kind
    return None


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    return str(value) if value != "" else '""'


def _attributes(docstring: str) -> dict[str, str]:
    """The texts of a numpydoc section ``Attributes`` by name; one text may belong to several."""
    _, _, section = docstring.partition("Attributes\n----------\n")
    texts: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if re.match(r"\w", line):
            names = [name.strip() for name in line.partition(" : ")[0].split(",")]
        elif line.startswith("    "):
            for name in names:
                texts[name] = f"{texts.get(name, '')} {line.strip()}".strip()
    return texts


def _parts(*parts: tuple[str, str, str]) -> str:
    """Sections of a heading, a sentence and a table."""
    return "\n".join(f"## {title}\n\n{text}\n\n{body}" for title, text, body in parts)


def _hypercube(root: Path) -> str:
    from splus_hypercube.configuration import Configuration

    schema = pq.read_schema(make_scene(root, "hypercube") / "cube.parquet")
    by_survey: dict[str, list[pa.Field]] = {}
    for field in schema:
        by_survey.setdefault(_about(field).get("survey", ""), []).append(field)
    parts = [
        _parts(
            (
                "Keys of the configuration",
                "From the model that checks it.",
                render_keys(Configuration),
            )
        )
    ]
    parts.append(
        "## All columns\n\nFrom the footer of a hypercube of synthetic survey files with cutouts "
        f"of 48 x 48 pixels: {len(schema)} columns. The columns of the S-PLUS catalogue and of "
        "VISTA are those of the files that are given, so that other releases give others.\n"
    )
    head = ("Column", "Type", "Unit", "Modality", "Meaning")
    for survey, fields in by_survey.items():
        rows = [
            (*_column(field)[:3], _about(field).get("modality", ""), _column(field)[3])
            for field in fields
        ]
        parts.append(f"### {literal(survey) or 'Of the hypercube itself'}\n\n{table(head, rows)}")
    return "\n".join(parts)


def _scone(_root: Path) -> str:
    import numpy as np

    from scone_io.convert.parquet import event_schema
    from scone_io.grid import PRESETS
    from scone_io.index import SCHEMA
    from scone_io.summary.columns import summary_schema

    grid = PRESETS["scone"]
    return _parts(
        (
            "Summary",
            (
                "Of `extract`, CSV or Parquet. F is the flux by wavelength and time, E its "
                "uncertainty, LC the sum of F over wavelength, S the mean of F from -10 to +20 d."
            ),
            render_schema(summary_schema()),
        ),
        ("Index", "Of `index`.", render_schema(SCHEMA)),
        (
            "Events as Parquet",
            "Of `convert` with the grid of SCONE.",
            render_schema(event_schema(grid, np.dtype(np.float64))),
        ),
    )


def _sdss(_root: Path) -> str:
    from sdss_spectra import ablation, linelist, lines, manifest, metadata, splits
    from sdss_spectra.labels import table as labels
    from sdss_spectra.preprocessing import log

    return _parts(
        ("Metadata", "Of `metadata`.", render_schema(metadata.COLUMNS)),
        ("Manifest", "Of `manifest`.", render_schema(manifest.COLUMNS)),
        ("Labels", "Of `labels`.", render_schema(labels.COLUMNS)),
        ("Preprocessing log", "Of `preprocess --preproc-log`.", render_schema(log.COLUMNS)),
        ("Lines", "Of `lines`.", render_schema(lines.COLUMNS)),
        ("Line list", "The lines that are looked for.", render_schema(linelist.COLUMNS)),
        ("Splits", "Of `split`, one table per set.", render_schema(splits.COLUMNS)),
        ("Ablation", "Of `ablate`.", render_schema(ablation.COLUMNS)),
    )


def _iqa(_root: Path) -> str:
    from cfht_iqa.catalogue import SCHEMA
    from cfht_iqa.configuration import RunConfiguration
    from cfht_iqa.representatives import schema
    from cfht_iqa.summary import summary_schema

    return _parts(
        ("Keys of the configuration", "Of `run`.", render_keys(RunConfiguration)),
        ("Source catalogue", "Of `catalogue`; one row per source.", render_schema(SCHEMA)),
        (
            "Representative images",
            (
                "`representatives.parquet` of `represent`, with 20 groups and a map of 15 x 15 "
                "nodes; one row per CCD."
            ),
            render_schema(schema(20, 225)),
        ),
        (
            "Measurements",
            "`summary.parquet` of `represent`; one row per CCD.",
            render_schema(summary_schema()),
        ),
    )


def _manga(root: Path) -> str:
    import h5py

    rows: list[tuple[str, ...]] = []
    attributes: list[tuple[str, ...]] = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            about = (str(item.attrs.get("unit", "")), str(item.attrs.get("description", "")))
            shape = " x ".join(map(str, item.shape))
            kind = f"{item.dtype}, {shape}"
            rows.append((literal(name), kind, literal(about[0]), escaped(about[1])))

    with h5py.File(make_scene(root, "galaxy") / "galaxy.h5", "r") as file:
        file.visititems(note)
        attributes += [
            (literal(name), literal(type(value).__name__)) for name, value in file.attrs.items()
        ]
    return _parts(
        (
            "Datasets of a processed galaxy",
            "From the file of a synthetic galaxy of 20 x 20 spaxels with the default wavelengths.",
            table(("Dataset", "Type and shape", "Unit", "Meaning"), rows),
        ),
        (
            "Attributes of a processed galaxy",
            "`provenance` is JSON, `wcs` a FITS header as text.",
            table(("Attribute", "Type"), attributes),
        ),
    )


def _tokenizers(_root: Path) -> str:
    from astromodal_tokenizers.configuration import Configuration
    from astromodal_tokenizers.vocabulary import SPECIALS

    specials = [(literal(name), str(number)) for number, name in enumerate(SPECIALS)]
    return _parts(
        (
            "Special tokens",
            "The first numbers of every vocabulary.",
            table(("Token", "Number"), specials),
        ),
        (
            "Keys of the configuration",
            "From the model that checks it.",
            render_keys(Configuration),
        ),
    )


def _transformer(root: Path) -> str:
    path = root / "packages/astromodal-transformer/src/astromodal_transformer/defaults.yaml"
    text = path.read_text(encoding="utf-8").rstrip()
    return (
        f"## Keys of the configuration\n\nAll keys with their defaults.\n\n```yaml\n{text}\n```\n"
    )


FORMATS: dict[str, Callable[[Path], str]] = {
    "astromodal-tokenizers": _tokenizers,
    "astromodal-transformer": _transformer,
    "cfht-iqa": _iqa,
    "manga-ssftt": _manga,
    "scone-io": _scone,
    "sdss-spectra": _sdss,
    "splus-hypercube": _hypercube,
}
