"""Gradients and Jacobians against NumPy, finite differences and the fast layers."""

import keras
import numpy as np
import pytest

from rnn_keras.diagnostics.dynamics import (
    gate_openness,
    gradient_flow,
    jacobian_norms,
    recurrent_kernels,
    saturation,
    spectral_radius,
)
from rnn_keras.diagnostics.stepwise import run_by_step
from rnn_keras.models.builders import build_classifier

IDS = np.array([[3, 5, 2, 7, 4], [6, 2, 0, 0, 0], [9, 8, 3, 1, 0]])
LABELS = np.array([0, 1, 1])
REAL = IDS > 0
CELLS = ("simple_rnn", "gru", "lstm")
exhaustive = pytest.mark.exhaustive


def network(cell="simple_rnn", policy="float32", **arguments):
    keras.config.set_dtype_policy(policy)
    try:
        return build_classifier(10, 2, cell=cell, units=4, embedding_dim=3, **arguments)
    finally:
        keras.config.set_dtype_policy("float32")


def softmax(logits):
    e = np.exp(logits - logits.max())
    return e / e.sum()


def simple_rnn_by_hand(model, ids, label):
    """Return the states and the gradients of the loss, by the equations in float64.

    dh_T = V (p - y) for softmax and cross-entropy; da_t = dh_t * (1 - h_t * h_t);
    dh_{t-1} = U da_t.
    """
    table, w, u, b, v, c = [a.astype("float64") for a in model.get_weights()]
    states = [np.zeros(4)]
    for i in ids[ids > 0]:
        states.append(np.tanh(table[i] @ w + states[-1] @ u + b))
    gradients = [v @ (softmax(states[-1] @ v + c) - np.eye(2)[label])]
    for h in states[:1:-1]:
        gradients.insert(0, u @ (gradients[0] * (1 - h * h)))
    return np.array(states[1:]), np.array(gradients)


