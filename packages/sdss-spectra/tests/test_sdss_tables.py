from __future__ import annotations

import hashlib
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from sdssfiles import rows_of, write_spec, write_spspec

from sdss_spectra.manifest import sha256_of


def test_metadata_of_a_spec_file(spec, tmp_path, run):
    status, _, _ = run("metadata", spec.parent, "-o", tmp_path / "m.csv")
    assert status == 0
    (row,) = rows_of(tmp_path / "m.csv")
    assert row["spec_id"] == "spec-0266-51602-0001"
    assert row["obj_id"] == "1237680284389606142"
    assert row["file_path"] == "data/spec-0266-51602-0001.fits"
    assert (row["plate"], row["mjd"], row["fiber"]) == ("266", "51602", "1")
    # The target's position, not the telescope's.
    assert float(row["ra_deg"]) == pytest.approx(10.01)
    assert float(row["z_or_rv_kms"]) == pytest.approx(299792.458 * 1e-4, rel=1e-6)
    assert row["heliocentric_corr_applied"] == "true"
    assert float(row["sn_median"]) == pytest.approx(31.5)
    assert float(row["mask_frac_bad"]) == pytest.approx(3 / 3800)  # 2 of ivar, 1 NODATA
    assert float(row["resolution_r"]) == pytest.approx(1 / (2.3548 * 1.1e-4 * 2.302585), rel=1e-3)
    assert row["data_release"] == "DR12"
    assert row["ebv_sfd"] == ""


@pytest.mark.parametrize(
    ("values", "ebv", "source"),
    [
        ({"EXTINCTION": [0.5155, 0.3793, 0.2751, 0.2086, 0.1479]}, 0.1, "EXTINCTION (SFD98)"),
        ({"EXTINCTION": [0.4239, 0.3303, 0.2285, 0.1698, 0.1263]}, 0.1, "EXTINCTION (SF11)"),
        ({"A_V": 0.31}, 0.1, "A_V/3.1"),
        ({"EBV": 0.2, "A_V": 0.31}, 0.2, "EBV"),
        ({"EXTINCTION": [1.0, 1.0, 1.0, 1.0, 1.0]}, None, ""),
        # No star of these surveys is behind so much dust: the number is a placeholder.
        ({"EBV": 20.0}, None, ""),
    ],
)
def test_reddening_is_never_a_v(tmp_path, run, values, ebv, source):
    write_spec(tmp_path / "d" / "a.fits", extra_row=values)
    run("metadata", tmp_path / "d", "-o", tmp_path / "m.csv")
    (row,) = rows_of(tmp_path / "m.csv")
    assert row["ebv_source"] == source
    if ebv is None:
        assert row["ebv_sfd"] == ""
    else:
        assert float(row["ebv_sfd"]) == pytest.approx(ebv, rel=1e-5)


def test_csv_and_parquet_say_the_same(classes, tmp_path, run):
    run("metadata", classes, "-o", tmp_path / "m.csv")
    run("metadata", classes, "-o", tmp_path / "m.parquet")
    table = pq.read_table(tmp_path / "m.parquet").to_pylist()
    text = rows_of(tmp_path / "m.csv")
    assert [row["spec_id"] for row in table] == [row["spec_id"] for row in text]
    assert [row["plate"] for row in table] == [int(row["plate"]) for row in text]
    assert pq.read_schema(tmp_path / "m.parquet").field("plate").type == "int64"


def test_manifest_has_checksum_and_grid(spec, tmp_path, run):
    run("manifest", spec.parent, "-o", tmp_path / "m.csv", "--manifest-created-at", "2024-01-15")
    (row,) = rows_of(tmp_path / "m.csv")
    assert row["checksum"] == hashlib.sha256(spec.read_bytes()).hexdigest()
    assert row["wavelength_grid"] == "log10"
    assert row["wavelength_frame"] == "vacuum"
    assert float(row["coeff0"]) == 3.58
    assert row["crval1"] == ""
    assert row["created_at"] == "2024-01-15T00:00:00+00:00"


def test_labels_come_from_subclass_and_unknown_ones_are_null(tmp_path, run):
    write_spec(tmp_path / "d" / "a.fits", subclass="F3/F5V (30743)")
    write_spec(tmp_path / "d" / "b.fits", subclass="")
    run("labels", tmp_path / "d", "-o", tmp_path / "l.csv")
    first, second = rows_of(tmp_path / "l.csv")
    assert first["class_mk"] == "F4V"
    assert all(second[name] == "" for name in second if name != "spec_id")


