"""A report of the round trip: one HTML file that needs nothing else, and its numbers as JSON."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from astro_common.atomic import atomic_path
from astro_common.errors import OutputError
from astro_common.jsonable import jsonable
from astro_common.parquet import field_metadata
from astro_common.provenance import provenance
from astromodal_tokenizers.artifacts import SCHEMA_VERSION
from astromodal_tokenizers.comparison import compare_quantizers
from astromodal_tokenizers.configuration import Configuration
from astromodal_tokenizers.evaluate import Examples, evaluate
from astromodal_tokenizers.figures import (
    comparison_figure,
    image_figure,
    scalar_figure,
    spectrum_figure,
)
from astromodal_tokenizers.tokenizers.image import ImageTokenizer
from astromodal_tokenizers.tokenizers.loading import Tokenizer, load_tokenizer
from astromodal_tokenizers.tokenizers.scalar import ScalarTokenizer
from astromodal_tokenizers.tokenizers.spectrum import SpectrumTokenizer

__all__ = ["write_report"]

logger = logging.getLogger(__name__)

_SCALAR_PANELS = 6
_COLUMNS = (
    ("kind", "kind"),
    ("codebook_size", "codes"),
    ("objects", "objects"),
    ("bits_per_object", "bits / object"),
    ("rmse_normalised", "RMSE, normalised"),
    ("rmse_physical", "RMSE, physical"),
    ("chi2_per_pixel", "chi-square / pixel"),
    ("median_over_error", "median / error"),
    ("codebook_use", "codebook use"),
    ("codebook_use_held_out", "use, held out"),
    ("perplexity", "perplexity"),
)
_NOTES = (
    (
        "RMSE, normalised: scalars on the scale of their bins, spectra in the features that are "
        "quantised, images in arsinh(flux / noise), each in units of the standard deviation there."
    ),
    (
        "Chi-square per pixel: squared difference of decoded and measured value in units of the "
        "measurement's error (of the band's noise for images). A round trip without loss has 0. "
        "Cutouts come back without their noise, which no code can keep: faint pixels then have "
        "about 1, and the RMSE of cutouts is that of the noise at least."
    ),
    (
        "Median / error: median size of the same difference in units of the error. A few values "
        "far beyond all others decide the chi-square, and not the median."
    ),
    (
        "Codebook use: share of the codes that occur in the tokens of all sources of these fields, "
        "those that taught included. All other figures are of held-out sources alone."
    ),
    (
        "Use, held out: codes that occur on held-out sources, relative to the number that as many "
        "tokens use on average with the best codebook that as many training values give. With "
        "several tokens for each code this is the share of the codebook. Codes of values that many "
        "sources share are left out of the comparison."
    ),
    "Perplexity: exponential of the entropy of the codes.",
)
_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --ground: #fff; --line: #d9d9d9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --ground: #16181c; --line: #3a3e45; }
}
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--ground);
       max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 12px; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .45rem; text-align: right; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
.wide { overflow-x: auto; max-height: 34rem; overflow-y: auto; }
.synthetic { border: 2px solid #d55e00; padding: .5rem 1rem; }
img { max-width: 100%; background: #fff; }
"""


