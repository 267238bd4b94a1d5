"""Answers to what the page asks for, from the hypercubes given and from nothing else."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from astro_common.errors import AstroError, ConfigurationError
from astro_common.parquet import field_metadata
from splus_hypercube.view.cube import Cube, open_cube
from splus_hypercube.view.labels import with_minus_signs
from splus_hypercube.view.matches import SURVEY_TITLES, source_matches
from splus_hypercube.view.source import Source, read_row
from splus_hypercube.view.theme import DARK, LIGHT
from splus_hypercube.viewer.figures import figure_svg, kinds_of
from splus_hypercube.viewer.sky import Box, Sky, filter_columns

__all__ = ["Answer", "Answers", "RefusalError"]

_PAGE_ROWS = 50
_MAX_QUERY = 4000
_ASSETS: Mapping[str, tuple[str, str]] = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/view.css": ("view.css", "text/css; charset=utf-8"),
    "/view.js": ("view.js", "text/javascript; charset=utf-8"),
}
_THEMES = {"light": LIGHT, "dark": DARK}


@dataclass(frozen=True)
class Answer:
    """What is sent to the page.

    Attributes
    ----------
    kind : str
        Content type.
    body : bytes
    """

    kind: str
    body: bytes


class RefusalError(Exception):
    """A question that cannot be answered.

    Attributes
    ----------
    status : int
        HTTP status.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Opened:
    """A hypercube, its sources on the sky, and the source looked at last."""

    def __init__(self, cube: Cube) -> None:
        self.cube = cube
        self.sky = Sky(cube)
        self._last: Source | None = None

    def source(self, row: int) -> Source:
        if not 0 <= row < self.cube.num_rows:
            raise RefusalError(404, f"row {row}: the hypercube has {self.cube.num_rows} rows")
        if self._last is None or self._last.row != row:
            self._last = read_row(self.cube, row)
        return self._last


