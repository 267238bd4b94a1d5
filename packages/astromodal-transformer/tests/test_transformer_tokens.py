from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenfolder import BINS, LEVELS, MISSING, PATCH, SPECTRA, TokenFolder

from astro_common.errors import ConfigurationError
from astromodal_transformer.codebooks import Bins, Column
from astromodal_transformer.configuration import MaskingSettings
from astromodal_transformer.counter_random import uniform
from astromodal_transformer.decoding import SequenceDecoder, level_curve
from astromodal_transformer.distributions import bin_mean, bin_quantiles, sample_codes
from astromodal_transformer.layout import thinned
from astromodal_transformer.masking import choose_masked, choose_order, limited, listed
from astromodal_transformer.vocabulary import Vocabulary

# Vocabulary, slots, store


def test_the_vocabulary_survives_its_record(written_tokens):
    vocabulary = Vocabulary.from_record(written_tokens.vocabulary)
    again = Vocabulary.from_record(vocabulary.record())
    assert again == vocabulary
    assert again.digest == vocabulary.digest


def test_every_token_has_one_slot(written_tokens):
    layout = written_tokens.open().layout
    # BOS; 5 columns; 2 spectra with noise, levels and 6 pixels; a curve with noise, level, 5 times
    # and 5 values; 6 ring fluxes and 9 of 16 pixels of the image.
    assert layout.size == 1 + 5 + 2 * (1 + LEVELS + 6) + (2 + 10) + (6 + 9)
    assert sum(part.count for part in layout.parts) == layout.size - 1
    assert layout.groups == ("splus", "gaia", "specz", "gaiaxp_bp", "desi_b", "ztf_g", "image")


def test_slots_do_not_depend_on_what_else_is_included(tokens):
    whole = tokens.open()
    some = tokens.open(data={"include": ["desi_b", "specz_z"]})
    for name in ("desi_b", "specz_z"):
        one, other = whole.layout.slots([name]), some.layout.slots([name])
        np.testing.assert_array_equal(whole.layout.block[one], some.layout.block[other])
        np.testing.assert_array_equal(whole.layout.position[one], some.layout.position[other])
    assert some.layout.size == 1 + 1 + 1 + LEVELS + 6


def test_modalities_are_found_by_their_columns_in_the_hypercube(written_tokens):
    layout = written_tokens.open().layout
    assert layout.matching(["splus_cut_R"], "") == ["image"]
    assert layout.matching(["desi_b_flux"], "") == ["desi_b"]
    assert layout.matching(["mag_*", "specz_z"], "") == [
        "mag_pstotal_r", "mag_pstotal_g", "specz_z",
    ]  # fmt: skip
    with pytest.raises(ConfigurationError, match="nothing"):
        layout.matching(["nothing"], "")


def test_the_central_square_of_an_image_is_kept(tokens):
    for side in (4, 3, 2, 1):
        layout = tokens.open(sequences={"image_tokens": side**2}).layout
        part = next(p for p in layout.parts if p.family == "image" and p.column == "tokens")
        rows, columns = np.divmod(np.array(part.places), 4)
        assert rows.max() - rows.min() == columns.max() - columns.min() == side - 1
        assert 2 in rows
        assert 2 in columns


@given(st.integers(0, 500), st.integers(1, 500))
def test_thinned_places_are_even_and_distinct(length, count):
    places = thinned(length, count)
    assert len(places) == min(length, count)
    assert len(np.unique(places)) == len(places)
    if len(places):
        assert places.min() >= 0
        assert places.max() < length
        steps = np.diff(places)
        assert steps.max(initial=1) - steps.min(initial=length) <= 1 or len(steps) < 2


def test_the_store_gives_what_the_shards_hold(written_tokens):
    project = written_tokens.open()
    store = project.store()
    rows = np.array([130, 3, 119, 120, 3, 51])
    codes = store.codes(rows)
    for place, row in enumerate(rows.tolist()):
        field, local = ("F1", row) if row < 120 else ("F2", row - 120)
        table = pa.ipc.open_file(str(written_tokens.shard("spectrum", field))).read_all()
        own = table["tokens_desi_b"][local].as_py()
        part = next(p for p in project.layout.parts if p.column == "tokens_desi_b")
        wanted = [own[i] for i in part.places]
        assert codes[place, part.start : part.start + part.count].tolist() == wanted
        curve = table["time_ztf_g"][local].as_py()
        part = next(p for p in project.layout.parts if p.column == "time_ztf_g")
        kept = [curve[i] for i in thinned(len(curve), 5)]
        found = codes[place, part.start : part.start + part.count].tolist()
        assert found == kept + [MISSING] * (5 - len(kept))
    assert store.ids[130] == "iDR6_F2_00010"
    assert (codes[:, 0] == MISSING).all()


