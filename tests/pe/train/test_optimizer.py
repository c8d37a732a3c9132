"""Learning-rate schedules by hand values; optimisers by their first step."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tensorstore

from pe.train.optimizer import OptimizerConfig, make_optimizer, make_schedule

GOLDEN = Path(__file__).parents[3] / "../shared/golden/t5x/t5_1_1"


def rates(steps, *, num_steps=100, **settings):
    schedule = make_schedule(OptimizerConfig(learning_rate=0.5, **settings), num_steps=num_steps)
    return [float(schedule(step)) for step in steps]


def test_constant_stays_at_the_peak():
    assert rates((0, 1, 10_000)) == [0.5, 0.5, 0.5]


def test_warm_up_is_linear_from_zero_and_ends_at_the_peak():
    got = rates((0, 1, 2, 4, 5), warmup_steps=4)
    np.testing.assert_allclose(got, [0.0, 0.125, 0.25, 0.5, 0.5])


def test_rsqrt_falls_with_the_root_of_the_step():
    # peak * sqrt(warm-up / step): a half at four times the warm-up, a third at nine times
    got = rates((4, 16, 36), schedule="rsqrt", warmup_steps=4)
    np.testing.assert_allclose(got, [0.5, 0.25, 0.5 / 3], rtol=1e-6)


def test_rsqrt_without_warm_up_starts_at_the_peak():
    got = rates((0, 3, 8), schedule="rsqrt")
    np.testing.assert_allclose(got, [0.5, 0.25, 0.5 / 3], rtol=1e-6)


def test_cosine_goes_through_the_middle_to_its_final_share():
    got = rates(
        (10, 60, 110, 500), schedule="cosine", warmup_steps=10, num_steps=110, final_frac=0.2
    )
    np.testing.assert_allclose(got, [0.5, 0.3, 0.1, 0.1], rtol=1e-6)


def test_adamw_moves_by_the_learning_rate_at_first():
    config = OptimizerConfig(name="adamw", learning_rate=0.1, clip_norm=None)
    optimizer = make_optimizer(config, num_steps=10)
    params = {"w": jnp.array([1.0, -2.0])}
    updates, _ = optimizer.update({"w": jnp.array([3.0, -0.01])}, optimizer.init(params), params)
    np.testing.assert_allclose(updates["w"], [-0.1, 0.1], rtol=1e-4)


def test_adamw_decays_matrices_when_asked_to_and_never_vectors():
    config = OptimizerConfig(name="adamw", learning_rate=0.1, weight_decay=0.5, clip_norm=None)
    optimizer = make_optimizer(config, num_steps=10)
    params = {"w": jnp.array([[2.0]]), "scale": jnp.array([2.0])}
    nothing = {"w": jnp.zeros((1, 1)), "scale": jnp.zeros(1)}
    updates, _ = optimizer.update(nothing, optimizer.init(params), params)
    np.testing.assert_allclose(updates["w"], [[-0.1 * 0.5 * 2.0]], rtol=1e-6)
    assert float(updates["scale"][0]) == 0.0


def read_second_moment(name):
    """Read Adafactor's running mean of squared gradients from T5X's own checkpoint."""
    path = GOLDEN / "checkpoint_400" / f"state.param_states.{name}.v"
    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": str(path.resolve())}}
    return np.asarray(tensorstore.open(spec, open=True).result().read().result())


def test_muon_moves_a_hidden_matrix_by_an_orthogonal_one_and_the_rest_as_adamw():
    config = OptimizerConfig(name="muon", learning_rate=0.1, clip_norm=None)
    rng = np.random.default_rng(0)
    shapes = {"blocks.0.mlp.up.kernel": (24, 48), "token_embedding": (24, 48), "scale": (48,),
              "text_decoder.projection.kernel": (24, 48), "decoder.logits_dense.kernel": (24, 48),
              "head.weight": (1, 48)}  # fmt: skip
    params = {k: jnp.asarray(rng.normal(size=s), jnp.float32) for k, s in shapes.items()}
    grads = {k: jnp.asarray(rng.normal(size=s), jnp.float32) for k, s in shapes.items()}
    optimizer = make_optimizer(config, num_steps=10)
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    hidden = np.asarray(updates.pop("blocks.0.mlp.up.kernel"))
    values = np.linalg.svd(hidden, compute_uv=False)
    assert values.max() < 2 * values.min()  # five steps of Newton and Schulz come near to one
    size = 0.1 * 0.2 * np.sqrt(48)  # the rate, and what makes its RMS 0.2
    assert size * 0.5 < values.mean() < size * 1.5
    first = 0.1 * (1 + 0.9 * (1 - 0.9) / (1 - 0.9**2))  # adamw's step, looking ahead by Nesterov
    for name, update in updates.items():
        np.testing.assert_allclose(update, -first * np.sign(grads[name]), rtol=1e-3, err_msg=name)


@pytest.mark.slow
@pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"needs {GOLDEN}: numbers that T5X computed")
def test_adafactor_makes_the_step_that_t5x_makes():
    # T5X clips each matrix's update, as Adafactor does by itself, and no common norm
    config = OptimizerConfig(name="adafactor", learning_rate=0.01, clip_norm=None)
    optimizer = make_optimizer(config, num_steps=1000)
    with np.load(GOLDEN / "golden.npz") as golden:
        names = [name.removeprefix("param/") for name in golden if name.startswith("param/")]
        params, grads, after = (
            {name: jnp.asarray(golden[f"{kind}/{name}"]) for name in names}
            for kind in ("param", "grad", "after_step")
        )

    def resume(state):
        if not isinstance(state, optax.FactoredState):
            return state
        moments = {name: jnp.asarray(read_second_moment(name)) for name in names}
        return state._replace(count=jnp.int32(400), v=moments)

    def is_factored(state):
        return isinstance(state, optax.FactoredState)

    state = jax.tree.map(resume, optimizer.init(params), is_leaf=is_factored)
    updates, _ = optimizer.update(grads, state, params)
    assert len(names) == 52
    for name in names:
        step = np.asarray(after[name] - params[name])
        np.testing.assert_allclose(updates[name], step, atol=1e-5 * np.abs(step).max(), rtol=1e-5)
        np.testing.assert_allclose(params[name] + updates[name], after[name], rtol=1e-5, atol=2e-7)


@pytest.mark.parametrize("name", ["adafactor", "adamw"])
def test_every_optimizer_goes_down_the_gradient(name):
    config = OptimizerConfig(name=name, learning_rate=0.1)
    optimizer = make_optimizer(config, num_steps=10)
    params = {"w": jnp.array([1.0, 1.0])}
    updates, _ = optimizer.update({"w": jnp.array([0.5, -0.5])}, optimizer.init(params), params)
    assert np.sign(updates["w"]).tolist() == [-1, 1]


def test_gradients_are_clipped_by_their_common_norm():
    # rescaling leaves AdamW's first step as it is, so the second moment tells: (4, 3) / 5 squared
    optimizer = make_optimizer(
        OptimizerConfig(name="adamw", clip_norm=1.0, beta2=0.0), num_steps=10
    )
    params = {"a": jnp.array([1.0]), "b": jnp.array([1.0])}
    grads = {"a": jnp.array([40.0]), "b": jnp.array([30.0])}
    _, (_, (moments, *_)) = optimizer.update(grads, optimizer.init(params), params)
    np.testing.assert_allclose([moments.nu["a"][0], moments.nu["b"][0]], [0.64, 0.36], rtol=1e-5)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "sgd"),
        ("schedule", "linear"),
        ("learning_rate", 0.0),
        ("warmup_steps", -1),
        ("clip_norm", 0.0),
    ],
)
def test_a_setting_out_of_range_is_named_with_its_value(field, value):
    with pytest.raises(ValueError, match=rf"OptimizerConfig\.{field}: got .*{value}.*expected"):
        OptimizerConfig(**{field: value})
