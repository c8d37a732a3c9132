"""The optimiser step: what it sums, that it compiles once, and where its randomness comes from."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pe.train.step import LossOutput, clear_sums, init_state, make_train_step


def squares(params, batch, step, key):
    """Half the squared distance to the batch; `draw` shows what the step's key gives."""
    loss = 0.5 * jnp.sum((params["w"] - batch) ** 2)
    return LossOutput(
        loss_sum=loss,
        count=jnp.float32(2),
        metrics={"draw": (jax.random.uniform(key), jnp.float32(1))},
    )


@pytest.fixture(scope="module")
def train_step():
    return jax.jit(make_train_step(squares, optax.sgd(0.1), seed=3), donate_argnums=0)


def fresh_state():
    return init_state({"w": jnp.array([1.0, 2.0])}, optax.sgd(0.1), ("draw",))


BATCH = jnp.array([4.0, 6.0])


def test_a_step_goes_down_the_gradient_of_the_mean_and_counts(train_step):
    # loss (9 + 16) / 2 / 2 tokens; gradient (1 - 4, 2 - 6) / 2, of norm 2.5
    state, loss = train_step(fresh_state(), {}, BATCH)
    assert float(loss["loss"]) == pytest.approx(6.25)
    assert float(loss["grad_norm"]) == pytest.approx(2.5)
    np.testing.assert_allclose(state.params["w"], [1.15, 2.2], rtol=1e-6)
    assert int(state.step) == 1
    assert [float(v) for v in state.sums["grad_norm"]] == pytest.approx([2.5, 1])
    assert [float(v) for v in state.sums["count"]] == [2, 1]


def test_sums_gather_until_they_are_cleared(train_step):
    state, _ = train_step(fresh_state(), {}, BATCH)
    state, _ = train_step(state, {}, BATCH)
    assert [float(v) for v in state.sums["count"]] == [4, 2]
    cleared = clear_sums(state)
    assert {float(value) for value in jax.tree.leaves(cleared.sums)} == {0.0}
    assert int(cleared.step) == 2


def test_the_key_is_drawn_from_seed_and_step(train_step):
    state, _ = train_step(fresh_state(), {}, BATCH)
    first = float(state.sums["draw"][0])
    state, _ = train_step(clear_sums(state), {}, BATCH)
    second = float(state.sums["draw"][0])
    expected = [
        float(jax.random.uniform(jax.random.fold_in(jax.random.key(3), step))) for step in (0, 1)
    ]
    assert [first, second] == expected


def test_many_steps_compile_once():
    train_step = jax.jit(make_train_step(squares, optax.sgd(0.1), seed=3), donate_argnums=0)
    state = fresh_state()
    for _ in range(4):
        state, _ = train_step(state, {}, BATCH)
        state = clear_sums(state)
    assert train_step._cache_size() == 1


def rows_loss(params, batch, step, key):
    """Squared distance of every row to w, each row weighing as its first number says."""
    weights, rows = batch["weights"], batch["rows"]
    loss = jnp.sum(weights * jnp.sum((rows - params["w"]) ** 2, axis=1) * params["scale"])
    count = jnp.sum(weights)
    return LossOutput(loss_sum=loss, count=count, metrics={"loss": (loss, count)})


def test_microbatches_give_the_step_of_the_whole_batch():
    rng = np.random.default_rng(0)
    batch = {"rows": rng.normal(size=(12, 2)), "weights": rng.integers(1, 9, 12)}
    batch = {name: np.float32(values) for name, values in batch.items()}
    states = []
    for num in (1, 3):
        step = make_train_step(rows_loss, optax.sgd(0.1), seed=0, num_microbatches=num)
        state = init_state({"w": jnp.array([1.0, 2.0])}, optax.sgd(0.1), ("loss",))
        states.append(jax.jit(step)(state, {"scale": jnp.float32(2)}, batch))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *states)


def test_each_microbatch_has_rows_of_every_part_of_the_batch():
    seen = []

    def loss(params, batch, step, key):
        jax.debug.callback(lambda rows: seen.append(rows.tolist()), batch, ordered=True)
        total = jnp.sum(params["w"] * batch)
        return LossOutput(loss_sum=total, count=jnp.float32(1), metrics={})

    step = make_train_step(loss, optax.sgd(0.1), seed=0, num_microbatches=2)
    state = init_state({"w": jnp.ones(())}, optax.sgd(0.1), ())
    jax.block_until_ready(jax.jit(step)(state, {}, np.arange(4, dtype=np.float32)))
    jax.effects_barrier()
    assert seen == [[0, 2], [1, 3]]


def test_what_is_frozen_has_no_gradient_no_moments_and_no_place_in_the_state():
    params = {"w": jnp.array([1.0]), "scale": jnp.float32(3)}
    batch = {"rows": np.float32([[2.0]]), "weights": np.float32([1])}
    optimizer = optax.adam(0.1)
    state = init_state({"w": params["w"]}, optimizer, ("loss",))
    step = make_train_step(rows_loss, optimizer, seed=0)
    after, _ = jax.jit(step)(state, {"scale": params["scale"]}, batch)
    assert list(after.params) == ["w"]
    assert list(after.opt_state[0].mu) == ["w"]
    assert float(after.params["w"][0]) != 1.0


def test_a_batch_without_a_token_moves_nothing():
    batch = {"rows": np.float32([[2.0]]), "weights": np.float32([0])}
    state = init_state({"w": jnp.array([1.0])}, optax.sgd(0.1), ("loss",))
    step = make_train_step(rows_loss, optax.sgd(0.1), seed=0)
    after, loss = jax.jit(step)(state, {"scale": jnp.float32(1)}, batch)
    assert (float(loss["loss"]), float(after.params["w"][0])) == (0.0, 1.0)