def test_gradient_flow_is_backpropagation_through_time():
    model = network()
    flow = gradient_flow(model, IDS, LABELS)
    assert list(flow) == ["simple_rnn_1/h"]
    for row, (ids, label) in enumerate(zip(IDS, LABELS, strict=True)):
        _, gradients = simple_rnn_by_hand(model, ids, label)
        expected = np.linalg.norm(gradients, axis=1)
        np.testing.assert_allclose(
            flow["simple_rnn_1/h"][row][REAL[row]], expected, rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize(
    ("cell", "pooling"),
    [
        ("simple_rnn", "last"),
        ("lstm", "max_mean"),
        pytest.param("simple_rnn", "max_mean", marks=exhaustive),
        pytest.param("gru", "last", marks=exhaustive),
        pytest.param("gru", "max_mean", marks=exhaustive),
        pytest.param("lstm", "last", marks=exhaustive),
    ],
)
def test_gradient_flow_agrees_with_finite_differences(cell, pooling):
    """One unit of one state is moved, and the network continues from there."""
    model = network(cell, "float64", num_layers=2, bidirectional=True, pooling=pooling)
    flow = gradient_flow(model, IDS, LABELS)
    size = 1e-6
    for name, t in (("forward", 1), ("forward", 4), ("backward", 4), ("backward", 0)):
        for i, state in enumerate({"lstm": "hc"}.get(cell, "h")):
            up, down = (
                losses_with_state_moved(model, f"{name}_{cell}_1", i, t, sign * size)
                for sign in (1, -1)
            )
            assert flow[f"{name}_{cell}_1/{state}"][0, t] == pytest.approx(
                np.linalg.norm((up - down) / (2 * size)), rel=1e-5, abs=1e-9
            )


def losses_with_state_moved(model, name, state, t, size):
    """Return the losses of the first text, with each unit moved in turn after step t.

    The network reads one copy of the text for each unit, and a changed cell moves
    another unit of the state in every copy.
    """
    layer = next(
        r
        for wrapper in model.layers
        for r in (
            getattr(wrapper, "forward_layer", None),
            getattr(wrapper, "backward_layer", None),
        )
        if r is not None and r.name == name
    )
    call, step = layer.cell.call, iter(range(5))

    def moved(inputs, states, training=False):
        output, new = call(inputs, states, training=training)
        position = 4 - next(step) if layer.go_backwards else next(step)
        if position == t:
            new = [np.array(s) for s in new]
            new[state] += size * np.eye(4)
        return output, new

    layer.cell.call = moved
    try:
        logits, _ = run_by_step(model, np.repeat(IDS[:1], 4, axis=0))
    finally:
        layer.cell.call = call
    rows = np.asarray(logits)
    return np.array([-np.log(softmax(row)[LABELS[0]]) for row in rows])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_padding_has_no_values_and_changes_none(cell, bidirectional):
    model = network(cell, bidirectional=bidirectional, pooling="mean")
    padded = np.pad(IDS, ((0, 0), (0, 3)))
    short, long = (gradient_flow(model, ids, LABELS) for ids in (IDS, padded))
    for name, flow in short.items():
        np.testing.assert_array_equal(np.isnan(flow), ~REAL)
        np.testing.assert_allclose(flow, long[name][:, :5], atol=1e-6)
        assert np.isnan(long[name][:, 5:]).all()
    short, long = (jacobian_norms(model, ids) for ids in (IDS, padded))
    for name, (norms, _) in short.items():
        np.testing.assert_allclose(norms, long[name].norms[:, :5], rtol=1e-5)


def test_a_text_is_alone_in_its_gradient():
    model = network()
    both = gradient_flow(model, IDS, LABELS)["simple_rnn_1/h"]
    for row in range(len(IDS)):
        alone = gradient_flow(model, IDS[row : row + 1], LABELS[row : row + 1])
        np.testing.assert_allclose(alone["simple_rnn_1/h"][0], both[row], rtol=1e-5)


def test_the_gradient_is_found_when_nothing_is_trained():
    model = network()
    expected = gradient_flow(model, IDS, LABELS)
    model.trainable = False
    found = gradient_flow(model, IDS, LABELS)
    np.testing.assert_allclose(found["simple_rnn_1/h"], expected["simple_rnn_1/h"])


def test_sequences_of_numbers_and_another_loss():
    inputs = keras.Input((None, 2))
    outputs = keras.layers.Dense(1)(keras.layers.SimpleRNN(3)(inputs))
    model = keras.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(size=(2, 4, 2)).astype("float32")
    y = np.ones((2, 1), "float32")
    loss = keras.losses.MeanSquaredError()
    flow = gradient_flow(model, x, y, loss)[f"{model.layers[1].name}/h"]
    v = np.asarray(model.layers[2].kernel)[:, 0]
    expected = 2 * np.abs(np.asarray(model(x)) - y)[:, 0] * np.linalg.norm(v)
    np.testing.assert_allclose(flow[:, -1], expected, rtol=1e-5)


def test_jacobians_are_the_product_of_the_steps():
    model = network()
    u = np.asarray(model.get_layer("simple_rnn_1").cell.recurrent_kernel, "float64")
    norms, bound = jacobian_norms(model, IDS)["simple_rnn_1/h"]
    for row, (ids, label) in enumerate(zip(IDS, LABELS, strict=True)):
        states, _ = simple_rnn_by_hand(model, ids, label)
        after, expected = np.eye(4), [1.0]
        for h in states[:0:-1]:
            after = u @ np.diag(1 - h * h) @ after
            expected.insert(0, np.linalg.norm(after, 2))
        np.testing.assert_allclose(norms[row][REAL[row]], expected, rtol=1e-5)
        distance = len(states) - 1 - np.arange(len(states))
        largest = np.linalg.norm(u, 2)
        np.testing.assert_allclose(bound[row][REAL[row]], largest**distance, rtol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_jacobians_agree_with_finite_differences(cell):
    """The state after the first token is moved, and the last state changes."""
    model = network(cell, "float64")
    layer = model.get_layer(f"{cell}_1")
    _, (run,) = run_by_step(model, IDS[:1])
    names = {"lstm": "hc"}.get(cell, "h")
    for i, name in enumerate(names):
        columns = []
        for unit in range(4):
            moved = []
            for size in (1e-6, -1e-6):
                states = [np.array(s) for s in run.states[1]]
                states[i][0, unit] += size
                for x in run.inputs[1:]:
                    _, states = layer.cell(x, states)
                moved.append(np.asarray(states[i])[0])
            columns.append((moved[0] - moved[1]) / 2e-6)
        norms = jacobian_norms(model, IDS[:1])[f"{cell}_1/{name}"].norms
        assert norms[0, 0] == pytest.approx(np.linalg.norm(columns, 2), rel=1e-6)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "linear"])
