"""The local page: what it answers, what it refuses, and how it looks in a browser."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord

from astro_common.errors import ConfigurationError, InputError
from astro_common.parquet import ParquetWriter, described, read_metadata
from splus_hypercube.__main__ import main
from splus_hypercube.schema import METADATA_KEY
from splus_hypercube.view.cube import open_cube
from splus_hypercube.viewer import sky as sky_module
from splus_hypercube.viewer.answers import Answers
from splus_hypercube.viewer.server import PageServer
from splus_hypercube.viewer.sky import Box, Sky

ALL = {"x0": "-1", "x1": "1", "y0": "-1", "y1": "1"}


@pytest.fixture(scope="module")
def cubes(write_cube: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("viewer")
    return [
        write_cube(folder / "datacube_F1.parquet", missing_bands=("F395",)),
        write_cube(folder / "datacube_F2.parquet", rows=3, synthetic=False, field="F2"),
    ]


@pytest.fixture(scope="module")
def server(cubes: list[Path]) -> Iterator[PageServer]:
    with Answers(cubes) as answers, PageServer(answers) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def request(
    port: int, route: str, method: str = "GET", host: str | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest(method, route, skip_host=host is not None)
    if host is not None:
        connection.putheader("Host", host)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def get(server: PageServer, route: str, **query: str) -> bytes:
    words = f"?{urllib.parse.urlencode(query)}" if query else ""
    status, _, body = request(server.port, route + words)
    assert status == 200, body
    return body


def ask(server: PageServer, route: str, **query: str) -> Any:
    return json.loads(get(server, route, **query))


def refusal(server: PageServer, route: str, **query: str) -> tuple[int, str]:
    words = f"?{urllib.parse.urlencode(query)}" if query else ""
    status, _, body = request(server.port, route + words)
    return status, body.decode()


def test_what_there_is(server: PageServer) -> None:
    first, second = ask(server, "/api/cubes")["cubes"]
    assert (first["field"], first["rows"], first["synthetic"]) == ("F1", 10, True)
    assert (second["field"], second["rows"], second["synthetic"]) == ("F2", 3, False)
    assert first["file"] == "datacube_F1.parquet"
    assert {"name": "mag_pstotal_r", "unit": "mag"} in first["columns"]
    assert "gaia" in {survey["name"] for survey in first["surveys"]}


def test_map_shows_every_source(server: PageServer) -> None:
    found = ask(server, "/api/sky", **ALL)
    assert (found["total"], found["selected"], found["inside"]) == (10, 10, 10)
    assert [row for row, _, _ in found["points"]] == list(range(10))
    # Right ascension rises by 0.01 degrees from row to row: x, which points to the east, does too.
    assert np.all(np.diff([x for _, x, _ in found["points"]]) > 0)


def test_map_projects_as_astropy_does(cubes: list[Path]) -> None:
    with open_cube(cubes[0]) as cube:
        sky = Sky(cube)
    centre = SkyCoord(*sky.centre_deg, unit="deg")
    places = SkyCoord(sky.ra, sky.dec, unit="deg").transform_to(centre.skyoffset_frame())
    assert np.allclose(sky.x, places.lon.wrap_at(180 * u.deg).deg, atol=1e-7)
    assert np.allclose(sky.y, places.lat.deg, atol=1e-7)


def test_filter_counts_what_it_chooses(server: PageServer, cubes: list[Path]) -> None:
    magnitudes = pq.read_table(cubes[0], columns=["mag_pstotal_r"])["mag_pstotal_r"].to_numpy()
    middle = float(np.median(magnitudes))
    found = ask(server, "/api/sky", **ALL, where=f"mag_pstotal_r < {middle}")
    assert [row for row, _, _ in found["points"]] == np.flatnonzero(magnitudes < middle).tolist()


def test_many_sources_become_counts(cubes: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sky_module, "MAX_POINTS", 4)
    with open_cube(cubes[0]) as cube:
        sky = Sky(cube)
        found = sky.within(sky.bounds(), "")
    counts = np.array(found["counts"])
    assert "points" not in found
    assert counts.sum() == found["inside"] == 10
    # Rows of the grid by y, columns by x: the sources lie on one parallel, from west to east.
    assert len(np.unique(np.nonzero(counts)[1])) == 10


def test_hundred_thousand_sources_are_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)

    class Many:
        schema = pq.ParquetSchema
        path = Path("many.parquet")

        def positions(self) -> tuple[np.ndarray, np.ndarray]:
            return rng.uniform(359.0, 361.0, 100_000) % 360.0, rng.uniform(-1.0, 1.0, 100_000)

    monkeypatch.setattr(sky_module, "filter_columns", lambda schema: [])
    sky = Sky(Many())  # type: ignore[arg-type]
    whole = sky.within(sky.bounds(), "")
    assert whole["inside"] == 100_000
    assert len(json.dumps(whole)) < 100_000
    near = sky.within(Box(-0.05, 0.05, -0.05, 0.05), "")
    assert near["inside"] == len(near["points"]) < 1000


def test_nearest_source(server: PageServer) -> None:
    points = ask(server, "/api/sky", **ALL)["points"]
    row, x, y = points[7]
    assert ask(server, "/api/nearest", x=str(x + 1e-3), y=str(y)) == {"row": row}
    nowhere = ask(server, "/api/nearest", x="0", y="0", where="mag_pstotal_r > 1000")
    assert nowhere == {"row": None}


def test_list_sorts_and_turns_pages(server: PageServer, cubes: list[Path]) -> None:
    magnitudes = pq.read_table(cubes[0], columns=["mag_pstotal_r"])["mag_pstotal_r"].to_numpy()
    found = ask(server, "/api/sources", sort="mag_pstotal_r", order="down", columns="mag_pstotal_r")
    assert [item["row"] for item in found["rows"]] == np.argsort(-magnitudes).tolist()
    assert found["rows"][0]["values"] == [pytest.approx(magnitudes.max())]
    assert found["rows"][0]["id"] == f"iDR6_F1_{np.argmax(magnitudes):04d}"
    later = ask(server, "/api/sources", first="50")
    assert later["rows"] == []
    assert later["selected"] == 10


def test_missing_values_come_last_in_either_order(server: PageServer) -> None:
    for order in ("up", "down"):
        found = ask(
            server,
            "/api/sources",
            sort="gaia_separation_arcsec",
            order=order,
            columns="gaia_separation_arcsec",
        )
        values = [item["values"][0] for item in found["rows"]]
        known = [value for value in values if value is not None]
        assert values[len(known) :] == [None] * (len(values) - len(known))
        assert known == sorted(known, reverse=order == "down")


def test_identifiers_in_the_list_are_exact(server: PageServer, cubes: list[Path]) -> None:
    found = ask(server, "/api/sources", columns="gaia_source_id,gaia_parallax")
    identifiers = pq.read_table(cubes[0], columns=["gaia_source_id"])["gaia_source_id"].to_pylist()
    # As text: a number of JSON is a float in the page.
    expected = [None if item is None else str(item) for item in identifiers]
    assert [item["values"][0] for item in found["rows"]] == expected
    assert found["rows"][0]["values"][1] == 0.5


@pytest.fixture(scope="module")
def flagged(cubes: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hypercube with a logical column: true, false and missing in turn."""
    table = pq.read_table(cubes[0])
    flags = pa.array([(True, False, None)[row % 3] for row in range(table.num_rows)])
    table = table.append_column(described("gaia_has_xp_continuous", flags.type), flags)
    path = tmp_path_factory.mktemp("flagged") / "flagged.parquet"
    own = {METADATA_KEY: read_metadata(cubes[0])[METADATA_KEY]}
    schema = table.schema.remove_metadata()
    with ParquetWriter(path, schema, metadata=own) as writer:
        writer.write(table.replace_schema_metadata(None))
    return path


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("gaia_has_xp_continuous", [0, 3, 6, 9]),
        ("gaia_has_xp_continuous == 1", [0, 3, 6, 9]),
        ("not gaia_has_xp_continuous", [1, 2, 4, 5, 7, 8]),
        ("1 < 2", list(range(10))),
        (f"gaia_source_id == {2_684_354_560_000_000_003}", [2]),
    ],
)
def test_filter_by_flags_and_identifiers(flagged: Path, where: str, rows: list[int]) -> None:
    with open_cube(flagged) as cube:
        assert np.flatnonzero(Sky(cube).selected(where)).tolist() == rows