def test_parts_of_the_sky_are_those_of_the_shards(written_tokens):
    store = written_tokens.open().store(["F2"])
    table = pa.ipc.open_file(str(written_tokens.shard("scalar", "F2"))).read_all()
    split = table["split"].to_numpy()
    for number, name in enumerate(("train", "validation", "test")):
        np.testing.assert_array_equal(store.rows(name), np.flatnonzero(split == number))
    assert len(store.rows("all")) == len(split)


def test_a_store_crosses_to_another_process(written_tokens):
    import copy

    store = written_tokens.open().store()
    # copy uses what multiprocessing does to send an object.
    other = copy.copy(store)
    rows = np.arange(7)
    np.testing.assert_array_equal(other.codes(rows), store.codes(rows))


# Masking


def masked(project, codes, rows, seed=0, turn=0, visible=1000, queries=1000, **changes):
    configured = project.configuration.masking.model_copy(update=changes)
    known = codes != MISSING
    return choose_masked(
        project.layout, known, rows, configured, seed, turn, visible, queries
    )  # fmt: skip


def settings_of(**changes):
    own = {"questions": 0.0, "besides": 0.0, "fewest_visible": 0.0, "most_visible": 1.0}
    return MaskingSettings(**{"whole_modality": 0.0, **own, **changes})


def as_mask(layout, choice):
    mask = np.zeros((len(choice.lengths), layout.size), dtype=bool)
    for own, slots, length in zip(mask, choice.slots, choice.lengths, strict=True):
        own[slots[:length]] = True
    return mask


def questioned(written_tokens):
    """Sources of a store, and two questions of which the second shows more."""
    project = written_tokens.open()
    store, layout = project.store(), project.layout
    rows = np.arange(len(store))
    known = store.codes(rows) != store.vocabulary.missing
    questions = np.zeros((2, layout.size), dtype=bool)
    columns = [n for n in layout.modalities if len(layout.slots([n])) == 1 and n != "specz_z"]
    questions[0, layout.slots(columns[:3])] = True
    questions[1, layout.slots(columns[:6])] = True
    return layout, known, rows, questions


def as_sets(choice):
    return [
        set(slots[:length].tolist())
        for slots, length in zip(choice.slots, choice.lengths, strict=True)
    ]


def test_what_is_asked_for_is_known_and_not_seen(written_tokens):
    project = written_tokens.open()
    rows = np.arange(100)
    codes = project.store().codes(rows)
    for turn in range(3):
        seen, asked = masked(project, codes, rows, turn=turn)
        for row, (one, other) in enumerate(zip(as_sets(seen), as_sets(asked), strict=True)):
            known = set(np.flatnonzero(codes[row] != MISSING).tolist())
            assert other
            assert not one & other
            assert one | other == known


def test_whole_groups_are_hidden(written_tokens):
    project = written_tokens.open()
    rows = np.arange(200)
    codes = project.store().codes(rows)
    seen, _ = masked(project, codes, rows, whole_modality=1.0, fewest_visible=1.0)
    shares = []
    for row, slots in enumerate(as_sets(seen)):
        for group in range(len(project.layout.groups)):
            own = np.flatnonzero((project.layout.group == group) & (codes[row] != MISSING))
            own = set(own.tolist())
            if own:
                # A source that shows everything still hides one token.
                assert len(own & slots) in (0, len(own), len(own) - 1)
                shares.append(bool(own & slots))
    assert 0.4 < np.mean(shares) < 0.6


