from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open

from astromodal_tokenizers.__main__ import main
from astromodal_tokenizers.tokenizers.loading import load_tokenizer


def npz(run, family, field="F1"):
    with np.load(run.tokens(family, field), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def test_npz_files_have_what_the_interface_names(fitted_run):
    table = pq.read_table(fitted_run.cube(), columns=["id"])
    for family in ("scalar", "spectrum", "image"):
        arrays = npz(fitted_run, family)
        assert arrays["ids"].tolist() == table["id"].to_pylist()
        assert arrays["row_index"].tolist() == list(range(table.num_rows))
        assert arrays["missing"].shape == ()
        assert arrays["missing"].dtype == np.uint16
        codebook = fitted_run.output / "codebooks" / f"{family}.safetensors"
        checksum = hashlib.sha256(codebook.read_bytes()).hexdigest()
        assert str(arrays["codebook_sha256"]) == checksum
    scalar, image = npz(fitted_run, "scalar"), npz(fitted_run, "image")
    assert scalar["tokens"].shape == (table.num_rows, len(scalar["columns"]))
    assert image["tokens_2d"].shape == (table.num_rows, 4, 4)
    assert np.array_equal(image["tokens_2d"].reshape(table.num_rows, 16), image["tokens_flat"])
    latents = np.load(fitted_run.output / "image_latents" / "datacube_F1_latents.npz")
    assert latents["latents"].shape == (table.num_rows, 2, 4, 4)
    assert "missing" not in latents.files
    spectrum = npz(fitted_run, "spectrum")
    assert spectrum["tokens_desi_b"].shape == (table.num_rows, 60)
    assert spectrum["tokens_gaiaxp_bp"].shape == (table.num_rows, 80)
    assert len(spectrum["tokens_ztf_g_indptr"]) == table.num_rows + 1
    assert spectrum["tokens_ztf_g_indptr"][-1] == len(spectrum["tokens_ztf_g_flat"])


def test_the_vocabulary_is_contiguous_and_covers_all_tokens(fitted_run):
    vocabulary = json.loads((fitted_run.output / "vocabulary.json").read_text())
    assert "MISSING" in vocabulary["specials"]
    end = len(vocabulary["specials"])
    assert sorted(vocabulary["specials"].values()) == list(range(end))
    for block in vocabulary["blocks"]:
        assert block["offset"] == end
        end += block["size"]
    assert end == vocabulary["size"]
    sizes = {block["name"]: block["size"] for block in vocabulary["blocks"]}
    arrays = npz(fitted_run, "scalar")
    for place, name in enumerate(arrays["columns"]):
        codes = arrays["tokens"][:, place]
        assert codes[codes != arrays["missing"]].max() < sizes[name]


def test_every_block_has_a_codebook_and_its_tokens_in_the_store(fitted_run):
    vocabulary = json.loads((fitted_run.output / "vocabulary.json").read_text())
    cube = pq.read_table(fitted_run.cube())
    for block in vocabulary["blocks"]:
        path = fitted_run.output / "codebooks" / f"{block['family']}.safetensors"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == block["codebook_sha256"]
        with safe_open(path, framework="np") as file:
            codebook = file.get_tensor(block["codebook"])
        assert codebook.dtype == np.float32
        assert len(codebook) == block["size"]
        assert codebook.ndim == 2
        assert np.isfinite(codebook).all()
        shard = fitted_run.output / "store" / block["family"] / "datacube_F1.arrow"
        with pa.memory_map(str(shard)) as source:
            column = pa.ipc.open_file(source).read_all()[block["column"]].combine_chunks()
        assert len(column) == cube.num_rows
        if None in block["shape"]:
            codes = column.flatten().to_numpy()
        else:
            count = int(np.prod(block["shape"], dtype=int))
            row = column.flatten().to_numpy().reshape(cube.num_rows, column.type.list_size)
            codes = row[:, block["first"] : block["first"] + count]
            assert codes.shape[1] == count
        codes = codes[codes != vocabulary["missing"]]
        assert codes.size
        assert codes.max() < block["size"]


def test_missing_values_and_only_they_are_missing(fitted_run):
    cube = pq.read_table(fitted_run.cube())
    arrays = npz(fitted_run, "scalar")
    columns = arrays["columns"].tolist()
    tokens = arrays["tokens"][:, columns.index("gaia_flux")]
    assert np.array_equal(tokens == arrays["missing"], cube["gaia_flux"].is_null().to_numpy())
    assert "apogee_TEFF" not in columns  # nothing to learn from
    spectra = npz(fitted_run, "spectrum")
    missing = spectra["missing"]
    absent = cube["desi_flux_b"].is_null().to_numpy()
    assert (spectra["tokens_desi_b"][absent] == missing).all()
    assert (spectra["tokens_desi_b"][[3, 5]] == missing).all()  # NaN alone, masked alone
    here = np.flatnonzero(~absent)
    here = here[~np.isin(here, [3, 5])]
    ivar = np.array(cube["desi_ivar_b"].take(here).to_pylist())
    assert np.array_equal(spectra["tokens_desi_b"][here] == missing, ivar == 0.0)
    images = npz(fitted_run, "image")
    assert (images["tokens_flat"][11] == missing).all()
    assert (images["tokens_2d"][7, :, 0] == missing).all()
    assert (images["tokens_2d"][7, :, 2:] != missing).all()


def test_decoding_gives_the_rows_names_units_and_types_of_the_hypercube(fitted_run, tmp_path):
    out = tmp_path / "decoded.parquet"
    words = ["decode", "--config", str(fitted_run.config), "--field", "F1", "--out", str(out), "-q"]
    assert main(words) == 0
    cube, decoded = pq.read_table(fitted_run.cube()), pq.read_table(out)
    assert decoded["id"].to_pylist() == cube["id"].to_pylist()
    for field in decoded.schema:
        if field.name == "gaiaxp_bp_flux":
            continue
        wanted = cube.schema.field(field.name)
        assert field.type == wanted.type
        assert (field.metadata or {}).get(b"unit") == (wanted.metadata or {}).get(b"unit")
    error = decoded["mag_pstotal_r"].to_numpy() - cube["mag_pstotal_r"].to_numpy()
    assert np.sqrt(np.mean(error**2)) < 0.3
    undetected = cube["mag_pstotal_g"].to_numpy() == 99.0
    assert (decoded["mag_pstotal_g"].to_numpy()[undetected] == 99.0).all()
    assert decoded["visits"].to_pylist() == cube["visits"].to_pylist()
    assert decoded["gaia_flux"].is_null().equals(cube["gaia_flux"].is_null())
    assert decoded["desi_ivar_b"].null_count == cube.num_rows
    assert len(decoded["gaiaxp_bp_flux"].combine_chunks().drop_null()[0]) == 80


def test_the_round_trip_of_spectra_adds_little_chi_square(fitted_run, tmp_path):
    out = tmp_path / "decoded.parquet"
    main(["decode", "--config", str(fitted_run.config), "--field", "F2", "--out", str(out), "-q"])
    cube, decoded = pq.read_table(fitted_run.cube("F2")), pq.read_table(out)
    added = []
    for flux, ivar, back in zip(
        *(cube[f"desi_{n}_b"].to_pylist() for n in ("flux", "ivar")),
        decoded["desi_flux_b"].to_pylist(),
        strict=True,
    ):
        if flux is None or not np.isfinite(flux).any() or not np.any(ivar):
            assert back is None
            continue
        flux, ivar, back = (np.array(x, dtype=float) for x in (flux, ivar, back))
        assert np.isfinite(back[ivar > 0]).all()
        added.append(np.nanmean(((back - flux) ** 2 * ivar)[ivar > 0]))
    assert np.mean(added) < 0.1
    # Times come back to a bin, magnitudes to a part of their error.
    row = next(n for n, item in enumerate(cube["ztf_mag_g"].to_pylist()) if item)
    mags = [np.array(t["ztf_mag_g"][row].as_py()) for t in (cube, decoded)]
    assert np.abs(mags[1] - mags[0]).max() < 0.1
    times = [np.array(t["ztf_hmjd_g"][row].as_py()) for t in (cube, decoded)]
    assert np.abs(times[1] - times[0]).max() < 60.0


def test_a_pixel_with_a_weight_and_no_flux_has_a_token_and_teaches_nothing(fitted_run):
    group = load_tokenizer(fitted_run.output, "spectrum").tokenizer.groups[0]
    assert group.name == "desi_b"
    row = pq.read_table(fitted_run.cube()).slice(4, 1)
    spectra = group.measure(row)
    assert spectra.present[0, 10:13].all()
    assert not spectra.valid[0, 10:13].any()
    codes = group.encode_measured(spectra)
    masked = replace(spectra, claimed=None)
    there = masked.present[0]
    assert np.array_equal(group.encode_measured(masked).pixels[0, there], codes.pixels[0, there])
    level = group.scale(codes.scale, 60)[1][0]
    noise = 1.0 / np.median(spectra.weight[0, there])
    assert np.abs(group.decode(codes)[0] - level)[10:13].max() < noise


def test_the_store_holds_the_same_tokens_with_the_split(fitted_run):
    path = fitted_run.output / "store" / "spectrum" / "datacube_F1.arrow"
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
    arrays = npz(fitted_run, "spectrum")
    assert table["id"].to_pylist() == arrays["ids"].tolist()
    flat = table["tokens_desi_b"].combine_chunks().flatten().to_numpy()
    assert np.array_equal(flat, arrays["tokens_desi_b"].ravel())
    curve = table["tokens_ztf_g"].combine_chunks().flatten().to_numpy()
    assert np.array_equal(curve, arrays["tokens_ztf_g_flat"])
    assert set(table["split"].to_pylist()) <= {0, 1, 2}


def test_fields_that_were_not_fitted_can_be_encoded(own_run, capsys):
    own_run.settings["fields"] = ["F1"]
    own_run.write_config()
    for path in own_run.output.rglob("*F2*"):
        path.unlink()
    words = ["encode", "--config", str(own_run.config), "--field", "F2", "--json", "-q"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["done"] == ["F2"]
    assert own_run.tokens("scalar", "F2").exists()


def test_report_has_every_block_and_figures(fitted_run, tmp_path, capsys):
    out = tmp_path / "report"
    words = ["report", "--config", str(fitted_run.config), "--out", str(out), "--no-comparison"]
    assert main([*words, "--json", "-q"]) == 0
    printed = json.loads(capsys.readouterr().out)
    written = json.loads((out / "report.json").read_text())
    assert printed["blocks"].keys() == written["blocks"].keys()
    vocabulary = json.loads((fitted_run.output / "vocabulary.json").read_text())
    assert set(written["blocks"]) == {block["name"] for block in vocabulary["blocks"]}
    keys = {"bits_per_object", "rmse_normalised", "codebook_use", "perplexity", "chi2_per_pixel"}
    for name, block in written["blocks"].items():
        assert keys <= block.keys(), name
    spectrum = written["blocks"]["desi_b"]
    assert spectrum["chi2_per_pixel"] < 0.2
    assert spectrum["codebook_use"] > 0.8
    page = (out / "report.html").read_text()
    assert page.count("data:image/png") >= 4
    assert "SYNTHETIC" in page
    assert main([*words, "-q"]) == 1  # it is there already
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["config"], ["config", "--json"]])
def test_config_prints_defaults_that_load_again(words, tmp_path, capsys):
    from astromodal_tokenizers.configuration import Configuration, load_configuration, resolved

    assert main(words) == 0
    path = tmp_path / "printed.yaml"
    path.write_text(capsys.readouterr().out)
    assert load_configuration(path) == resolved(Configuration(), tmp_path)