def test_list_shows_flags(flagged: Path) -> None:
    with Answers([flagged]) as answers:
        query = {"columns": "gaia_has_xp_continuous", "sort": "gaia_has_xp_continuous"}
        found = json.loads(answers.to("/api/sources", query).body)
    values = [item["values"][0] for item in found["rows"]]
    assert values == ["false"] * 3 + ["true"] * 4 + [None] * 3


def test_source_and_its_counterparts(server: PageServer, cubes: list[Path]) -> None:
    found = ask(server, "/api/source", row="0")
    assert found["id"] == "iDR6_F1_0000"
    assert "F395" not in found["cutouts"]
    assert len(found["cutouts"]) == 11
    gaia = next(match for match in found["matches"] if match["title"] == "Gaia DR3")
    table = pq.read_table(cubes[0])
    assert gaia["id"] == str(table["gaia_source_id"][0].as_py())
    assert gaia["separation_arcsec"] == table["gaia_separation_arcsec"][0].as_py()
    named = {item["name"]: item["value"] for item in found["values"]}
    # No identifier passes through a float on its way to the page.
    assert named["gaia_source_id"] == str(table["gaia_source_id"][0].as_py())
    absent = ask(server, "/api/source", row="1")
    assert not any(match["found"] for match in absent["matches"])