def test_groups_are_damaged_by_themselves(written_tokens):
    project = written_tokens.open()
    layout = project.layout
    rows = np.arange(400)
    known = np.ones((400, layout.size), dtype=bool)
    known[:, 0] = False
    visible, _ = choose_masked(
        layout, known, rows, settings_of(whole_modality=0.5), 0, 0, layout.size, layout.size
    )
    seen = as_mask(layout, visible)
    image, spectrum = (seen[:, layout.slots([n])].mean(axis=1) for n in ("image", "desi_b"))
    partly = (image > 0.1) & (image < 0.9)
    # Beside a damaged group others are whole, gone or damaged otherwise.
    for beside in (spectrum == 1.0, spectrum == 0.0, np.abs(spectrum - image) > 0.3):
        assert (partly & beside).sum() > 20


def test_sources_are_shown_as_they_will_be_when_the_model_is_used(written_tokens):
    layout, known, rows, questions = questioned(written_tokens)
    visible, queries = choose_masked(
        layout, known, rows, settings_of(questions=1.0, besides=0.0),
        0, 0, layout.size, layout.size, None, questions,
    )  # fmt: skip
    seen = as_mask(layout, visible)
    like = np.stack([(seen == (known & own)).all(axis=1) for own in questions])
    some = (known & questions[0]).any(axis=1)
    assert like.any(axis=0)[some].all()
    assert min(like[0].sum(), like[1].sum()) > 0.2 * len(rows)
    assert (queries.lengths > 0).all()


def test_some_are_shown_so_and_with_more_besides(written_tokens):
    layout, known, rows, questions = questioned(written_tokens)
    questions = questions[1:]
    counts = []
    for besides in (0.5, 1.0):
        visible, queries = choose_masked(
            layout, known, rows, settings_of(questions=1.0, besides=besides, whole_modality=0.5),
            0, 0, layout.size, layout.size, None, questions,
        )  # fmt: skip
        seen, asked = as_mask(layout, visible), as_mask(layout, queries)
        whole = known & questions[0]
        # A source that has nothing but what is shown hides one token of that.
        more = (known & ~questions[0]).any(axis=1) & whole.any(axis=1)
        assert (seen & whole)[more].sum() == whole[more].sum()
        assert not (seen & asked).any()
        counts.append((seen & ~questions[0])[more].any(axis=1).mean())
        others = (known & ~questions[0]).sum(axis=1)
        single = asked.sum(axis=1) == 1
        # Everything but one is a question of its own.
        assert (single & (others > 3)).any()
    assert 0.4 < counts[0] / counts[1] < 0.6


def test_budgets_are_kept(written_tokens):
    project = written_tokens.open()
    rows = np.arange(100)
    codes = project.store().codes(rows)
    seen, asked = masked(project, codes, rows, visible=7, queries=5)
    assert seen.lengths.max() == 7
    assert asked.lengths.max() == 5
    order = choose_order(project.layout, codes != MISSING, rows, 0, 0, 9, shuffle=True)
    assert order.lengths.max() == 9


def test_single_columns_are_not_crowded_out_by_spectra(written_tokens):
    project = written_tokens.open()
    rows = np.arange(300)
    known = np.ones((300, project.layout.size), dtype=bool)
    known[:, 0] = False
    order = choose_order(project.layout, known, rows, 0, 0, 12, shuffle=False)
    counts = np.bincount(order.slots.ravel(), minlength=project.layout.size)
    single = np.bincount(project.layout.block)[project.layout.block] == 1
    many = project.layout.slots(["image"])
    assert counts[1:][single[1:]].mean() > 1.5 * counts[many].mean()


def test_the_draw_of_a_source_depends_on_no_other(written_tokens):
    project = written_tokens.open()
    rows = np.arange(40)
    codes = project.store().codes(rows)
    seen, asked = masked(project, codes, rows, visible=9, queries=6)
    some = np.array([31, 5, 17])
    other = masked(project, codes[some], rows[some], visible=9, queries=6)
    assert as_sets(other[0]) == [as_sets(seen)[row] for row in some]
    assert as_sets(other[1]) == [as_sets(asked)[row] for row in some]
    again = masked(project, codes, rows, turn=1, visible=9, queries=6)
    assert as_sets(again[0]) != as_sets(seen)