@pytest.mark.parametrize(
    "scale",
    [
        pytest.param(0.5, marks=exhaustive),
        1.0,
        pytest.param(3.0, marks=exhaustive),
    ],
)
def test_the_norm_never_exceeds_its_bound(activation, scale):
    inputs = keras.Input((None, 3))
    layer = keras.layers.SimpleRNN(8, activation=activation, return_sequences=True)
    top = keras.layers.SimpleRNN(8, activation=activation)
    model = keras.Model(inputs, top(layer(inputs)))
    rng = np.random.default_rng(0)
    for each in (layer, top):
        each.cell.recurrent_kernel.assign(scale * rng.normal(size=(8, 8)) / 8**0.5)
    x = rng.normal(size=(4, 30, 3)).astype("float32")
    for norms, bound in jacobian_norms(model, x).values():
        assert (norms <= bound * (1 + 1e-5)).all()
        assert norms[:, -1] == pytest.approx(1)
        # The bound must also be near: a huge number would bound everything.
        one_step = norms[:, -2] / bound[:, -2]
        assert one_step.max() > (0.3 if activation != "relu" else 0.05)


def test_there_is_no_bound_for_gates():
    for cell in ("gru", "lstm"):
        assert jacobian_norms(network(cell), IDS)[f"{cell}_1/h"].bound is None


def test_spectral_radius_is_that_of_the_eigenvalues():
    turn = np.array([[0.0, -2.0], [2.0, 0.0]])
    assert spectral_radius(turn) == pytest.approx(2)
    assert spectral_radius(np.array([[0.5, 100.0], [0.0, 0.25]])) == pytest.approx(0.5)


def test_recurrent_kernels_are_one_a_block():
    names = set(recurrent_kernels(network("lstm", bidirectional=True)))
    assert names == {
        f"{way}_lstm_1/{gate}" for way in ("forward", "backward") for gate in "ifgo"
    }
    model = network("gru")
    whole = np.asarray(model.get_layer("gru_1").cell.recurrent_kernel)
    parts = recurrent_kernels(model)
    np.testing.assert_array_equal(np.hstack(list(parts.values())), whole)
    assert list(parts) == ["gru_1/z", "gru_1/r", "gru_1/c"]


def test_gates_and_candidate_give_the_states_of_gru():
    """The layer's own states satisfy h_t = z h_{t-1} + (1 - z) c."""
    model = network("gru")
    openness = gate_openness(model, IDS)
    assert set(openness) == {"gru_1/z", "gru_1/r"}
    _, (run,) = run_by_step(model, IDS)
    h = np.stack([s[0] for s in run.states], axis=1)
    z, r = openness["gru_1/z"], openness["gru_1/r"]
    cell = model.get_layer("gru_1").cell
    w_c, u_c = np.asarray(cell.kernel)[:, 8:], np.asarray(cell.recurrent_kernel)[:, 8:]
    x = np.stack(run.inputs, axis=1)
    c = np.tanh(x @ w_c + r * (h[:, :-1] @ u_c))
    expected = z * h[:, :-1] + (1 - z) * c
    np.testing.assert_allclose(h[:, 1:][REAL], expected[REAL], atol=1e-6)


def test_gates_give_the_states_of_lstm():
    """The layer's own states satisfy h_t = o tanh(c_t) and c_t = f c_{t-1} + i g."""
    model = network("lstm")
    gates = gate_openness(model, IDS)
    _, (run,) = run_by_step(model, IDS)
    h, c = (np.stack([s[k] for s in run.states], axis=1) for k in (0, 1))
    o = gates["lstm_1/o"]
    np.testing.assert_allclose(h[:, 1:][REAL], (o * np.tanh(c[:, 1:]))[REAL], atol=1e-6)
    g = (c[:, 1:] - gates["lstm_1/f"] * c[:, :-1]) / gates["lstm_1/i"]
    assert np.abs(g[REAL]).max() <= 1
    assert gate_openness(network(), IDS) == {}


def test_a_bias_opens_and_shuts_gates():
    model = network("lstm")
    bias = np.zeros(16)
    bias[:4], bias[4:8] = -20, 20
    model.get_layer("lstm_1").cell.bias.assign(bias)
    gates = gate_openness(model, IDS)
    assert gates["lstm_1/i"][REAL].max() < 0.01
    assert gates["lstm_1/f"][REAL].min() > 0.99
    shares = saturation(model, IDS)
    assert shares["lstm_1/i"].tolist() == shares["lstm_1/f"].tolist() == [1] * 4
    assert shares["lstm_1/o"].tolist() == [0] * 4