def test_source_is_found_by_its_identifier(server: PageServer) -> None:
    assert ask(server, "/api/find", id="iDR6_F1_0006") == {"row": 6}
    status, text = refusal(server, "/api/find", id="iDR6_F1_9999")
    assert status == 404
    assert "no source 'iDR6_F1_9999'" in text


def test_cutouts_are_the_pixels_of_the_file(server: PageServer, cubes: list[Path]) -> None:
    pixels = np.frombuffer(get(server, "/api/cutouts", row="3"), dtype="<f4").reshape(12, 24, 24)
    about = ask(server, "/api/cubes")["cubes"][0]
    table = pq.read_table(cubes[0])
    for image, band in zip(pixels, about["bands"], strict=True):
        expected = table[f"splus_cut_{band}"][3].as_py()
        if expected is None:
            assert np.isnan(image).all()
        else:
            assert np.array_equal(image.ravel(), np.array(expected, dtype="f4"), equal_nan=True)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_are_pictures_with_text(server: PageServer, theme: str) -> None:
    kinds = ask(server, "/api/source", row="0")["figures"]
    assert set(kinds) == {"photometry", "light_curve", "spectrum", "xp"}
    for kind in kinds:
        svg = get(server, "/api/figure", row="0", kind=kind, theme=theme)
        assert svg == get(server, "/api/figure", row="0", kind=kind, theme=theme)
        assert svg.startswith(b"<?xml")
        assert b"</text>" in svg


@pytest.mark.parametrize(
    ("route", "query", "status", "says"),
    [
        ("/nothing", {}, 404, "no such page"),
        ("/../pyproject.toml", {}, 404, "no such page"),
        ("/view.js/../../answers.py", {}, 404, "no such page"),
        ("/%2e%2e/answers.py", {}, 404, "no such page"),
        ("/api/source", {}, 400, "row"),
        ("/api/source", {"row": "-1"}, 400, "row"),
        ("/api/source", {"row": "10"}, 404, "10 rows"),
        ("/api/source", {"row": "1e3"}, 400, "row"),
        ("/api/source", {"row": "0", "cube": "2"}, 404, "no hypercube 2"),
        ("/api/sky", {**ALL, "x0": "nan"}, 400, "finite"),
        ("/api/sky", {**ALL, "x0": "2"}, 400, "rectangle"),
        ("/api/sky", {**ALL, "where": "open('x')"}, 400, "open"),
        ("/api/sky", {**ALL, "where": "no_such < 3"}, 400, "no_such"),
        ("/api/sky", {**ALL, "where": "id == 'a'"}, 400, "'id'"),
        ("/api/sky", {**ALL, "where": "mag_pstotal_r"}, 400, "condition"),
        ("/api/sky", {**ALL, "where": "x" * 5000}, 414, "longer"),
        ("/api/sources", {"sort": "splus_cut_R"}, 400, "splus_cut_R"),
        ("/api/figure", {"row": "1", "kind": "spectrum"}, 404, "no figure"),
        ("/api/figure", {"row": "0", "kind": "../x"}, 404, "no figure"),
    ],
)
def test_what_is_refused(
    server: PageServer, route: str, query: dict[str, str], status: int, says: str
) -> None:
    found, text = refusal(server, route, **query)
    assert found == status
    assert says in text
    assert "\n" not in text