def test_causal_orders_shuffle_groups_and_keep_spectra_in_order(written_tokens):
    project = written_tokens.open()
    rows = np.arange(50)
    codes = project.store().codes(rows)
    order = choose_order(project.layout, codes != MISSING, rows, 0, 0, 1000, shuffle=True)
    firsts = set()
    for row in range(50):
        slots = order.slots[row, : order.lengths[row]]
        groups = project.layout.group[slots]
        assert (np.diff(groups) != 0).sum() == len(np.unique(groups)) - 1
        pixels = slots[np.isin(slots, project.layout.slots(["desi_b", "image"]))]
        for name in ("desi_b", "image"):
            own = pixels[np.isin(pixels, project.layout.slots([name]))]
            assert (np.diff(own) > 0).all()
        firsts.add(int(groups[0]))
    assert len(firsts) > 3


def test_limited_keeps_so_many(written_tokens):
    layout = written_tokens.open().layout
    chosen = np.ones((4, layout.size), dtype=bool)
    kept = limited(layout, chosen, 10)
    assert (kept.sum(axis=1) == 10).all()
    assert (kept == kept[0]).all()
    np.testing.assert_array_equal(limited(layout, chosen, layout.size), chosen)


def test_listed_gives_places_back():
    chosen = np.array([[False, True, True], [False, False, False], [True, False, True]])
    found = listed(chosen)
    assert found.lengths.tolist() == [2, 0, 2]
    assert found.slots.tolist() == [[1, 2], [0, 0], [0, 2]]


def test_numbers_are_even_and_those_of_their_purpose():
    draws = uniform(1, 2, 3, np.arange(2000), 50)
    assert draws.min() > 0.0
    assert draws.max() < 1.0
    counts, _ = np.histogram(draws, bins=20, range=(0.0, 1.0))
    # Chi-square of 19 degrees of freedom; 99.99 per cent lie below 53.
    assert ((counts - 5000) ** 2 / 5000).sum() < 53.0
    assert abs(np.corrcoef(draws[:, 0], draws[:, 1])[0, 1]) < 0.1
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.1
    for other in (uniform(2, 2, 3, [5], 50), uniform(1, 3, 3, [5], 50), uniform(1, 2, 4, [5], 50)):
        assert not np.isin(other, draws[5]).any()
    np.testing.assert_array_equal(uniform(1, 2, 3, [5], 10)[0], draws[5, :10])


def test_the_largest_number_stays_below_one():
    # Of this source the twentieth number has 24 bits that are all ones.
    assert uniform(1, 2, 3, [605865], 20)[0, 19] == np.float32(1.0 - 2.0**-24)


# Distributions


def some_bins(size, seed=0):
    random = np.random.default_rng(seed)
    edges = np.sort(random.normal(size=size - 1))
    bounds = np.concatenate([[edges[0] - 0.3], edges, [edges[-1] + 0.2]])
    return Bins(edges, (bounds[1:] + bounds[:-1]) / 2.0)


def test_quantiles_are_those_of_the_piecewise_even_density():
    bins = some_bins(12)
    random = np.random.default_rng(1)
    p = random.dirichlet(np.ones(12), 5)
    levels = np.array([0.05, 0.16, 0.5, 0.84, 0.99])
    found = bin_quantiles(bins, p, levels)
    bounds = bins.bounds()
    for row in range(5):
        cumulative = np.concatenate([[0.0], np.cumsum(p[row])])
        wanted = np.interp(levels, cumulative, bounds)
        np.testing.assert_allclose(found[row], wanted, atol=1e-9)
    np.testing.assert_allclose(bin_mean(bins, p), p @ bins.values)


@settings(deadline=None)
@given(st.integers(2, 40), st.integers(0, 1000))
def test_quantiles_rise_and_stay_inside(size, seed):
    bins = some_bins(size, seed)
    p = np.random.default_rng(seed).dirichlet(np.full(size, 0.2), 3).astype(np.float32)
    levels = np.linspace(0.01, 0.99, 9)
    found = bin_quantiles(bins, p, levels)
    assert (np.diff(found, axis=1) >= -1e-9).all()
    assert found.min() >= bins.bounds()[0] - 1e-9
    assert found.max() <= bins.bounds()[-1] + 1e-9


def test_a_column_with_one_value_has_one_quantile():
    bins = Bins(np.empty(0), np.array([4.2]))
    assert (bin_quantiles(bins, np.ones((2, 1)), np.array([0.16, 0.84])) == 4.2).all()


