from __future__ import annotations

import numpy as np
import pytest
import torch

from astro_common.errors import ConfigurationError
from astromodal_transformer.answering import Answerer
from astromodal_transformer.batches import Batch, Batcher, causal_batch, masked_batch
from astromodal_transformer.code_sampling import generate_codes
from astromodal_transformer.masking import Choice, listed
from astromodal_transformer.shape import PRESETS, ModelShape
from astromodal_transformer.training.order import BatchLoader, Order

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def small_model(tokens, objective, **changes):
    project = tokens.open(model={"objective": objective, **changes})
    model = project.new_model().eval()
    with torch.no_grad():
        # The output begins small on purpose; here every slot shall matter.
        if model.projection is not None:
            model.output_gain.normal_()
    return project, model


def some_codes(project, count=10):
    store = project.store()
    return store.codes(np.arange(count))


def shown(project, codes):
    return listed(codes != project.vocabulary.missing)


@pytest.mark.parametrize("positions", ["learned", "rotary"])
@pytest.mark.parametrize("embedding", ["codebook", "free", "both"])
def test_no_future_token_changes_a_logit(tokens, positions, embedding):
    project, model = small_model(tokens, "causal", positions=positions, embedding=embedding)
    codes = some_codes(project, 4)
    batch = causal_batch(project.layout, project.vocabulary, codes, shown(project, codes))
    before = model.hidden(batch)
    for place in range(1, batch.tokens.shape[1]):
        changed = batch.tokens.clone()
        changed[:, place:] = changed[:, place:].flip(0)
        other = model.hidden(type(batch)(changed, *_rest(batch)))
        torch.testing.assert_close(other[:, :place], before[:, :place], **CLOSE)
    assert not torch.allclose(other, before)


def _rest(batch):
    return batch.slots, batch.lengths, batch.query_slots, batch.targets


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_answers_of_the_masked_model_depend_on_no_other_query(tokens, positions):
    project, model = small_model(tokens, "masked", positions=positions)
    codes = some_codes(project, 6)
    visible = codes != project.vocabulary.missing
    slots = np.array([1, 4, 9, 20])
    visible[:, slots] = False
    answerer = Answerer(model, project.layout)
    together = torch.cat([a.hidden for a in answerer.answers(codes, visible, slots)])
    for place, slot in enumerate(slots):
        alone = torch.cat([a.hidden for a in answerer.answers(codes, visible, np.array([slot]))])
        torch.testing.assert_close(alone[:, 0], together[:, place], **CLOSE)


@pytest.mark.parametrize("objective", ["masked", "causal"])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_answers_do_not_depend_on_the_batch(tokens, objective, batch_size):
    project, model = small_model(tokens, objective)
    codes = some_codes(project, 12)
    slots = project.layout.slots(["specz_z"])

    def answered(size):
        answerer = Answerer(model, project.layout, batch_size=size)
        visible = answerer.visible(codes, project.layout.modalities, ["specz_z"])
        result = torch.empty(len(codes), model.shape.d_model)
        for answers in answerer.answers(codes, visible, slots):
            result[answers.rows] = answers.hidden[:, 0]
        return result

    torch.testing.assert_close(answered(batch_size), answered(7), **CLOSE)


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_filling_up_a_row_changes_no_answer(tokens, positions):
    project, model = small_model(tokens, "masked", positions=positions)
    codes = some_codes(project, 3)
    choice = shown(project, codes)
    queries = Choice(np.array([[1, 2]] * 3), np.array([2] * 3))
    batch = masked_batch(project.layout, project.vocabulary, codes, choice, queries)
    wide = Choice(np.pad(choice.slots, ((0, 0), (0, 9))), choice.lengths)
    filled = masked_batch(project.layout, project.vocabulary, codes, wide, queries)
    assert filled.tokens.shape[1] == batch.tokens.shape[1] + 9
    torch.testing.assert_close(model.hidden(filled), model.hidden(batch), **CLOSE)
    # What the filling holds does not matter either.
    filled.tokens[:, -9:] = 7
    torch.testing.assert_close(model.hidden(filled), model.hidden(batch), **CLOSE)


def test_the_order_of_visible_tokens_does_not_matter_to_the_masked_model(tokens):
    project, model = small_model(tokens, "masked")
    codes = some_codes(project, 1)
    choice = shown(project, codes)
    queries = Choice(np.array([[1]]), np.array([1]))
    order = np.random.default_rng(0).permutation(choice.slots.shape[1])
    turned = Choice(choice.slots[:, order], choice.lengths)
    batches = [
        masked_batch(project.layout, project.vocabulary, codes, c, queries)
        for c in (choice, turned)
    ]
    torch.testing.assert_close(model.hidden(batches[0]), model.hidden(batches[1]), **CLOSE)