class Answers:
    """Answers questions about some hypercubes; a context manager that closes them.

    Parameters
    ----------
    paths : list of Path

    Raises
    ------
    InputError
        If a file is missing, damaged or no hypercube.
    """

    def __init__(self, paths: list[Path]) -> None:
        self._stack = ExitStack()
        # An open Parquet file serves one reader at a time, and figures are drawn one at a time.
        self._lock = threading.Lock()
        try:
            self._cubes = [_Opened(self._stack.enter_context(open_cube(path))) for path in paths]
        except BaseException:
            self._stack.close()
            raise
        page = resources.files("splus_hypercube.viewer") / "page"
        self._assets = {
            route: Answer(kind, (page / name).read_bytes())
            for route, (name, kind) in _ASSETS.items()
        }
        self._routes: Mapping[str, Callable[[Mapping[str, str]], Answer]] = {
            "/api/cubes": self._about,
            "/api/sky": self._sky,
            "/api/nearest": self._nearest,
            "/api/sources": self._sources,
            "/api/find": self._find,
            "/api/source": self._source,
            "/api/cutouts": self._cutouts,
            "/api/figure": self._figure,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def to(self, route: str, query: Mapping[str, str]) -> Answer:
        """Answer a question.

        Parameters
        ----------
        route : str
            Path of the address.
        query : mapping of str to str

        Returns
        -------
        Answer

        Raises
        ------
        RefusalError
            If there is no such question, or no answer to it.
        """
        if route in self._assets:
            return self._assets[route]
        if route not in self._routes:
            raise RefusalError(404, "no such page")
        if sum(map(len, query.values())) > _MAX_QUERY:
            raise RefusalError(414, "a longer question than anybody asks")
        with self._lock:
            try:
                return self._routes[route](query)
            except ConfigurationError as error:
                wanted = f"; expected {error.expected}" if error.expected else ""
                raise RefusalError(400, f"{error.found}{wanted}") from error
            except AstroError as error:
                raise RefusalError(500, str(error)) from error

    def _opened(self, query: Mapping[str, str]) -> _Opened:
        number = _integer(query, "cube", 0)
        if not 0 <= number < len(self._cubes):
            raise RefusalError(404, f"no hypercube {number}")
        return self._cubes[number]

    def _about(self, query: Mapping[str, str]) -> Answer:
        found = []
        for opened in self._cubes:
            cube, box = opened.cube, opened.sky.bounds()
            surveys = cube.metadata.get("surveys", {})
            found.append(
                {
                    "field": cube.field,
                    "file": cube.path.name,
                    "rows": cube.num_rows,
                    "synthetic": cube.synthetic,
                    "bands": [str(band) for band in cube.metadata.get("bands", [])],
                    "cutout_size_px": cube.metadata.get("cutout_size_px"),
                    "centre": list(opened.sky.centre_deg),
                    "bounds": [box.low_x, box.high_x, box.low_y, box.high_y],
                    "columns": [
                        {"name": name, "unit": _unit(cube.schema, name)}
                        for name in filter_columns(cube.schema)
                    ],
                    "surveys": [
                        {
                            "name": name,
                            "title": title,
                            "matches": surveys[name].get("matches"),
                            "has_separation": f"{name}_separation_arcsec" in cube.schema.names,
                        }
                        for name, title in SURVEY_TITLES.items()
                        if name in surveys
                    ],
                }
            )
        return _json({"cubes": found})

    def _sky(self, query: Mapping[str, str]) -> Answer:
        opened = self._opened(query)
        edges = [_number(query, name) for name in ("x0", "x1", "y0", "y1")]
        if edges[0] >= edges[1] or edges[2] >= edges[3]:
            raise RefusalError(400, "x0, x1, y0, y1: a rectangle without an inside")
        return _json(opened.sky.within(Box(*edges), query.get("where", "")))

    def _nearest(self, query: Mapping[str, str]) -> Answer:
        opened = self._opened(query)
        place = _number(query, "x"), _number(query, "y")
        return _json({"row": opened.sky.nearest(*place, query.get("where", ""))})

    def _sources(self, query: Mapping[str, str]) -> Answer:
        opened = self._opened(query)
        cube, sky = opened.cube, opened.sky
        sort, where = query.get("sort", ""), query.get("where", "")
        rows = sky.ordered(where, sort, descending=query.get("order") == "down")
        first = max(0, _integer(query, "first", 0)) // _PAGE_ROWS * _PAGE_ROWS
        shown = rows[first : first + _PAGE_ROWS]
        names = [name for name in query.get("columns", "").split(",") if name]
        identifiers = cube.columns([cube.identifier_name])[cube.identifier_name]
        values = [_cells(opened, name) for name in names]
        return _json(
            {
                "selected": len(rows),
                "first": first,
                "page": _PAGE_ROWS,
                "rows": [
                    {
                        "row": row,
                        "id": str(identifiers[row].as_py()),
                        "ra": _finite(sky.ra[row]),
                        "dec": _finite(sky.dec[row]),
                        "x": _finite(sky.x[row]),
                        "y": _finite(sky.y[row]),
                        "values": [cells(row) for cells in values],
                    }
                    for row in shown.tolist()
                ],
            }
        )

    def _find(self, query: Mapping[str, str]) -> Answer:
        opened = self._opened(query)
        try:
            return _json({"row": opened.cube.find_row(query.get("id", ""))})
        except AstroError as error:
            raise RefusalError(404, str(error).partition(": ")[2] or str(error)) from error

    def _source(self, query: Mapping[str, str]) -> Answer:
        opened = self._opened(query)
        row = _integer(query, "row")
        source = opened.source(row)
        sky = opened.sky
        return _json(
            {
                "row": row,
                "id": source.identifier,
                "ra": _finite(sky.ra[row]),
                "dec": _finite(sky.dec[row]),
                "x": _finite(sky.x[row]),
                "y": _finite(sky.y[row]),
                "synthetic": source.synthetic,
                "figures": kinds_of(source),
                "cutouts": [band for band, image in source.cutouts.items() if image is not None],
                "matches": [
                    {
                        "title": match.title,
                        "found": match.found,
                        "id": match.identifier,
                        "separation_arcsec": match.separation_arcsec,
                        "candidates": match.n_candidates,
                        "summary": match.summary,
                    }
                    for match in source_matches(source)
                ],
                "values": _values(opened.cube.schema, source),
            }
        )

    def _cutouts(self, query: Mapping[str, str]) -> Answer:
        opened = self._opened(query)
        source = opened.source(_integer(query, "row"))
        size = int(opened.cube.metadata.get("cutout_size_px") or 0)
        empty = np.full((size, size), np.nan, dtype="<f4")
        images = [
            empty if image is None else np.asarray(image, dtype="<f4")
            for image in source.cutouts.values()
        ]
        return Answer("application/octet-stream", b"".join(item.tobytes() for item in images))

    def _figure(self, query: Mapping[str, str]) -> Answer:
        opened = self._opened(query)
        source = opened.source(_integer(query, "row"))
        kind = query.get("kind", "")
        if kind not in kinds_of(source):
            raise RefusalError(404, f"no figure {kind!r} of this source")
        theme = _THEMES.get(query.get("theme", "light"), LIGHT)
        return Answer("image/svg+xml", figure_svg(source, kind, theme))


def _json(value: Mapping[str, Any]) -> Answer:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Answer("application/json; charset=utf-8", text.encode())


def _integer(query: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = query.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise RefusalError(400, f"{name}: found {text!r}; expected a number from 0 on")
    return int(text)


def _number(query: Mapping[str, str], name: str) -> float:
    try:
        value = float(query.get(name, ""))
    except ValueError as error:
        raise RefusalError(400, f"{name}: found {query.get(name)!r}; expected a number") from error
    if not math.isfinite(value):
        raise RefusalError(400, f"{name}: found {value}; expected a finite number")
    return value


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _unit(schema: pa.Schema, name: str) -> str:
    return field_metadata(schema.field(name)).get("unit", "")


def _cells(opened: _Opened, name: str) -> Callable[[int], float | str | None]:
    """What the list shows of a column: numbers; integers as text, which stays exact in the page."""
    numbers = opened.sky.values(name)
    kind = opened.cube.schema.field(name).type
    if pa.types.is_floating(kind):
        return lambda row: _finite(numbers[row])
    column = opened.cube.columns([name])[name]
    return lambda row: str(column[row].as_py()).lower() if column[row].is_valid else None


def _values(schema: pa.Schema, source: Source) -> list[dict[str, str]]:
    """Every column but the cutouts as text: single values, and of lists their length."""
    found = []
    for field in schema:
        own = field_metadata(field)
        if field.name not in source.values:
            continue
        found.append(
            {
                "name": field.name,
                "value": _shown(source.values[field.name]),
                "unit": own.get("unit", ""),
                "survey": own.get("survey", ""),
                "description": own.get("description", ""),
            }
        )
    return found


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return with_minus_signs(f"{value:.9g}")
    if isinstance(value, (np.ndarray, tuple, list)):
        return f"{len(value)} values"
    return str(value)