def test_only_this_machine_is_answered(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    for host, status in (("evil.example", 403), (f"localhost:{server.port}", 200), ("", 403)):
        assert request(server.port, "/api/cubes", host=host)[0] == status


def test_address_that_is_none_is_refused(server: PageServer) -> None:
    host = f"localhost:{server.port}"
    assert request(server.port, "http://[/api/cubes", host=host)[0] == 400


def test_nothing_can_be_changed(server: PageServer) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert request(server.port, "/api/cubes", method)[0] == 501
    status, headers, body = request(server.port, "/api/cubes", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 0


def test_answers_carry_what_keeps_the_page_to_itself(server: PageServer) -> None:
    _, headers, body = request(server.port, "/")
    policy, text = headers["Content-Security-Policy"], body.decode()
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http://" not in text
    assert "https://" not in text


def test_port_that_is_taken(server: PageServer, cubes: list[Path]) -> None:
    with Answers(cubes) as answers, pytest.raises(ConfigurationError, match="--port"):
        PageServer(answers, server.port)


def test_file_that_is_no_hypercube(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(InputError):
        Answers([path])
    assert main(["view", str(path), "--no-browser"]) == 1
    assert main(["view", str(tmp_path / "absent.parquet"), "--no-browser"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_command_serves_until_interrupted(cubes: list[Path]) -> None:
    words = [sys.executable, "-m", "splus_hypercube", "view", str(cubes[0]), "--no-browser"]
    process = subprocess.Popen(
        [*words, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    # One object, which ends with the first line that is a closing brace.
    text = "".join(iter(process.stdout.readline, "}\n")) + "}"
    url = json.loads(text)["url"]
    port = int(urllib.parse.urlsplit(url).port or 0)
    assert json.loads(request(port, "/api/cubes")[2])["cubes"][0]["field"] == "F1"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err


@pytest.fixture(scope="module")
def browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium here to open the page in")


def seen(browser: str, url: str, folder: Path) -> str:
    """The page as the browser has it once its program has run."""
    words = [browser, "--headless", "--disable-gpu", "--disable-dev-shm-usage"]
    words += ["--dump-dom", "--virtual-time-budget=15000"]
    # As root, Chromium refuses to run within its own walls.
    words += ["--no-sandbox"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*words, f"--user-data-dir={folder}", "--window-size=1400,1000", url],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


def test_page_shows_field_and_source(server: PageServer, browser: str, tmp_path: Path) -> None:
    page = seen(browser, f"{server.url}#row=0&extra=mag_pstotal_r&sort=mag_pstotal_r", tmp_path)
    assert 'data-ready="true"' in page
    assert "10 of 10 sources chosen, 10 in view" in page
    assert '<h2 id="source-id">iDR6_F1_0000</h2>' in page
    assert page.count('aria-label="Cutout in ') == 11
    assert page.count("/api/figure?") == 4
    assert 'aria-current="true"' in page
    assert 'aria-sort="ascending"' in page
    assert "Synthetic data" in page
    assert '<p id="where-error" class="error" role="alert" hidden' in page


def test_page_says_what_is_wrong_with_a_filter(
    server: PageServer, browser: str, tmp_path: Path
) -> None:
    page = seen(browser, f"{server.url}#where=no_such%20%3C%203", tmp_path)
    assert "column 'no_such'" in page
    assert 'aria-invalid="true"' in page