def test_codes_are_drawn_by_their_probabilities():
    p = np.array([[0.1, 0.0, 0.6, 0.3]])
    draws = uniform(0, 1, 2, np.arange(1), 20_000)
    counts = np.bincount(sample_codes(p, draws)[0], minlength=4) / 20_000
    np.testing.assert_allclose(counts, p[0], atol=0.015)
    assert counts[1] == 0.0


# Decoding


def test_level_curves_are_straight_between_the_centres_of_segments():
    found = level_curve(np.array([[1.0, 3.0, 2.0]]), 30)
    assert found.shape == (1, 30)
    # Segments of ten pixels have their centres at 4.5, 14.5 and 24.5.
    np.testing.assert_allclose(found[0, :5], 1.0)
    np.testing.assert_allclose(found[0, 10], 1.0 + 2.0 * 5.5 / 10.0)
    np.testing.assert_allclose(found[0, 25:], 2.0)


def test_spectra_decode_to_level_plus_distance_over_noise(written_tokens):
    project = written_tokens.open(sequences={"spectrum_tokens": 100})
    decoder = SequenceDecoder(project, None, "desi_b")
    codes = project.store().codes(np.arange(30))
    present = codes[:, project.layout.slots(["desi_b"])[0]] != MISSING
    found = decoder.decode(codes)
    arrays = written_tokens.arrays["spectrum"]
    slots = project.layout.slots(["desi_b"])
    length = SPECTRA["desi_b"][1]
    for row in np.flatnonzero(present):
        own = codes[row, slots]
        noise = np.exp(arrays["desi_b_noise.values"][own[0]])
        levels = arrays["desi_b_level.values"][own[1 : 1 + LEVELS]] / noise
        pixels = arrays["desi_b.codebook"][own[1 + LEVELS :], :PATCH].reshape(-1)[:length]
        wanted = level_curve(levels[None], length)[0] + pixels / noise
        np.testing.assert_allclose(found[row], wanted, rtol=1e-6)
    assert np.isnan(found[~present]).all()


def test_rings_of_decoded_cutouts_hold_the_flux_of_their_tokens(written_tokens):
    project = written_tokens.open(sequences={"image_tokens": 16})
    decoder = SequenceDecoder(project, None, "image")
    codes = project.store().codes(np.arange(5))
    pixels = decoder.decode(codes).reshape(5, 3, 16, 16)
    assert np.isfinite(pixels).all()
    image = project.books.image
    slots = project.layout.slots(["image"])[:6]
    values = image.flux.values[codes[:, slots]].reshape(5, 3, 2)
    # Weights by brute force: a thousand points in each pixel.
    step = (np.arange(32) + 0.5) / 32 - 0.5
    offset = np.add.outer(np.arange(16) - 8.0, step).ravel()
    distance = np.hypot(offset[:, None], offset).reshape(16, 32, 16, 32)
    discs = [(distance <= r).mean(axis=(1, 3)) for r in (2.0, 4.0)]
    rings = np.stack([discs[0], discs[1] - discs[0]])
    noise = 0.1 * np.sqrt((rings**2).sum(axis=(1, 2)))
    found = np.einsum("nbyx,ryx->nbr", pixels, rings)
    np.testing.assert_allclose(found, values * noise, rtol=2e-2, atol=2e-2)


def test_centroids_are_standardised(written_tokens):
    project = written_tokens.open()
    for own in project.centroids:
        assert own.dtype == np.float32
        low, middle, high = np.percentile(own, [16, 50, 84], axis=0)
        np.testing.assert_allclose(middle, 0.0, atol=1e-5)
        np.testing.assert_allclose((high - low) / 2.0, 1.0, atol=1e-5)
        assert np.abs(own).max() <= 8.0


def test_a_shared_value_far_away_does_not_squeeze_the_others(tmp_path):
    folder = TokenFolder(tmp_path / "t")
    folder.write()
    project = folder.open()
    vectors = dict(project.books.vectors)
    far = vectors["mag_pstotal_r"].copy()
    far[-1] = 99.0
    vectors["mag_pstotal_r"] = far
    own = type(project.books)(
        project.books.columns, project.books.spectra, project.books.image, vectors, True
    ).centroids("mag_pstotal_r")
    assert own[-1] == 8.0
    assert np.abs(own[: BINS - 1]).max() > 1.5


