"""Which inputs a run would read, and what is wrong with them, before any work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from astro_common.errors import AstroError
from splus_hypercube.astrometry import ARCSEC_PER_DEG, separation_arcsec
from splus_hypercube.bands import BAND_NAMES
from splus_hypercube.catalogues import find_column, open_catalogue
from splus_hypercube.configuration import Configuration
from splus_hypercube.expressions import check_rows, parse_selection
from splus_hypercube.fields import FIELD_RADIUS_DEG, Field, read_fields
from splus_hypercube.inputs import field_target
from splus_hypercube.schema import RunSchema, plan_schema
from splus_hypercube.scratch import Scratch
from splus_hypercube.surveys import configured_surveys
from splus_hypercube.surveys.splus import list_images

__all__ = ["text_report", "validate"]


def validate(configuration: Configuration) -> dict[str, Any]:
    """Check a configuration and the inputs that it names.

    Parameters
    ----------
    configuration : Configuration

    Returns
    -------
    dict
        ``output``; ``num_fields``; ``columns``, their number; ``surveys``, their names; ``fields``,
        for each its name, rows, epoch, number of files of each survey, and bands without an image;
        ``problems``, a list of messages, empty if all is well.

    Raises
    ------
    ConfigurationError
        If ``cutouts.rows`` is wrong, or two columns would have one name.
    InputError
        If the list of fields cannot be read.
    """
    check_rows(configuration.cutouts.rows)
    fields = read_fields(configuration.fields, configuration.exclude_fields)
    run = plan_schema(configuration, fields)
    problems = [str(error) for error in run.unreadable.values()]
    reports = [_field(configuration, run, field, problems) for field in fields]
    return {
        "output": str(configuration.output),
        "num_fields": len(fields),
        "columns": len(run.schema),
        "surveys": [survey.name for survey in configured_surveys(configuration)],
        "fields": reports,
        "problems": problems,
    }


def _field(
    configuration: Configuration, run: RunSchema, field: Field, problems: list[str]
) -> dict[str, Any]:
    report: dict[str, Any] = {"field": field.name, "rows": None, "files": {}}
    path = configuration.catalogue_path(field.name)
    try:
        with open_catalogue(path) as catalogue:
            report["rows"] = catalogue.num_rows
            rows = configuration.cutouts.rows.strip()
            if rows not in ("all", "gaia", "none"):
                for name in parse_selection(rows).columns:
                    find_column(catalogue.schema, [name], path)
            images = list_images(configuration, field.name, BAND_NAMES)
            missing = [image.band for image in images if image.path is None]
            report["bands_without_image"] = missing if configuration.splus.images else []
            target = field_target(
                configuration,
                run,
                field,
                catalogue,
                {image.band: image.path for image in images},
                Scratch(configuration.output),
            )
            report["epoch_jyear"] = target.epoch_jyear
            far = _far_from_centre(field, target.ra, target.dec)
            if far:
                problems.append(f"field {field.name}: {far}")
    except AstroError as error:
        problems.append(f"field {field.name}: {error}")
        return report
    for survey in configured_surveys(configuration):
        try:
            paths = survey.inputs(target)
            report["files"][survey.name] = len(paths)
            gone = [item for item in paths if not item.exists()]
            problems.extend(f"field {field.name}: {item}: no such file" for item in gone)
        except AstroError as error:
            problems.append(f"field {field.name}: {error}")
    return report


def _far_from_centre(field: Field, ra: Any, dec: Any) -> str:
    """A message if the catalogue lies elsewhere than the field list says."""
    known = np.isfinite(ra) & np.isfinite(dec)
    if not known.any():
        return ""
    distance = separation_arcsec(field.ra, field.dec, ra[known], dec[known]) / ARCSEC_PER_DEG
    if distance.max() <= FIELD_RADIUS_DEG:
        return ""
    return (
        f"a source lies {distance.max():.2f} deg from the field's centre of the field list; "
        f"expected at most {FIELD_RADIUS_DEG} deg"
    )


def text_report(report: dict[str, Any]) -> Sequence[str]:
    """Lines for a person."""
    lines = [
        f"{report['num_fields']} fields, {report['columns']} columns, to {report['output']}",
    ]
    for field in report["fields"]:
        files = ", ".join(f"{name} {count}" for name, count in field["files"].items())
        lines.append(f"{field['field']}: {field['rows']} sources; files: {files or 'none'}")
        if field.get("bands_without_image"):
            lines.append(f"  no image in {' '.join(field['bands_without_image'])}")
    lines.extend(f"problem: {problem}" for problem in report["problems"])
    return lines
