from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from astromodal_tokenizers.__main__ import main
from astromodal_tokenizers.configuration import SpectrumSettings
from astromodal_tokenizers.modalities import Modality
from astromodal_tokenizers.quantizers import supported_size
from astromodal_tokenizers.threads import each_part, one_thread_each
from astromodal_tokenizers.tokenizers.bins import MISSING, fit_bins
from astromodal_tokenizers.tokenizers.distortion import Block
from astromodal_tokenizers.tokenizers.occupancy import attainable_codes
from astromodal_tokenizers.train.spectra import codebook_size


def test_attainable_codes_are_those_of_a_simulation():
    random = np.random.default_rng(0)
    used = [len(np.unique(random.integers(0, 100, 150))) for _ in range(400)]
    assert attainable_codes(100, 150) == pytest.approx(np.mean(used), rel=0.02)
    used = []
    for _ in range(60):
        edges = np.quantile(random.normal(size=300), np.linspace(0, 1, 101)[1:-1])
        used.append(len(np.unique(np.searchsorted(edges, random.normal(size=150)))))
    assert attainable_codes(100, 150, 300) == pytest.approx(np.mean(used), rel=0.03)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 5000), st.integers(0, 10**7), st.integers(1, 10**6))
def test_no_more_codes_are_attainable_than_there_are(size, tokens, taught):
    few, many = attainable_codes(size, tokens, taught), attainable_codes(size, tokens)
    assert 0.0 <= few <= many * (1.0 + 1e-9)
    assert many <= min(size, tokens) * (1.0 + 1e-9)


def test_dead_codes_lower_the_use_and_common_values_do_not():
    random = np.random.default_rng(1)
    block = Block("a", "scalar", 200)
    block.add_codes(random.integers(0, 100, (5000, 1)).astype(np.uint16))
    assert block.record()["codebook_use"] == pytest.approx(0.5)
    assert block.record()["codebook_use_held_out"] == pytest.approx(0.5)
    values = np.where(random.uniform(size=6000) < 0.8, 0.5, random.normal(size=6000))
    bins = fit_bins(values[:4000], 100)
    block = Block("b", "scalar", bins.size, bins.counts)
    block.add_codes(bins.encode(values[4000:, None]))
    assert block.record()["codebook_use_held_out"] > 0.85


def test_use_counts_all_sources_and_its_held_out_part_only_some():
    block = Block("a", "spectrum", 4)
    block.add_other_codes(np.array([[0, 1], [MISSING, 1]], dtype=np.uint16))
    assert block.record()["codebook_use"] == pytest.approx(0.5)
    assert block.record()["codebook_use_held_out"] is None
    block.add_codes(np.full((90, 1), 2, dtype=np.uint16))
    record = block.record()
    assert record["codebook_use"] == pytest.approx(0.75)
    assert record["codebook_use_held_out"] == pytest.approx(0.25)
    assert record["perplexity"] == pytest.approx(1.0)


def test_the_median_is_left_alone_by_outliers():
    block = Block("a", "scalar", 4)
    assert block.record()["median_over_error"] is None
    sizes = np.random.default_rng(2).lognormal(-3.0, 1.0, 1001)
    block.add_chi2(np.append(sizes[:500], 1e9))
    block.add_chi2(np.append(-sizes[500:], 0.0))
    assert block.record()["median_over_error"] == pytest.approx(np.median(sizes), rel=0.02)
    assert block.record()["chi2_per_pixel"] > 1e10


def test_the_figures_of_a_block_are_those_of_their_definitions():
    codes = np.array([[0, 0], [1, MISSING], [MISSING, MISSING]], dtype=np.uint16)
    block = Block("a", "spectrum", 4)
    block.add_codes(codes)
    block.add_errors(np.array([0.1, -0.1]), np.array([3.0, 4.0]))
    block.add_chi2(np.array([1.0, 2.0]))
    record = block.record()
    assert record["objects"] == 2
    assert record["bits_per_object"] == pytest.approx(1.5 * 2)
    assert record["rmse_normalised"] == pytest.approx(0.1)
    assert record["rmse_physical"] == pytest.approx(np.sqrt(12.5))
    assert record["chi2_per_pixel"] == pytest.approx(2.5)
    share = np.array([2, 1]) / 3
    assert record["perplexity"] == pytest.approx(np.exp(-(share * np.log(share)).sum()))


@pytest.mark.parametrize(
    ("wanted", "vectors", "size"), [(64, 1000, 64), (64, 100, 32), (64, 5, 4), (2, 9, 2), (8, 1, 1)]
)
def test_codebooks_have_no_more_codes_than_their_data_support(wanted, vectors, size):
    assert supported_size(wanted, vectors) == size


@pytest.mark.parametrize(
    ("vectors", "rows", "size"),
    [(10**6, 10**4, 2048), (10**6, 700, 512), (10**6, 20, 128), (1600, 20, 64), (5, 2, 4)],
)
def test_light_curves_teach_about_one_code_each(vectors, rows, size, monkeypatch):
    said = []
    monkeypatch.setattr(
        logging.getLogger(codebook_size.__module__), "warning", lambda *words: said.append(words)
    )
    curves = Modality("ztf_g", "light_curve", {})
    assert codebook_size(SpectrumSettings(), curves, vectors, rows) == size
    assert (f"{rows} light curves" in str(said)) == (size < 2048)
    spectra = Modality("desi_b", "spectrum", {})
    assert codebook_size(SpectrumSettings(), spectra, 10**6, rows) == 2048


def test_parts_are_all_worked_through_whatever_the_threads():
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            seen = np.zeros(1000, dtype=int)

            def mark(part, seen=seen):
                assert torch.get_num_threads() == 1
                seen[part] += 1

            each_part(mark, 1000, 7)
            assert (seen == 1).all()
            assert torch.get_num_threads() == threads

            def fail(part):
                raise ValueError("broken")

            with pytest.raises(ValueError, match="broken"):
                each_part(fail, 20, 7)
            with one_thread_each() as allowed:
                assert allowed == threads
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_a_sky_without_held_out_sources_is_reported_as_such(make_run, capsys):
    run = make_run(split={"nside": 1, "fractions": [1.0, 0.0, 0.0]}).write(count=200)
    assert main(["fit", "scalar", "--config", str(run.config), "-q"]) == 0
    out = run.root / "report"
    words = ["report", "--config", str(run.config), "--out", str(out), "--no-comparison"]
    assert main(words) == 0
    assert "no source is held out" in capsys.readouterr().err
    assert json.loads((out / "report.json").read_text())["split"] == "train"
    assert "TRAINING SOURCES" in (out / "report.html").read_text()