def test_a_catalogue_labels_by_stem_and_by_position(tmp_path, run):
    write_spec(tmp_path / "d" / "a.fits", fiber=1)
    write_spec(tmp_path / "d" / "b.fits", fiber=2)
    write_spec(tmp_path / "d" / "c.fits", fiber=3)
    catalogue = tmp_path / "stars.csv"
    catalogue.write_text(
        "APOGEE_ID,SPECTRAL_CLASS,LUMINOSITY_CLASS,TEFF,LOGG,FE_H,PARAMFLAG,RA,DEC\n"
        "a,G2,V,5770,4.4,0.0,0,,\n2M0000,K 3,III,4200,1.9,-0.2,1,10.02001,-1.0\n"
    )
    run(
        "labels", tmp_path / "d", "-o", tmp_path / "l.csv", "--label-catalog", catalogue,
        "--catalog-object-field", "APOGEE_ID", "--catalog-quality-field", "PARAMFLAG",
    )  # fmt: skip
    a, b, c = rows_of(tmp_path / "l.csv")
    assert (a["class_mk"], a["teff_k"], a["label_source"]) == ("G2V", "5770.0", "stars.csv")
    assert (b["class_mk"], b["label_quality"]) == ("K3III", "1")
    assert c["class_mk"] == ""
    assert c["label_source"] == ""


def test_an_unknown_column_is_a_usage_error(spec, tmp_path, run):
    catalogue = tmp_path / "stars.csv"
    catalogue.write_text("id,type\na,G2\n")
    status, _, err = run(
        "labels", spec.parent, "-o", tmp_path / "l.csv", "--label-catalog", catalogue,
        "--catalog-spectral-field", "MK",
    )  # fmt: skip
    assert status == 2
    assert "no column 'MK'" in err


def test_equal_stems_are_unique_and_alike_in_all_tables(tmp_path, run):
    write_spec(tmp_path / "d" / "A" / "x.fits")
    write_spec(tmp_path / "d" / "B" / "x.fits")
    write_spspec(tmp_path / "d" / "C" / "x.fit")
    (tmp_path / "d" / "notes.txt").write_text("no spectrum")
    ids = []
    for verb in ("metadata", "manifest", "labels"):
        run(verb, tmp_path / "d", "-o", tmp_path / f"{verb}.csv")
        ids.append([row["spec_id"] for row in rows_of(tmp_path / f"{verb}.csv")])
    assert ids[0] == ["x", "x-2", "x-3"]
    assert ids[0] == ids[1] == ids[2]


def test_unreadable_files_are_listed_and_the_rest_is_done(spec, tmp_path, run):
    (spec.parent / "bad.fits").write_bytes(spec.read_bytes()[:5000])
    for verb, name in (("metadata", "m.csv"), ("manifest", "n.csv"), ("labels", "l.csv"),
                       ("preprocess", "p.parquet")):  # fmt: skip
        folder = tmp_path / verb
        folder.mkdir()
        status, _, err = run(verb, spec.parent, "-o", folder / name)
        assert status == 3
        (line,) = (folder / "failures.jsonl").read_text().splitlines()
        failure = json.loads(line)
        assert failure["path"] == "data/bad.fits"
        assert "cut short" in failure["reason"]
        assert "bad.fits" in err


def test_outputs_are_kept_unless_overwrite(spec, tmp_path, run):
    run("metadata", spec.parent, "-o", tmp_path / "m.csv")
    status, _, err = run("metadata", spec.parent, "-o", tmp_path / "m.csv")
    assert status == 1
    assert "--overwrite" in err
    assert run("metadata", spec.parent, "-o", tmp_path / "m.csv", "--overwrite")[0] == 0


@pytest.mark.parametrize("verb", ["metadata", "manifest", "labels"])
def test_the_same_command_writes_the_same_bytes(classes, tmp_path, run, verb):
    extra = ["--created-at", "2024-01-01"] if verb == "manifest" else []
    for name, workers in (("a.csv", 1), ("b.csv", 2), ("a.parquet", 1), ("b.parquet", 1)):
        status, _, err = run(verb, classes, "-o", tmp_path / name, "--workers", workers, *extra)
        assert status == 0, err
    for suffix in ("csv", "parquet"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_no_spectra_is_one_line(tmp_path, run):
    (tmp_path / "empty").mkdir()
    status, out, err = run("metadata", tmp_path / "empty", "-o", tmp_path / "m.csv")
    assert status == 1
    assert out == ""
    assert err.count("\n") == 1


def test_quality_flags_are_json_without_nan(tmp_path, run):
    write_spec(tmp_path / "d" / "a.fits", extra_row={"BADPIXFRAC": np.float32("nan")})
    run("metadata", tmp_path / "d", "-o", tmp_path / "m.csv")
    (row,) = rows_of(tmp_path / "m.csv")
    assert "BADPIXFRAC" not in json.loads(row["quality_flags"], parse_constant=pytest.fail)


def test_a_sum_is_that_of_the_file_as_it_is_now(tmp_path):
    path = tmp_path / "a.fits"
    for content in (b"first", b"second content"):
        path.write_bytes(content)
        assert sha256_of(path) == hashlib.sha256(content).hexdigest()
