"""A report of an evaluation: one HTML file that needs nothing else, and its numbers as JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from astro_common.atomic import atomic_path, output_error
from astro_common.errors import OutputError
from astro_common.jsonable import jsonable
from astromodal_transformer.evaluate import Comparison
from astromodal_transformer.figures import calibration, comparison_bars, predictions

__all__ = ["check_report_folder", "write_report"]

_FIGURES = ("rmse", "bias", "scatter", "outlier_fraction", "coverage_68", "n")
_NOTES = (
    (
        "RMSE and bias: root mean square and mean of prediction minus truth, in the unit of the "
        "column. Scatter: 1.4826 times the median absolute deviation. Outliers: farther from the "
        "median than five times the scatter. Coverage: share of true values between the predicted "
        "16 and 84 per cent quantiles; 0.68 is right."
    ),
    (
        "The baselines learned from the same inputs and the same training part of the sky: the "
        "mean of the column, the ten nearest neighbours, gradient boosting (scikit-learn's "
        "histogram trees) and a multi-layer perceptron."
    ),
)
_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --ground: #fff; --line: #d9d9d9; --own: #e7f1f8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --ground: #16181c; --line: #3a3e45; --own: #1d3344; }
}
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--ground);
       max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .6rem; text-align: right; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2),
th:nth-child(3), td:nth-child(3) { text-align: left; }
tr.model td { background: var(--own); font-weight: 600; }
.wide { overflow-x: auto; }
.synthetic { border: 2px solid #d55e00; padding: .5rem 1rem; }
img { max-width: 100%; background: #fff; }
"""


def check_report_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse to replace a report, before the work begins.

    Raises
    ------
    OutputError
        If there is one and it may not be replaced.
    """
    for name in ("report.json", "report.html"):
        if (folder / name).exists() and not overwrite:
            raise OutputError(
                folder / name, "the file exists", action="give --overwrite to replace it"
            )


def write_report(
    folder: Path,
    record: dict[str, Any],
    comparisons: Sequence[Comparison],
    *,
    more: Sequence[tuple[str, bytes]] = (),
    overwrite: bool = False,
) -> None:
    """Write ``report.html`` and ``report.json``.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    record : dict
        Result of `evaluate`.
    comparisons : sequence of Comparison
    more : sequence of (str, bytes)
        Further figures: what they show, PNG.
    overwrite : bool

    Raises
    ------
    OutputError
        If the files exist or cannot be written.
    """
    check_report_folder(folder, overwrite=overwrite)
    synthetic = bool(record["synthetic"])
    images = [
        ("Error of the model and of the baselines", comparison_bars(comparisons, synthetic)),
        ("Predictions against the truth", predictions(comparisons, synthetic)),
        ("Calibration", calibration(comparisons, synthetic)),
        *more,
    ]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    with atomic_path(folder / "report.json", overwrite=overwrite) as partial:
        text = json.dumps(jsonable(record), indent=2, allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")
    with atomic_path(folder / "report.html", overwrite=overwrite) as partial:
        partial.write_text(_page(record, comparisons, images), encoding="utf-8")


def _page(
    record: dict[str, Any], comparisons: Sequence[Comparison], images: Sequence[tuple[str, bytes]]
) -> str:
    title = "Predictions on held-out sources"
    parts = [
        f"<h1>{title}</h1>",
        (
            f"<p>{record['sources']} sources of the {escape(record['split'])} part of the sky in "
            f"{escape(', '.join(record['fields']))}; step {record['step']} of the training.</p>"
        ),
    ]
    if record["synthetic"]:
        parts.append(
            '<p class="synthetic" role="note">SYNTHETIC DATA: the sources in this report were '
            "simulated; none of them exists.</p>"
        )
    parts.append("<h2>Figures of merit</h2>" + _table(comparisons))
    parts += [f"<p>{escape(note)}</p>" for note in _NOTES]
    for label, image in images:
        data = base64.b64encode(image).decode("ascii")
        parts.append(f"<h2>{escape(label)}</h2>")
        parts.append(f'<p><img alt="{escape(label)}" src="data:image/png;base64,{data}"></p>')
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>'
        f'\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _table(comparisons: Sequence[Comparison]) -> str:
    head = "".join(
        f'<th scope="col">{escape(name.replace("_", " "))}</th>'
        for name in ("target", "from", "predictor", *_FIGURES)
    )
    rows = []
    for comparison in comparisons:
        every = {"model": comparison.figures, **comparison.baselines}
        unit = f" ({comparison.unit})" if comparison.unit else ""
        for name, figures in every.items():
            cells = [comparison.target + unit, comparison.subset, name.replace("_", " ")]
            cells += [_shown(getattr(figures, key)) for key in _FIGURES]
            kind = ' class="model"' if name == "model" else ""
            rows.append(f"<tr{kind}>" + "".join(f"<td>{escape(c)}</td>" for c in cells) + "</tr>")
    body = "\n".join(rows)
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _shown(value: float | int) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4g}"