def test_inspect_describes_every_kind_of_file(fitted_run, capsys):
    files = [
        fitted_run.config,
        fitted_run.output / "vocabulary.json",
        fitted_run.output / "codebooks" / "spectrum.safetensors",
        fitted_run.tokens("spectrum"),
        fitted_run.output / "store" / "image" / "datacube_F1.arrow",
    ]
    kinds = []
    for path in files:
        assert main(["inspect", str(path), "--json"]) == 0
        kinds.append(json.loads(capsys.readouterr().out)["kind"])
        assert main(["inspect", str(path)]) == 0
        assert capsys.readouterr().out.startswith(f"file: {path}")
    assert kinds == ["configuration", "vocabulary", "spectrum codebooks", "tokens", "store"]


def test_dry_runs_write_nothing(make_run, capsys):
    run = make_run().write()
    assert main(["fit", "all", "--config", str(run.config), "--dry-run", "--json"]) == 0
    names = {item["name"] for item in json.loads(capsys.readouterr().out)["would_fit"]}
    assert {"desi_b", "ztf_g", "gaiaxp_bp", "image", "mag_pstotal_r"} <= names
    assert main(["encode", "--config", str(run.config), "--dry-run"]) == 0
    assert capsys.readouterr().out.split() == ["F1", "F2"]
    assert not run.output.exists()