def alone(batch, row):
    """A row of a batch without what fills it up."""
    length = batch.tokens.shape[1] if batch.lengths is None else int(batch.lengths[row])
    asked = int((batch.targets[row] >= 0).sum())
    part = slice(row, row + 1)
    return Batch(
        batch.tokens[part, :length], batch.slots[part, :length], None,
        batch.query_slots[part, :asked], batch.targets[part, :asked],
    )  # fmt: skip


@pytest.mark.parametrize("digest", [False, True])
def test_rows_of_bucketed_batches_are_answered_as_if_each_were_alone(tokens, digest):
    project, model = small_model(tokens, "masked", digest=digest)
    store = project.store()
    weights = torch.ones(len(project.vocabulary.blocks) + 1)
    batcher = Batcher(store, project.configuration, 40, 12)
    batches = iter(BatchLoader(batcher, Order(store.rows("train"), 8, 64, 0)))
    mixed, widths, in_batches, one_by_one = 0, set(), 0.0, 0.0
    for _ in range(4):
        batch = next(batches)
        widths.add(batch.tokens.shape[1])
        mixed += batch.lengths is not None
        in_batches += float(model(batch, weights).total.detach())
        hidden = model.hidden(batch)
        for row in range(len(batch.tokens)):
            single = alone(batch, row)
            found = model.hidden(single)[0]
            torch.testing.assert_close(found, hidden[row, : len(found)], **CLOSE)
            one_by_one += float(model(single, weights).total.detach())
    assert mixed >= 2
    assert len(widths) >= 2
    assert in_batches == pytest.approx(one_by_one, rel=1e-4)


def test_the_digest_tells_bos_of_every_token_and_the_first_of_a_group_of_its_own(tokens):
    project, model = small_model(tokens, "masked", digest=True)
    codes = some_codes(project, 5)
    queries = Choice(np.array([[1]] * 5), np.array([1] * 5))
    visible = shown(project, codes)
    batch = masked_batch(project.layout, project.vocabulary, codes, visible, queries)
    added = model._begun(batch) - model.embedded(batch.tokens, batch.slots)
    group = project.layout.group[batch.slots.numpy()]
    for row in range(5):
        length = int(visible.lengths[row]) + 1
        firsts = np.unique(group[row, :length], return_index=True)[1]
        told = (added[row].abs().amax(dim=1) > 1e-3).numpy()
        assert set(np.flatnonzero(told)) == set(firsts.tolist())
    single = alone(batch, 0)
    own_group = project.layout.group[single.slots[0].numpy()]
    for place in range(1, single.tokens.shape[1]):
        tokens_ = single.tokens.clone()
        block = int(project.layout.block[int(single.slots[0, place])])
        own = project.vocabulary.blocks[block]
        tokens_[0, place] = own.offset + (tokens_[0, place] - own.offset + 1) % own.size
        changed = Batch(tokens_, *_rest(single))
        now = model._begun(changed) - model.embedded(changed.tokens, changed.slots)
        before = model._begun(single) - model.embedded(single.tokens, single.slots)
        differs = (now[0] - before[0]).abs().amax(dim=1) > 1e-6
        first = int(np.flatnonzero(own_group == own_group[place])[0])
        assert set(np.flatnonzero(differs.numpy())) == {0, first}


def test_what_a_group_tells_stays_when_another_is_added(tokens):
    project, model = small_model(tokens, "masked", digest=True)
    codes = some_codes(project, 1)
    known = np.flatnonzero(codes[0] != project.vocabulary.missing)
    groups = project.layout.group[known]
    queries = Choice(np.array([[1]]), np.array([1]))

    def added(own):
        choice = Choice(own[None], np.array([len(own)]))
        batch = masked_batch(project.layout, project.vocabulary, codes, choice, queries)
        return (model._begun(batch) - model.embedded(batch.tokens, batch.slots))[0]

    one = known[groups == groups[0]]
    assert len(one) < len(known)
    torch.testing.assert_close(
        added(known)[1 + np.searchsorted(known, one)], added(one)[1:], **CLOSE
    )