def write_report(
    configuration: Configuration, folder: Path, *, comparison: bool = True, overwrite: bool = False
) -> dict[str, Any]:
    """Measure the round trip and write ``report.html`` and ``report.json``.

    Parameters
    ----------
    configuration : Configuration
    folder : Path
        Made if it is missing.
    comparison : bool
        Also compare the quantisers at equal bits.
    overwrite : bool
        Replace files that exist.

    Returns
    -------
    dict
        What ``report.json`` holds.

    Raises
    ------
    InputError
        If codebooks or hypercubes are missing or damaged.
    OutputError
        If the files exist or cannot be written.
    """
    paths = [folder / "report.json", folder / "report.html"]
    for path in paths:
        if path.exists() and not overwrite:
            raise OutputError(path, "the file exists", action="give --overwrite to replace it")
    examples = Examples()
    blocks, about = evaluate(configuration, examples)
    record: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        **about,
        "blocks": {block.name: block.record() for block in blocks},
        "comparison": compare_quantizers(configuration) if comparison else [],
        "provenance": provenance(
            "astromodal-tokenizers", configuration.model_dump(mode="json"), []
        ),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(paths[0], overwrite=overwrite) as partial:
        text = json.dumps(jsonable(record), indent=2, allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")
    with atomic_path(paths[1], overwrite=overwrite) as partial:
        partial.write_text(_page(configuration, record, examples), encoding="utf-8")
    return record


def _measured_on(split: str) -> str:
    if split == "train":
        return "TRAINING SOURCES, as none is held out,"
    return f"Held-out sources ({split} part of the sky)"


def _page(configuration: Configuration, record: dict[str, Any], examples: Examples) -> str:
    title = "Round trip of the tokenizers"
    fields = ", ".join(record["fields"])
    parts = [
        f"<h1>{title}</h1>",
        f"<p>{_measured_on(record['split'])} of {escape(fields)}.</p>",
    ]
    if record["synthetic"]:
        parts.append(
            '<p class="synthetic" role="note">SYNTHETIC DATA: the sources in this report were '
            "simulated; none of them exists.</p>"
        )
    parts.append("<h2>Codebooks</h2>" + _table(record["blocks"]))
    parts.append("<ul>" + "".join(f"<li>{escape(note)}</li>" for note in _NOTES) + "</ul>")
    if record["comparison"]:
        parts.append("<h2>Quantisers at equal bits</h2>" + _comparison(record["comparison"]))
    note = "SYNTHETIC DATA. " if record["synthetic"] else ""
    if record["comparison"]:
        parts.append(_image(comparison_figure(record["comparison"], f"{note}Quantisers"), "Bars"))
    parts.append("<h2>Examples</h2>")
    parts.extend(_figures(configuration, examples, note))
    checksums = json.dumps(record["codebook_sha256"], indent=2)
    parts.append(f"<h2>Provenance</h2><pre>{escape(checksums)}</pre>")
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>'
        f'\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _table(blocks: dict[str, dict[str, Any]]) -> str:
    head = "".join(
        f'<th scope="col">{escape(label)}</th>' for _, label in (("", "codebook"), *_COLUMNS)
    )
    rows = "\n".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(f"<td>{_shown(block[key])}</td>" for key, _ in _COLUMNS)
        + "</tr>"
        for name, block in blocks.items()
    )
    return _wide(head, rows)


def _comparison(rows: Sequence[dict[str, Any]]) -> str:
    keys = ("block", "quantizer", "bits", "rmse_normalised", "codebook_use", "perplexity")
    head = "".join(f'<th scope="col">{key.replace("_", " ")}</th>' for key in keys)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{_shown(row[key])}</td>" for key in keys) + "</tr>" for row in rows
    )
    return _wide(head, body)


def _wide(head: str, body: str) -> str:
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return escape(str(value))


def _figures(configuration: Configuration, examples: Examples, note: str) -> Iterator[str]:
    chosen = dict(list(_with_values(examples).items())[:_SCALAR_PANELS])
    if chosen:
        units = _units(load_tokenizer(configuration.output, "scalar").tokenizer)
        yield _image(scalar_figure(chosen, units, f"{note}Columns"), "Errors of columns")
    if examples.spectra:
        tokenizer = load_tokenizer(configuration.output, "spectrum").tokenizer
        if isinstance(tokenizer, SpectrumTokenizer):
            for group in tokenizer.groups:
                some = examples.spectra.get(group.name)
                if some:
                    role = next(iter(set(group.fields) & {"flux", "value"}), None)
                    axis = "time (d)" if group.is_curve else "wavelength (angstrom)"
                    unit = (
                        field_metadata(group.fields[role]).get("unit", "") if role else "electron/s"
                    )
                    png = spectrum_figure(unit, axis, some, f"{note}{group.name}")
                    yield _image(png, f"Spectra of {group.name}")
    if examples.images:
        tokenizer = load_tokenizer(configuration.output, "image").tokenizer
        if isinstance(tokenizer, ImageTokenizer):
            for before, after, source in examples.images:
                png = image_figure(
                    before, after, examples.bands, tokenizer.noise, f"{note}{source}"
                )
                yield _image(png, f"Cutouts of {source}")


def _units(tokenizer: Tokenizer) -> dict[str, str]:
    columns = tokenizer.columns if isinstance(tokenizer, ScalarTokenizer) else []
    return {column.name: field_metadata(column.field).get("unit", "") for column in columns}


def _with_values(examples: Examples) -> dict[str, Any]:
    """Columns with values, magnitudes first."""
    some = {name: pair for name, pair in examples.scalars.items() if len(pair[0])}
    return dict(sorted(some.items(), key=lambda item: not item[0].startswith("mag_")))


def _image(png: bytes, description: str) -> str:
    data = base64.b64encode(png).decode("ascii")
    return f'<p><img alt="{escape(description)}" src="data:image/png;base64,{data}"></p>'
