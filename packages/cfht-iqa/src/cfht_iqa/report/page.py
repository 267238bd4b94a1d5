"""The page of a run: one file that holds its figures."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from astro_common.atomic import atomic_path
from astro_common.figures import drawing, saved
from astro_common.provenance import creation_time
from cfht_iqa import __version__
from cfht_iqa.classes import CLASS_COLOURS, CLASS_MEANINGS, CLASSES
from cfht_iqa.model.files import TrainedModel
from cfht_iqa.model.prediction import ExposureVerdict
from cfht_iqa.reasons import limits_for
from cfht_iqa.report.mosaic_figure import mosaic_figure
from cfht_iqa.report.representative_figure import representative_figure
from cfht_iqa.report.som_figures import component_planes, describe, map_overview

__all__ = ["write_report"]

_SHOWN_CCDS: Final = 2
_DOTS_PER_INCH: Final = 120

_STYLE: Final = """
body { font: 15px/1.45 'DejaVu Sans', Helvetica, Arial, sans-serif; color: #1a1a1a; margin: 0 auto;
  max-width: 1120px; padding: 1.2em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; border-top: 1px solid #d9d9d9; padding-top: 1em; }
table { border-collapse: collapse; margin: 0.6em 0; } th, td { padding: 0.2em 0.7em;
  text-align: right; border-bottom: 1px solid #e6e6e6; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child, .told { text-align: left; } img { max-width: 100%; height: auto; }
.verdict { border-left: 0.5em solid; padding-left: 0.5em; font-weight: bold; }
.banner { background: #b34700; color: #fff; font-weight: bold; padding: 0.4em 0.8em; }
.beyond { font-weight: bold; color: #8a2f00; } .note { color: #5a5a5a; }
.parts { display: flex; flex-wrap: wrap; gap: 1.5em; align-items: flex-start; }
.parts > div { flex: 1 1 420px; }
"""

_MEASURES: Final = (
    ("fwhm_arcsec", "seeing (median FWHM)", "{:.2f} arcsec"),
    ("fwhm_error_arcsec", "its standard error", "{:.2f} arcsec"),
    ("ellipticity", "ellipticity (median)", "{:.2f}"),
    ("trail_arcsec", "trail that all sources have", "{:.2f} arcsec"),
    ("trail_least_arcsec", "at least, by two standard errors", "{:.2f} arcsec"),
    ("trail_most_arcsec", "at most, by two standard errors", "{:.2f} arcsec"),
    ("coherence", "coherence of the ellipticities", "{:.2f}"),
    ("position_angle_deg", "direction of the trail", "{:.0f} deg"),
    ("repeated_fraction", "sources repeated at one offset", "{:.2f}"),
    ("repeat_arcsec", "that offset", "{:.1f} arcsec"),
    ("background_range", "background range over the sky", "{:.3f}"),
    ("background_sigma", "background range over the noise", "{:.2f}"),
    ("background_step", "step between the halves, over the sky", "{:.3f}"),
    ("n_sources", "sources", "{:.0f}"),
    ("n_shapes", "bright, unsaturated and whole", "{:.0f}"),
)


def write_report(
    verdicts: Sequence[ExposureVerdict],
    failed: Sequence[tuple[str, str]],
    model: TrainedModel,
    path: Path,
    *,
    evaluation: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write the page of a run.

    Parameters
    ----------
    verdicts : sequence of ExposureVerdict
        What was judged.
    failed : sequence of (str, str)
        Exposures that could not be judged, and why.
    model : TrainedModel
        What judged them.
    path : Path
        The page.
    evaluation : mapping, optional
        What ``cfht-iqa evaluate --json`` printed.
    overwrite : bool, optional
        Replace a page.

    Raises
    ------
    OutputError
        If the page exists or cannot be written.
    """
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<title>CFHT image quality</title><style>{_STYLE}</style></head><body>",
        "<h1>Image quality of MegaCam exposures</h1>",
    ]
    if any(item.synthetic for item in verdicts):
        parts.append("<p class='banner'>SYNTHETIC DATA: the exposures come from a simulation.</p>")
    parts.append(
        f"<p class='note'>cfht-iqa {__version__}, {creation_time()}; {len(verdicts)} exposures "
        f"judged, {len(failed)} failed.</p>"
    )
    parts.append(_overview(verdicts, failed))
    if evaluation is not None:
        parts.append(_evaluation(evaluation))
    parts += [_exposure(item) for item in verdicts]
    parts.append(_map(model))
    parts.append("</body></html>\n")
    with atomic_path(path, overwrite=overwrite) as partial:
        partial.write_text("".join(parts), encoding="utf-8")


def _picture(figure: Figure, text: str) -> str:
    content = base64.b64encode(saved(figure, dots_per_inch=_DOTS_PER_INCH)).decode("ascii")
    return f"<img src='data:image/png;base64,{content}' alt='{html.escape(text, quote=True)}'>"


def _colour(item: ExposureVerdict) -> str:
    return "#5a5a5a" if item.standing == "not judged" else CLASS_COLOURS[item.verdict]


def _overview(verdicts: Sequence[ExposureVerdict], failed: Sequence[tuple[str, str]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in CLASSES)
    rows = []
    for item in verdicts:
        shares = "".join(f"<td>{item.probabilities[name]:.2f}</td>" for name in CLASSES)
        name = html.escape(item.exposure)
        reason = html.escape(item.reasons[0])
        told = f"<b>{item.standing}</b>: {reason}" if item.standing else reason
        rows.append(
            f"<tr><td><a href='#{name}'>{name}</a></td>"
            f"<td class='told'><span class='verdict' style='border-color:{_colour(item)}'>"
            f"{'?' if item.standing == 'not judged' else item.verdict}</span></td>{shares}"
            f"<td class='told'>{told}</td></tr>"
        )
    head = f"<tr><th>exposure</th><th class='told'>verdict</th>{head}<th class='told'>why</th></tr>"
    table = f"<table>{head}{''.join(rows)}</table>"
    lines = "".join(
        f"<li>{html.escape(name)}: {html.escape(reason)}</li>" for name, reason in failed
    )
    return table + (f"<h2>Not judged</h2><ul>{lines}</ul>" if lines else "")


def _exposure(item: ExposureVerdict) -> str:
    name = html.escape(item.exposure)
    header = item.header
    facts = [
        f"{header['exptime_s']:g} s",
        str(header["filter"] or "filter not known"),
        f"{header['pixel_scale_arcsec']:g} arcsec/px",
        str(header["runid"] or ""),
    ]
    told = html.escape(", ".join(fact for fact in facts if fact))
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in item.reasons)
    with drawing():
        mosaic = _picture(
            mosaic_figure(item.ccds, item.thumbnails), f"focal plane of {item.exposure}"
        )
        chosen = _most_telling(item)
        counts = [item.representatives[ccd].n_sources for ccd in chosen]
        images = {ccd: item.representatives[ccd].image for ccd in chosen}
        tiles = _picture(
            representative_figure(item.exposure, images, counts),
            f"representative image of {item.exposure}",
        )
    said = f"({CLASS_MEANINGS[item.verdict]}), probability {item.probabilities[item.verdict]:.2f}"
    word = item.verdict
    if item.standing == "not judged":
        word, said = item.standing, f"(the network alone: {word} {said})"
    elif item.standing:
        said = f"{said}, {item.standing}"
    return (
        f"<h2 id='{name}'>{name}: <span class='verdict' style='border-color:{_colour(item)}'>"
        f"{word}</span> {said}</h2>"
        f"<p class='note'>{told}</p><div class='parts'><div>{mosaic}</div>"
        f"<div><ul>{reasons}</ul>{_measures(item.measures)}</div></div><p>{tiles}</p>"
    )


def _most_telling(item: ExposureVerdict) -> list[str]:
    """CCDs that agree most with the verdict."""
    with_own = [ccd for ccd in item.ccds if ccd["probabilities"] is not None]
    with_own.sort(key=lambda ccd: -ccd["probabilities"][item.verdict])
    return [str(ccd["ccd"]) for ccd in with_own[:_SHOWN_CCDS]]


def _measures(measures: Mapping[str, float]) -> str:
    rows = []
    limits = limits_for(measures)
    for key, text, form in _MEASURES:
        value = measures[key]
        shown = form.format(value) if math.isfinite(value) else "not measured"
        if key == "repeat_arcsec" and not measures["repeated_fraction"] > 0.0:
            shown = "none"
        limit = limits.get(key)
        beyond = limit is not None and math.isfinite(value) and value > limit
        mark = " class='beyond'" if beyond else ""
        limited = "" if limit is None else f"{limit:.3g}"
        rows.append(f"<tr><td>{text}</td><td{mark}>{shown}</td><td>{limited}</td></tr>")
    return (
        "<table><tr><th>of all CCDs</th><th>measured</th><th>limit</th></tr>"
        f"{''.join(rows)}</table>"
    )


def _map(model: TrainedModel) -> str:
    with drawing():
        overview = _picture(map_overview(model.trained_map), "U-matrix, hits and groups")
        planes = _picture(component_planes(model.trained_map), "component planes")
    text = html.escape(describe(model.trained_map.record))
    return f"<h2>Self-organising map</h2><p class='note'>{text}</p><p>{overview}</p><p>{planes}</p>"


def _evaluation(evaluation: Mapping[str, Any]) -> str:
    low, high = evaluation["accuracy_interval_95"]
    names = evaluation["classes"]
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in names)
    rows = []
    for name, row in zip(names, evaluation["confusion"], strict=True):
        cells = "".join(f"<td>{int(count)}</td>" for count in row)
        rows.append(f"<tr><td>{html.escape(str(name))}</td>{cells}</tr>")
    lines = [
        f"<li>{html.escape(str(name).replace('_', ' '))}: {scores['accuracy']:.3f}</li>"
        for name, scores in evaluation.get("baselines", {}).items()
    ]
    baselines = f"<p>Accuracy of the baselines:</p><ul>{''.join(lines)}</ul>" if lines else ""
    return (
        f"<h2>Agreement with labels</h2><p>Accuracy {evaluation['accuracy']:.3f} (95 %: {low:.3f} "
        f".. {high:.3f}) on {len(evaluation['exposures'])} exposures that were not trained on.</p>"
        f"<table><tr><th>label \\ verdict</th>{head}</tr>{''.join(rows)}</table>{baselines}"
    )