def test_what_a_token_adds_to_the_digest_does_not_depend_on_the_others(tokens):
    project, model = small_model(tokens, "masked", digest=True)
    sums = []
    model.digest.of_all.register_forward_pre_hook(lambda _, given: sums.append(given[0][0]))
    codes = some_codes(project, 1)
    known = np.flatnonzero(codes[0] != project.vocabulary.missing)
    queries = Choice(np.array([[1]]), np.array([1]))
    for own in (known, known[::2], known[1::2], known[:0]):
        choice = Choice(own[None], np.array([len(own)]))
        model._begun(masked_batch(project.layout, project.vocabulary, codes, choice, queries))
    whole, even, odd, nothing = sums
    torch.testing.assert_close(whole + nothing, even + odd, **CLOSE)
    assert not torch.allclose(whole, even)


def test_most_of_the_digest_begins_as_differences_between_columns_of_a_survey(tokens):
    project, model = small_model(tokens, "masked", digest=True)
    digest = model.digest
    slots = project.layout.slots(["mag_pstotal_r", "mag_pstotal_g"])
    total = (digest.slot_scale[:, None] * digest.slot_gain)[slots].sum(dim=0)
    share = float((total.abs() < 1e-5).float().mean())
    assert share == pytest.approx(0.75, abs=0.02)
    # A spectrum of many tokens weighs no more than one column.
    scale = digest.slot_scale
    assert float(scale[project.layout.slots(["desi_b"])].sum()) < 3 * float(scale[slots].max())


def test_the_causal_model_has_no_digest(tokens):
    assert small_model(tokens, "causal")[1].digest is None
    with pytest.raises(ConfigurationError, match="look ahead"):
        small_model(tokens, "causal", digest=True)


def test_an_embedding_hangs_on_the_slot_and_not_on_what_else_is_present(tokens):
    project, model = small_model(tokens, "masked")
    slot = torch.tensor([[5]])
    token = torch.tensor([[project.vocabulary.blocks[0].offset]])
    alone = model.embedded(token, slot)
    many = model.embedded(token.expand(1, 4).contiguous(), torch.tensor([[2, 9, 5, 1]]))
    torch.testing.assert_close(many[:, 2], alone[:, 0])


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_a_cache_gives_what_a_whole_pass_gives(tokens, positions):
    project, model = small_model(tokens, "causal", positions=positions)
    codes = some_codes(project, 1)
    choice = shown(project, codes)
    batch = causal_batch(project.layout, project.vocabulary, codes, choice)
    whole = model.hidden(batch)
    cache = None
    for place in range(batch.tokens.shape[1]):
        one = slice(place, place + 1)
        hidden, cache = model.step(
            batch.tokens[:, one], batch.slots[:, one], batch.query_slots[:, one], cache
        )
        torch.testing.assert_close(hidden[:, 0], whole[:, place], **CLOSE)


def test_a_cache_of_the_masked_model_gives_what_a_whole_pass_gives(tokens):
    project, model = small_model(tokens, "masked")
    codes = some_codes(project, 5)
    choice = shown(project, codes)
    queries = Choice(np.array([[1, 3, 8]] * 5), np.array([3] * 5))
    batch = masked_batch(project.layout, project.vocabulary, codes, choice, queries)
    _, cache = model.encode(batch)
    found = model.answer(cache, batch.query_slots, batch.lengths)
    torch.testing.assert_close(found, model.hidden(batch), **CLOSE)


def test_generation_with_a_cache_draws_what_whole_passes_draw(tokens):
    project, model = small_model(tokens, "causal")
    layout, vocabulary = project.layout, project.vocabulary
    codes = some_codes(project, 1)[0]
    answerer = Answerer(model, layout)
    visible = answerer.visible(codes[None], ["mag_*", "gaia_parallax"], [])[0]
    visible[layout.slots(["mag_pstotal_r", "mag_pstotal_g"])] = True
    slots = layout.slots(["gaiaxp_bp"])
    found = generate_codes(answerer, codes, visible, slots, samples=2, seed=5)
    # The same draws by a whole pass for each token.
    from astromodal_transformer.code_sampling import _STREAM
    from astromodal_transformer.counter_random import uniform
    from astromodal_transformer.distributions import sample_codes

    draws = uniform(5, _STREAM, 0, np.arange(2), layout.size)
    many = np.repeat(codes[None], 2, axis=0)
    order = np.flatnonzero(visible).tolist()
    for slot in slots.tolist():
        choice = Choice(np.array([order] * 2), np.array([len(order)] * 2))
        batch = causal_batch(layout, vocabulary, many, choice)
        batch.query_slots[:, -1] = slot
        hidden = model.hidden(batch)[:, -1]
        p = torch.softmax(model.logits(hidden, int(layout.block[slot])), dim=1)
        many[:, slot] = sample_codes(p.detach().numpy(), draws[:, slot, None])[:, 0]
        order.append(slot)
    np.testing.assert_array_equal(found[:, slots], many[:, slots])


