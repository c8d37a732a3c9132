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
    sums = {"num_tokens": jnp.float32(2), "draw": jax.random.uniform(key)}
    return LossOutput(loss_sum=loss, count=jnp.float32(2), sums=sums)


@pytest.fixture(scope="module")
def train_step():
    return make_train_step(squares, optax.sgd(0.1), seed=3)


def fresh_state():
    return init_state({"w": jnp.array([1.0, 2.0])}, optax.sgd(0.1), ("num_tokens", "draw"))


BATCH = jnp.array([4.0, 6.0])


def test_a_step_goes_down_the_gradient_of_the_mean_and_counts(train_step):
    # loss (9 + 16) / 2 / 2 tokens; gradient (1 - 4, 2 - 6) / 2, of norm 2.5
    state, loss = train_step(fresh_state(), BATCH)
    assert float(loss) == pytest.approx(6.25)
    np.testing.assert_allclose(state.params["w"], [1.15, 2.2], rtol=1e-6)
    assert int(state.step) == 1
    assert float(state.sums["grad_norm"]) == pytest.approx(2.5)
    assert float(state.sums["num_steps"]) == 1


def test_sums_gather_until_they_are_cleared(train_step):
    state, _ = train_step(fresh_state(), BATCH)
    state, _ = train_step(state, BATCH)
    assert float(state.sums["num_tokens"]) == 4
    assert float(state.sums["num_steps"]) == 2
    cleared = clear_sums(state)
    assert {float(value) for value in cleared.sums.values()} == {0.0}
    assert int(cleared.step) == 2


def test_the_key_is_drawn_from_seed_and_step(train_step):
    state, _ = train_step(fresh_state(), BATCH)
    first = float(state.sums["draw"])
    state, _ = train_step(clear_sums(state), BATCH)
    second = float(state.sums["draw"])
    expected = [
        float(jax.random.uniform(jax.random.fold_in(jax.random.key(3), step))) for step in (0, 1)
    ]
    assert [first, second] == expected


def test_many_steps_compile_once():
    train_step = make_train_step(squares, optax.sgd(0.1), seed=3)
    state = fresh_state()
    for _ in range(4):
        state, _ = train_step(state, BATCH)
        state = clear_sums(state)
    assert train_step._cache_size() == 1


def test_only_what_the_optimizer_is_let_at_moves():
    optimizer = optax.multi_transform(
        {"train": optax.sgd(0.1), "freeze": optax.set_to_zero()}, {"w": "train", "v": "freeze"}
    )

    def loss(params, batch, step, key):
        total = jnp.sum((params["w"] + params["v"] - batch) ** 2)
        return LossOutput(loss_sum=total, count=jnp.float32(1), sums={})

    state = init_state({"w": jnp.array([1.0]), "v": jnp.array([2.0])}, optimizer, ())
    state, _ = make_train_step(loss, optimizer, seed=0)(state, jnp.array([0.0]))
    assert float(state.params["w"][0]) == pytest.approx(1.0 - 0.1 * 6)
    assert float(state.params["v"][0]) == 2.0