def test_saturation_counts_real_steps_beyond_the_threshold():
    model = network()
    assert saturation(model, IDS)["simple_rnn_1/h"].tolist() == [0] * 4
    cell = model.get_layer("simple_rnn_1").cell
    cell.bias.assign([30, 0, -30, 0])
    assert saturation(model, IDS)["simple_rnn_1/h"].tolist() == [1, 0, 1, 0]
    _, (run,) = run_by_step(model, IDS)
    h = np.stack([s[0] for s in run.states[1:]], axis=1)[REAL]
    expected = (1 - h**2 < 0.9).mean(axis=0)
    found = saturation(model, IDS, threshold=0.9)["simple_rnn_1/h"]
    np.testing.assert_allclose(found, expected)


def test_unknown_layers_and_activations_are_named():
    inputs = keras.Input((None,))
    x = keras.layers.Embedding(10, 3, name="embedding")(inputs)
    other = keras.layers.RNN(
        keras.layers.StackedRNNCells([keras.layers.LSTMCell(2)]), name="stack"
    )
    with pytest.raises(ValueError, match="'stack' must be a SimpleRNN, GRU or LSTM"):
        gradient_flow(keras.Model(inputs, other(x)), IDS, LABELS)
    odd = keras.layers.SimpleRNN(4, activation="softplus", name="odd")
    with pytest.raises(ValueError, match=r"activation must be one of.*'softplus'"):
        saturation(keras.Model(inputs, odd(x)), IDS)
    before = keras.layers.GRU(4, reset_after=False, name="before")
    with pytest.raises(ValueError, match="`reset_after` of 'before' must be True"):
        gate_openness(keras.Model(inputs, before(x)), IDS)


def test_the_slope_of_relu_counts_in_saturation():
    model = network()
    layer = model.get_layer("simple_rnn_1")
    layer.cell.activation = keras.activations.relu
    layer.cell.recurrent_kernel.assign(np.zeros((4, 4)))
    layer.cell.bias.assign([-30, 30, -30, 30])
    assert saturation(model, IDS)["simple_rnn_1/h"].tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(("weight", "exponent"), [(0.5, -100), (2.0, 100)])
def test_norms_far_from_one_are_neither_zero_nor_infinite(weight, exponent):
    inputs = keras.Input((None, 1))
    layer = keras.layers.SimpleRNN(1, activation="linear", name="rnn")
    model = keras.Model(inputs, keras.layers.Dense(2)(layer(inputs)))
    layer.cell.recurrent_kernel.assign([[weight]])
    flow = gradient_flow(model, np.zeros((1, 101, 1)), np.array([0]))["rnn/h"][0]
    assert flow[0] / flow[-1] == pytest.approx(2.0**exponent, rel=1e-5)
    norms, _ = jacobian_norms(model, np.zeros((1, 101, 1)))["rnn/h"]
    assert norms[0, 0] == pytest.approx(2.0**exponent, rel=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_half_precision(cell):
    model = network(cell, "mixed_float16")
    exact = network(cell)
    exact.set_weights(model.get_weights())
    name = f"{cell}_1/h"
    for measure in (
        lambda m: gradient_flow(m, IDS, LABELS)[name],
        lambda m: jacobian_norms(m, IDS)[name].norms,
    ):
        np.testing.assert_allclose(measure(model), measure(exact), rtol=0.05, atol=0.01)
    for found, expected in zip(
        gate_openness(model, IDS).values(),
        gate_openness(exact, IDS).values(),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, atol=0.01)


def test_an_unknown_activation_has_jacobians_and_no_bound():
    inputs = keras.Input((None, 3))
    layer = keras.layers.SimpleRNN(4, activation="softplus", name="rnn")
    model = keras.Model(inputs, layer(inputs))
    norms, bound = jacobian_norms(model, np.ones((1, 5, 3)))["rnn/h"]
    assert bound is None
    assert norms[0, -1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("ids", "labels", "message"),
    [
        (
            IDS,
            LABELS[:2],
            "`targets` must have one target for each of 3 texts. Received: 2",
        ),
        (IDS[:0], LABELS[:0], r"at least one of each. Received: \(0, 5\)"),
        (IDS[0], LABELS[:1].repeat(5), r"\(texts, timesteps\).* Received: \(5,\)"),
    ],
)
def test_inputs_that_cannot_be_measured_are_named(ids, labels, message):
    with pytest.raises(ValueError, match=message):
        gradient_flow(network(), ids, labels)


def test_lists_are_as_good_as_arrays():
    model = network()
    found = gradient_flow(model, IDS.tolist(), LABELS.tolist())["simple_rnn_1/h"]
    expected = gradient_flow(model, IDS, LABELS)["simple_rnn_1/h"]
    np.testing.assert_array_equal(found, expected)