def test_targets_are_never_seen(tokens):
    project, model = small_model(tokens, "masked")
    answerer = Answerer(model, project.layout)
    codes = some_codes(project, 8)
    other = codes.copy()
    slots = project.layout.slots(["specz_z", "desi_b"])
    other[:, slots] = 0
    for given in (["specz_z", "desi_b", "mag_pstotal_r"], project.layout.modalities):
        visible = answerer.visible(codes, given, ["specz_z", "desi_b"])
        again = answerer.visible(other, given, ["specz_z", "desi_b"])
        np.testing.assert_array_equal(visible, again)
        first = torch.cat([a.hidden for a in answerer.answers(codes, visible, slots)])
        second = torch.cat([a.hidden for a in answerer.answers(other, again, slots)])
        torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize("objective", ["masked", "causal"])
def test_one_batch_is_learned_by_heart_in_every_modality(tokens, objective):
    project, model = small_model(
        tokens, objective, layers=2, d_model=64, heads=2, feed_forward=128, embedding="both"
    )
    layout, vocabulary = project.layout, project.vocabulary
    codes = some_codes(project, 4)
    known = codes != vocabulary.missing
    assert known.any(axis=0)[1:].all()
    if objective == "causal":
        # BOS and a column that tells the sources apart come first.
        batch = causal_batch(layout, vocabulary, codes, listed(known))
    else:
        seen = np.zeros_like(known)
        seen[:, layout.slots(["mag_pstotal_r", "mag_pstotal_g"])] = True
        batch = masked_batch(layout, vocabulary, codes, listed(known & seen), listed(known & ~seen))
    assert len({tuple(row) for row in batch.tokens.tolist()}) == 4
    weights = torch.ones(len(vocabulary.blocks) + 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(150):
        found = model(batch, weights)
        optimizer.zero_grad()
        (found.total / found.sums[:, 2].sum()).backward()
        optimizer.step()
    found = model(batch, weights)
    asked = np.unique(layout.block[batch.query_slots[batch.targets >= 0].numpy()])
    sums = found.sums.detach().numpy()
    for block in asked:
        error, entropy, count = sums[block]
        name = vocabulary.blocks[block].name
        if objective == "causal" and name == "mag_pstotal_r":
            continue  # the first column has nothing to follow from
        assert entropy / count < 0.05, name
        assert error / count < 0.05, name
    names = {vocabulary.blocks[block].kind for block in asked}
    assert names == {"scalar", "image", "spectrum", "coefficients", "light_curve", "scale", "time"}


def test_missing_tokens_have_no_part_in_the_loss(tokens):
    project, model = small_model(tokens, "masked")
    codes = some_codes(project, 6)
    known = codes != project.vocabulary.missing
    seen = known.copy()
    seen[:, 1:30] = False
    queries = np.zeros_like(known)
    queries[:, 1:30] = True
    batch = masked_batch(project.layout, project.vocabulary, codes, listed(seen), listed(queries))
    weights = torch.ones(len(project.vocabulary.blocks) + 1)
    found = model(batch, weights)
    assert int(found.sums[:, 2].sum()) == int((known & queries).sum())


def test_gradient_checkpointing_changes_no_gradient(tokens):
    project, model = small_model(tokens, "masked")
    codes = some_codes(project, 4)
    choice = shown(project, codes)
    batch = masked_batch(project.layout, project.vocabulary, codes, choice, choice)
    weights = torch.ones(len(project.vocabulary.blocks) + 1)
    gradients = []
    for checkpointing in (False, True):
        model.train()
        model.gradient_checkpointing = checkpointing
        model.zero_grad()
        model(batch, weights).total.backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_presets_are_those_that_are_documented():
    assert list(PRESETS) == ["tiny", "small", "base", "large"]
    base = ModelShape(**PRESETS["base"])
    assert (base.layers, base.d_model, base.heads, base.feed_forward) == (12, 768, 12, 3072)


@pytest.mark.parametrize("embedding", ["codebook", "free", "both"])
@pytest.mark.parametrize("tie_weights", [True, False])
@pytest.mark.parametrize("norm", ["rms", "layer"])
def test_every_parameter_learns(tokens, embedding, tie_weights, norm):
    project, model = small_model(
        tokens, "masked", embedding=embedding, tie_weights=tie_weights, norm=norm
    )
    codes = some_codes(project, 8)
    choice = shown(project, codes)
    batch = masked_batch(project.layout, project.vocabulary, codes, choice, choice)
    model(batch, torch.ones(len(project.vocabulary.blocks) + 1)).total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