# Configuration


def test_defaults_are_complete_and_printed_with_their_comments(run):
    import yaml

    from astromodal_transformer.configuration import load_configuration

    status, stdout, _ = run("config")
    assert status == 0
    assert "#" in stdout
    printed = yaml.safe_load(stdout)
    configuration = load_configuration(None)
    assert set(printed) == set(type(configuration).model_fields)
    for name in ("data", "sequences", "masking", "model", "loss", "training", "evaluation"):
        assert set(printed[name]) == set(type(getattr(configuration, name)).model_fields)


def test_files_are_merged_over_defaults_and_keys_over_files(tokens, run):
    status, stdout, _ = run(
        "config", "--config", tokens.config, "--json", "--set", "training.betas=[0.8, 0.9]",
        "model.layers=5",
    )  # fmt: skip
    assert status == 0
    found = json.loads(stdout)
    assert found["tokens"] == str(tokens.tokens)
    assert found["training"]["betas"] == [0.8, 0.9]
    assert found["training"]["batch_size"] == 8
    assert found["model"]["layers"] == 5
    assert found["training"]["clip"] == 1.0


@pytest.mark.parametrize(
    ("given", "wanted"), [("bf16-mixed", "bf16"), ("32", "fp32"), (32, "fp32"), ("fp16", "fp16")]
)
def test_lightnings_names_of_precisions_are_understood(given, wanted):
    from astromodal_transformer.configuration import load_configuration

    configuration = load_configuration(None, [f"training.precision={given}"])
    assert configuration.training.precision == wanted


@pytest.mark.parametrize(("preset", "size"), [("tiny", 128), ("base", 16)])
def test_the_batch_follows_from_the_preset(preset, size):
    from astromodal_transformer.configuration import load_configuration

    assert load_configuration(None, [f"model.preset={preset}"]).training.batch_size == size
    own = load_configuration(None, [f"model.preset={preset}", "training.batch_size=3"])
    assert own.training.batch_size == 3


@pytest.mark.parametrize("name", ["demo.yaml", "base.yaml"])
def test_every_configuration_that_ships_can_be_read(name):
    from pathlib import Path

    from astromodal_transformer.configuration import load_configuration

    load_configuration(Path(__file__).parents[1] / "configs" / name)


def test_a_printed_configuration_can_be_read_again(tokens, run, tmp_path):
    from astromodal_transformer.configuration import load_configuration

    _, stdout, _ = run("config", "--config", tokens.config)
    path = tmp_path / "again.yaml"
    path.write_text(stdout)
    assert load_configuration(path) == load_configuration(tokens.config)


def test_weights_by_name_reach_the_loss(tokens):
    from astromodal_transformer.training.frequencies import block_weights

    project = tokens.open(loss={"weights": {"specz_*": 5.0}, "balance": 0.0})
    counts = np.ones(project.vocabulary.size, dtype=np.int64)
    weights = block_weights(project, counts).numpy()
    assert weights[project.vocabulary.block("specz_z")] == 5.0
    assert weights[project.vocabulary.block("mag_pstotal_r")] == 1.0
    assert weights[-1] == 0.0


def test_rare_columns_weigh_more(tokens):
    from astromodal_transformer.training.frequencies import block_weights

    project = tokens.open(loss={"balance": 0.5})
    counts = np.zeros(project.vocabulary.size, dtype=np.int64)
    for name, total in (("mag_pstotal_r", 1600), ("specz_z", 100)):
        block = project.vocabulary.blocks[project.vocabulary.block(name)]
        counts[block.offset] = total
    weights = block_weights(project, counts).numpy()
    assert weights[project.vocabulary.block("specz_z")] == pytest.approx(4.0)
    assert weights[project.vocabulary.block("mag_pstotal_r")] == 1.0


@pytest.mark.parametrize(("written", "read"), [("'dex'", "dex"), ("K", "K"), ("", "")])
def test_units_are_told_without_the_quotes_of_vounits(written, read):
    bins = Bins(np.array([0.0]), np.array([-1.0, 1.0]))
    assert Column("gaia_mh_gspphot", bins, {"unit": written} if written else {}).unit == read
