"""scikit-learn's own checks of our estimators, its tools around them, and what they refuse."""

from __future__ import annotations

import io
import pickle
import pickletools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_classifiers_classes, parametrize_with_checks

from backcast import (
    BackcastClassifier,
    BackcastEncoder,
    BackcastRegressor,
    InputError,
    RunError,
    StreamSession,
    from_arrays,
    load,
    load_model,
)
from backcast.config import FIELDS
from backcast.data.splitting import split_validation

TINY: dict[str, Any] = dict(
    hidden_size=8, embedding_size=0, feedforward_size=16, decoder_layers=1, anchors=1, segment_length=2, dropconnect=0.0,
    position_cue=False, pretrain_epochs=1, batch_size=32, device="cpu",
)  # fmt: skip
CLASSIFIER = BackcastClassifier(**TINY, epochs=6, learning_rate=0.03, validation=0)
REGRESSOR = BackcastRegressor(**{**TINY, "batch_size": 16}, epochs=25, learning_rate=0.03, validation=0)
ENCODER = BackcastEncoder(**TINY)
STEPS = 12


def expected_failures(estimator: object) -> dict[str, str]:
    """Checks that fail, with the reason."""
    found = {}
    if not isinstance(estimator, BackcastEncoder):
        found["check_sample_weight_equivalence_on_dense_data"] = (
            "the weights are updated a batch at a time, so a row that stands twice is in other batches than one of weight 2 "
            "(the same holds for scikit-learn's SGDClassifier)"
        )
    if isinstance(estimator, BackcastClassifier):
        found["check_classifiers_classes"] = (
            "it labels rows -1 and 1, but -1 means unlabelled, as in scikit-learn's semi-supervised classes, which it exempts "
            "by name; with missing_label=None it passes (a test of its own)"
        )
    return found


@parametrize_with_checks(
    [CLASSIFIER, REGRESSOR, ENCODER], expected_failed_checks=expected_failures, xfail_strict=True
)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_minus_one_may_be_a_class() -> None:
    check_classifiers_classes("BackcastClassifier", clone(CLASSIFIER).set_params(missing_label=None))


def test_minus_one_beside_other_classes_is_asked_about() -> None:
    x = rows(30)[0]
    quick = clone(CLASSIFIER).set_params(epochs=1)
    moves = np.arange(30) % 3 - 1  # down, flat, up
    for y in (moves, moves.astype(float), [*moves[:29], None], moves.astype(str), list(map(str, moves))):
        with pytest.warns(UserWarning, match="if -1 is a class, set missing_label=None") as said:
            assert list(map(int, quick.fit(x, y).classes_)) == [0, 1]
        assert said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert clone(quick).set_params(missing_label=None).fit(x, moves).classes_.tolist() == [-1, 0, 1]
        quick.fit(x, np.where(np.arange(30) < 15, moves % 2, -1))  # half of them without a label
        quick.fit(x, [None if move < 0 else move for move in moves])
        quick.fit(x, [-1 if move < 0 else "ab"[move] for move in moves])
        quick.fit(x, np.where(np.arange(30) < 15, moves % 2, -1).astype(str))


def test_the_text_nan_is_asked_about() -> None:
    x = rows(30)[0]
    words = ["deu", "fra", None] * 10
    for missing_label in (-1, None):
        quick = clone(CLASSIFIER).set_params(epochs=1, missing_label=missing_label)
        for y in (np.array(["deu", "fra", np.nan] * 10), ["deu", "fra", "nan"] * 10):
            with pytest.warns(UserWarning, match="the text 'nan'.* if it is a class, give it another name"):
                assert quick.fit(x, y).classes_.tolist() == ["deu", "fra"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick.fit(x, words)
        quick.set_params(missing_label="nan").fit(x, ["deu", "fra", "nan"] * 10)


def rows(count: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(count, STEPS) told apart by the mean of the row."""
    generator = np.random.default_rng(seed)
    y = np.arange(count) % 2
    return generator.normal(size=(count, STEPS)) + 3 * y[:, None], y


def test_parameters_are_those_of_config_with_its_defaults() -> None:
    own = {"random_state", "verbose", "patience", "class_weight", "missing_label"}
    for estimator in (BackcastClassifier(), BackcastRegressor(), BackcastEncoder()):
        for name, value in estimator.get_params().items():
            assert name in own or value == FIELDS[name].default, name
    assert own <= set(BackcastClassifier().get_params())
    assert "epochs" not in BackcastEncoder().get_params()


def test_all_forms_of_x_say_the_same() -> None:
    x, y = rows()
    model = clone(CLASSIFIER).fit(x, y)
    expected = model.predict_proba(x)
    assert model.n_features_in_ == STEPS and model.score(x, y) > 0.9
    for form in (x.tolist(), torch.from_numpy(x), x.astype(object), list(x), x[:, :, None]):
        assert np.array_equal(model.predict_proba(form), expected)
    column = np.empty(len(x), object)
    column[:] = list(x)
    ragged = clone(CLASSIFIER).fit(column, y)
    assert np.array_equal(ragged.predict_proba(x), expected) and not hasattr(ragged, "n_features_in_")
    assert ragged.predict([x[0, :5], x[1]]).shape == (2,)
    assert ragged.predict(x[:, :5]).shape == (40,)  # where no array was fitted, any number of steps fits


def test_texts_bytes_and_words() -> None:
    words = ["abc" * 3, "xyz" * 2] * 10
    for x in (words, np.array(words), [word.encode() for word in words], [list(word) for word in words]):
        model = clone(CLASSIFIER).fit(x, ["a", "b"] * 10)
        assert model.predict(x[:2]).tolist() == ["a", "b"]
    assert clone(ENCODER).set_params(kind="bytes", max_length=4).fit(words).transform(words).shape == (20, 8)


def test_pandas_columns_and_tables() -> None:
    pandas = pytest.importorskip("pandas")
    x, y = rows()
    table = pandas.DataFrame(x, columns=[f"t{i}" for i in range(STEPS)])
    model = clone(CLASSIFIER).fit(table, pandas.Series(y))
    assert np.array_equal(model.predict_proba(table), clone(CLASSIFIER).fit(x, y).predict_proba(x))
    assert model.feature_names_in_[0] == "t0"
    texts = pandas.DataFrame({"text": ["abc", "xyzz"] * 10, "label": ["a", "b"] * 10})
    for form in (texts["text"], texts[["text"]]):
        fitted = clone(CLASSIFIER).fit(form, texts["label"])
        assert fitted.predict(form[:2]).tolist() == ["a", "b"]
    assert clone(CLASSIFIER).fit(pandas.Series(list(x)), y).predict(list(x)).shape == (40,)


def test_rows_without_a_label_train_the_auxiliary_loss_alone() -> None:
    x, y = rows()
    for none, labels in ((-1, y.copy()), (None, y.astype(object)), (np.nan, y.astype(float))):
        labels[4:] = none
        model = clone(CLASSIFIER).fit(x, labels)
        assert model.classes_.tolist() == [0, 1]
        assert set(model.predict(x)) <= {0, 1}
    alone = clone(CLASSIFIER).fit(x[:4], y[:4])
    assert not np.array_equal(model.predict_proba(x), alone.predict_proba(x))
    targets = x.mean(axis=1)
    targets[10:] = np.nan
    assert np.isfinite(clone(REGRESSOR).set_params(epochs=1).fit(x, targets).predict(x)).all()


def test_pretraining_comes_before_fit() -> None:
    x, y = rows()
    model = clone(CLASSIFIER).set_params(joint=False).pretrain(x)
    with pytest.raises(NotFittedError):
        model.predict(x)
    phase_1 = model.history_
    first = model.fit(x[:8], y[:8]).predict_proba(x)
    assert np.array_equal(first, model.fit(x[:8], y[:8]).predict_proba(x))
    assert {entry["phase"] for entry in model.history_} == {"supervised"}
    # Of both phases in one, where all rows are in both: the same first phase, to the bit.
    whole = clone(CLASSIFIER).set_params(joint=False).fit(x, y)
    assert whole.history_[0]["phase"] == "pretraining"
    assert whole.history_[0]["reconstruction"] == phase_1[0]["reconstruction"]
    with pytest.raises(InputError, match=r"pretrain\(\) was with hidden_size=8, now it is 4"):
        model.set_params(hidden_size=4).fit(x, y)
    for other in ("r-gru", "transformer"):
        with pytest.raises(InputError, match=f"method='r-lstm', now it is '{other}'"):
            model.set_params(hidden_size=8, method=other).fit(x, y)


def test_score_counts_the_rows_with_a_label() -> None:
    x, y = rows()
    model = clone(CLASSIFIER).fit(x, y)
    wanted = model.score(x[:20], y[:20])
    for none, labels in ((-1, y.copy()), (None, y.astype(object)), (np.nan, y.astype(float))):
        labels[20:] = none
        assert model.score(x, labels) == model.score([*x], labels) == wanted
    shuffled = KFold(2, shuffle=True, random_state=0)  # `labels` are those of the last turn
    assert np.isfinite(cross_val_score(clone(model).set_params(epochs=1), x, labels, cv=shuffled)).all()
    assert model.score(x, y, [1] * 20 + [0] * 20) == pytest.approx(wanted)
    with pytest.raises(InputError, match="nothing to score"):
        model.score(x, np.full(len(x), -1))
    with pytest.raises(ValueError, match="inconsistent numbers"):
        model.score(x, [0, *y])
    targets = x.mean(axis=1)
    regressor = clone(REGRESSOR).set_params(epochs=1).fit(x, targets)
    assert regressor.score(x, np.where(np.arange(len(x)) < 20, targets, np.nan)) == regressor.score(
        x[:20], targets[:20]
    )


def test_a_refit_that_fails_leaves_the_estimator_as_it_was() -> None:
    x, y = rows()
    model = clone(CLASSIFIER).set_params(epochs=1).fit(x, y)
    regressor = clone(REGRESSOR).set_params(epochs=1).fit(x, y)
    encoder = clone(ENCODER).fit(x)
    before = model.predict(x), regressor.predict(x), encoder.transform(x)
    for one in (model, regressor):
        with pytest.raises(InputError, match="patience"):
            one.set_params(patience=1).fit(x[:, :8], 7 + 9 * y)
        with pytest.raises(TypeError, match="Sparse data was passed"):
            one.fit(csr_matrix(x), y)
        one.pretrain(x[:, :8])  # is for the fit that follows
    with pytest.raises(InputError, match="device"):
        encoder.set_params(device="tpu").fit(list(x))
    encoder.set_params(device="cpu")
    for one, say, said in zip(
        (model, regressor, encoder), ("predict", "predict", "transform"), before, strict=True
    ):
        assert np.array_equal(getattr(one, say)(x), said) and one.n_features_in_ == STEPS
    shorter = clone(ENCODER).fit(x).fit(x[:, :8])
    assert shorter.n_features_in_ == 8 and shorter.transform(x[:, :8]).shape == (40, 8)
    assert not hasattr(shorter.fit(list(x)), "n_features_in_")


def test_minus_one_among_words_is_no_class() -> None:
    x, y = rows()
    words = np.array(["cold", "warm"])[y]
    words[10:] = -1
    assert clone(CLASSIFIER).set_params(epochs=1).fit(x, words).classes_.tolist() == ["cold", "warm"]
    letters = np.array(["a", "b"])[y]
    letters[10:] = -1
    with pytest.warns(UserWarning, match="NumPy makes of -1"):
        clone(CLASSIFIER).set_params(epochs=1).fit(x, letters)
    signs = np.array(["-", "+"])[y]
    assert clone(CLASSIFIER).set_params(epochs=1, missing_label=None).fit(x, signs).classes_.tolist() == [
        "+",
        "-",
    ]
    with_nothing = np.array([*map(int, y[:-1]), None], object)
    pandas = pytest.importorskip("pandas")
    assert clone(CLASSIFIER).set_params(epochs=1, missing_label=pandas.NA).fit(
        x, with_nothing
    ).classes_.tolist() == [0, 1]


def test_no_class_is_made_up_where_the_state_overflows() -> None:
    x, y = rows()
    model = clone(CLASSIFIER).set_params(method="irnn", epochs=1, pretrain_epochs=0).fit(x, y)
    with torch.no_grad():
        for value in model.network_.network.encoder.parameters():
            value.abs_().add_(9)
    with pytest.raises(RunError, match=r"output for row 0, 600 steps, is not finite.*gates"):
        model.predict([np.ones(600)] * 3)


def test_validation_rows_choose_the_epoch_and_patience_ends_training() -> None:
    x, y = rows()
    model = clone(CLASSIFIER).set_params(epochs=30, patience=2)
    model.fit(x, y, *rows(10, seed=1))
    held_out = clone(CLASSIFIER).set_params(validation=0.2, epochs=30, patience=1).fit(x, y)
    regressor = clone(REGRESSOR).set_params(epochs=30, patience=3, learning_rate=0.1, validation=0.5)
    regressor.fit(x, np.random.default_rng(0).normal(size=len(x)))
    for one in (model, held_out, regressor):
        judged = [
            (entry.get("validation_accuracy", 0), -entry["validation_loss"])
            for entry in one.history_
            if "validation_loss" in entry
        ]
        assert len(judged) < 30 and len(judged) - 1 - judged.index(max(judged)) == one.patience


def test_weights_of_rows_and_classes() -> None:
    x, y = rows()
    x = np.concatenate([x, x])  # every row with both labels
    y = np.concatenate([y, 1 - y])
    weights = np.repeat([1.0, 0.01], 40)
    assert clone(CLASSIFIER).fit(x, y, sample_weight=weights).score(x[:40], y[:40]) > 0.9
    kept = clone(CLASSIFIER).fit(x, y, sample_weight=np.repeat([3.0, 0.0], 40))  # as if they were not there
    assert np.array_equal(kept.predict_proba(x), clone(CLASSIFIER).fit(x[:40], y[:40]).predict_proba(x))
    noise = np.random.default_rng(0).normal(size=(40, STEPS))
    heavy = clone(CLASSIFIER).set_params(class_weight={0: 1, 1: 1000}, validation=0.2).fit(noise, y[:40])
    assert heavy.predict(noise).mean() > 0.9
    assert clone(CLASSIFIER).set_params(class_weight="balanced").fit(x[:39], y[:39]).classes_.tolist() == [
        0,
        1,
    ]


def test_sample_weights_are_left_as_they_were() -> None:
    x, y = rows()
    balanced = clone(CLASSIFIER).set_params(class_weight="balanced", epochs=1)
    weights = np.linspace(0.1, 1, 39)
    balanced.fit(x[:39], y[:39], sample_weight=weights)
    assert np.array_equal(weights, np.linspace(0.1, 1, 39))
    weights.setflags(write=False)  # as pandas hands out its columns
    balanced.fit(x[:39], y[:39], sample_weight=weights)


def test_weights_decide_between_targets_that_contradict_each_other() -> None:
    x, _ = rows()
    both, targets = np.concatenate([x, x]), np.concatenate([x[:, 0], 10 + x[:, 0]])
    weights = np.repeat([1.0, 0.01], 40)
    model = clone(REGRESSOR).fit(both, targets, sample_weight=weights)
    assert model.target_mean_ == pytest.approx(np.average(targets, weights=weights))
    assert abs(model.predict(x).mean() - targets[:40].mean()) < 1  # 5, were they all the same


def test_only_the_ratios_of_weights_count() -> None:
    x, y = rows()
    weights = np.random.default_rng(0).uniform(0.1, 1, 40)
    for estimator in (CLASSIFIER, REGRESSOR):
        one, other = (
            clone(estimator).set_params(epochs=3).fit(x, y, sample_weight=w) for w in (weights, 64 * weights)
        )
        for before, after in zip(
            one.network_.network.parameters(), other.network_.network.parameters(), strict=True
        ):
            assert torch.equal(before, after)


def test_class_weights_count_in_the_accuracy_that_chooses_the_epoch() -> None:
    x, y = np.random.default_rng(0).normal(size=(60, STEPS)), np.arange(60) % 3 % 2
    model = (
        clone(CLASSIFIER).set_params(class_weight={0: 1, 1: 5}, epochs=1).fit(x[:30], y[:30], x[30:], y[30:])
    )
    right, weights = model.predict(x[30:]) == y[30:], np.where(y[30:] == 1, 5, 1)
    assert 0 < right.mean() < 1 and np.average(right, weights=weights) != right.mean()
    assert model.history_[-1]["validation_accuracy"] == pytest.approx(np.average(right, weights=weights))


def test_sample_weights_count_in_the_rows_held_out_and_not_in_x_val() -> None:
    x, y = np.random.default_rng(0).normal(size=(60, STEPS)), np.arange(60) % 2
    weights = np.random.default_rng(1).uniform(0.1, 1, 60)
    quick = clone(CLASSIFIER).set_params(epochs=1)
    model = clone(quick).set_params(validation=0.5).fit(x, y, sample_weight=weights)
    held_out = split_validation(from_arrays(x, y), 0.5, 0)[1].ids.astype(int)  # type: ignore[union-attr]
    right = model.predict(x) == y
    weighted = np.average(right[held_out], weights=weights[held_out])
    assert model.history_[-1]["validation_accuracy"] == pytest.approx(weighted) != right[held_out].mean()
    other = quick.fit(x[:30], y[:30], x[30:], y[30:], sample_weight=weights[:30])
    assert other.history_[-1]["validation_accuracy"] == pytest.approx(other.score(x[30:], y[30:]))


def test_a_pickle_holds_weights_and_settings_and_no_class_of_torch() -> None:
    x, y = rows()
    for estimator in (CLASSIFIER, REGRESSOR, ENCODER):
        fitted = clone(estimator).fit(x, y)
        saved = pickle.dumps(fitted)
        words = {argument for _, argument, _ in pickletools.genops(saved) if isinstance(argument, str)}
        modules = {word for word in words if word.split(".")[0] in ("torch", "backcast")}
        assert all(word.startswith("backcast.estimator.") for word in modules), modules
        again = pickle.load(io.BytesIO(saved))
        say = "transform" if estimator is ENCODER else "predict"
        assert np.array_equal(getattr(again, say)(x), getattr(fitted, say)(x))
        assert again.get_params() == fitted.get_params()


def test_random_states() -> None:
    x, y = rows()
    quick = clone(CLASSIFIER).set_params(epochs=1, pretrain_epochs=0)
    before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    found = {}
    for name, state in (("0", 0), ("1", 1), ("np", np.random.RandomState(3)), ("None", None), ("again", 0)):
        found[name] = quick.set_params(random_state=state).fit(x, y).predict_proba(x)
    assert np.array_equal(found["0"], found["again"])
    assert not np.array_equal(found["0"], found["1"]) and not np.array_equal(found["None"], found["np"])
    assert np.array_equal(before[0], np.random.get_state()[1]) and torch.equal(
        before[1], torch.random.get_rng_state()
    )


def test_verbose_says_a_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = rows()
    clone(CLASSIFIER).set_params(verbose=True, epochs=2).fit((x > 0).astype(int), y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and "kind real reads them as numbers" in lines[0] and "joint epoch 2:" in lines[3]
    clone(CLASSIFIER).set_params(epochs=1).fit(x, y)
    assert not capsys.readouterr().out


def test_scikit_learns_tools() -> None:
    x, y = rows()
    quick = clone(CLASSIFIER).set_params(epochs=3)
    assert make_pipeline(StandardScaler(), quick).fit(x, y).score(x, y) > 0.8
    search = GridSearchCV(quick, {"hidden_size": [4, 8]}, cv=2).fit(x, y)
    assert search.best_params_["hidden_size"] in (4, 8)
    assert cross_val_score(quick, x, y, cv=2).shape == (2,)
    assert CalibratedClassifierCV(quick, cv=2).fit(x, y).predict_proba(x).shape == (40, 2)
    features = make_pipeline(clone(ENCODER).set_params(hidden_size=16), LogisticRegression())
    assert features.fit(list(x), y).score(list(x), y) > 0.8
    assert features[0].get_feature_names_out()[15] == "backcastencoder15"


def test_a_fitted_classifier_streams_and_is_saved_as_a_model(tmp_path: Path) -> None:
    x, y = rows()
    with pytest.raises(NotFittedError):
        _ = clone(CLASSIFIER).model_
    fitted = clone(CLASSIFIER).set_params(epochs=1).fit(x, np.array(["low", "high"])[y])
    expected = fitted.predict_proba(x)
    session = StreamSession(fitted.model_, batch_size=len(x))
    assert session.classes == tuple(fitted.classes_)
    session.push(x[:, :4])
    assert np.allclose(session.push(x[:, 4:]), expected, atol=1e-5)
    fitted.model_.save_pretrained(tmp_path / "model")
    again = load_model(tmp_path / "model").predict_proba(load(x).train)
    assert np.allclose(again, expected, atol=1e-6)


def test_max_length_cuts_rows_for_the_classifier_and_not_for_its_model() -> None:
    x, y = rows()
    fitted = clone(CLASSIFIER).set_params(epochs=1, max_length=5).fit(x, y)
    cut, whole = fitted.model_.predict_proba(load(x[:, :5]).train), fitted.model_.predict_proba(load(x).train)
    assert np.allclose(fitted.predict_proba(x), cut, atol=1e-6) and not np.allclose(cut, whole, atol=1e-3)
    assert np.allclose(StreamSession(fitted.model_, len(x)).push(x), whole, atol=1e-5)


def test_the_encoder_gives_the_state_at_the_end() -> None:
    x, _ = rows()
    fitted = clone(ENCODER).fit(x)
    model = fitted.network_
    batch = model.preprocessing.batch(fitted._rows_to_read(x), np.arange(40))
    with torch.no_grad():
        _, state = model.network.encoder(batch.slice(0, STEPS), model.network.encoder.zero_state(40))
    assert np.allclose(fitted.transform(x), state.h.numpy(), atol=1e-5)


def test_a_regressor_of_an_attention_network() -> None:
    x, _ = rows()
    model = clone(REGRESSOR).set_params(method="transformer", epochs=2, embedding_size=4)
    assert model.fit(x, x.mean(axis=1)).predict(x).shape == (40,)


@pytest.mark.parametrize("exponent", [530, -700, -1000])
def test_targets_of_any_size_are_standardised(exponent: int) -> None:
    x, _ = rows()
    targets, quick = (
        np.ldexp(np.round(x.mean(axis=1), 2).astype(np.float32), 40),
        clone(REGRESSOR).set_params(epochs=2),
    )
    unit, model = quick.fit(x, targets), clone(quick).fit(x, np.ldexp(targets.astype(float), exponent))
    assert model.target_scale_ == np.ldexp(unit.target_scale_, exponent)
    assert np.array_equal(model.predict(x), np.ldexp(unit.predict(x), exponent))
    assert unit.target_scale_ == np.sqrt(np.average((targets - unit.target_mean_) ** 2))


X, Y = rows(8)
NAN = np.where(np.arange(STEPS) == 2, np.nan, X)
REFUSED = [
    ("a text", dict(X="abc", y=Y), "a list of arrays, of strings or of bytes, or a pandas column of them; it is a str"),
    ("nothing", dict(X=None, y=Y), "it is a NoneType"),
    ("four dimensions", dict(X=X[:, :, None, None], y=Y), r"it must be \(rows, steps\) or \(rows, steps, channels\)"),
    ("text in an array", dict(X=X.astype(str), y=Y), "Convert your data to numeric values explicitly"),
    ("masked values", dict(X=np.ma.masked_greater(X, 1), y=Y), "X is masked; say what the masked values are"),
    ("words in an array", dict(X=[["a", 1]] * 8, y=Y), "step 0 is 'a', not a number"),
    ("texts and numbers", dict(X=["ab", [1.5, 2.5]] * 4, y=Y), "row 1 holds numbers, the rows before it text"),
    ("numbers and texts", dict(X=[[1.5, 2.5], "ab"] * 4, y=Y), "row 1 holds text, the rows before it numbers"),
    ("channels that differ", dict(X=[np.ones((3, 2)), np.ones((3, 1))] * 4, y=Y), "1 numbers a step, the rows before it 2"),
    ("an empty row", dict(X=[np.ones(3), np.ones(0)] * 4, y=Y), "row 1 is empty"),
    ("no rows", dict(X=[], y=[]), "there are no rows"),
    ("NaN", dict(X=NAN, y=Y), "row 0, step 2, channel 0 is missing .8 values in all are NaN.; fill_missing takes the last known value"),
    ("infinity", dict(X=np.where(np.isnan(NAN), np.inf, X), y=Y), "row 0, step 2, channel 0 is inf"),
    ("no y", dict(X=X, y=None), "requires y to be passed, but the target y is None"),
    ("short y", dict(X=X, y=Y[:5]), "y has 5 entries, but there are 8 rows in X"),
    ("one class", dict(X=X, y=Y * 0), "every label of y is 0, which is one class; there must be at least two"),
    ("-1 and 1", dict(X=X, y=2 * Y - 1), "-1 is no label; if it is a class, set missing_label=None"),
    ("no label", dict(X=X, y=Y * 0 - 1), "no row of y has a label"),
    ("real targets", dict(X=X, y=X[:, 0]), "Unknown label type: continuous.*BackcastRegressor"),
    ("labels of two kinds", dict(X=X, y=["a", 1] * 4), "all of one kind"),
    ("X_val alone", dict(X=X, y=Y, X_val=X), "X_val and y_val belong together"),
    ("X_val of another width", dict(X=X, y=Y, X_val=X[:, 1:], y_val=Y), "X has 11 features, but BackcastClassifier is expecting 12"),
    ("y_val of other classes", dict(X=X, y=Y, X_val=X, y_val=Y + 5), "row 0 has the label 5, which the model was not trained on"),
    ("weights of another shape", dict(X=X, y=Y, sample_weight=[1, 2]), r"sample_weight has the shape \(2,\)"),
    ("weights below zero", dict(X=X, y=Y, sample_weight=[1] * 7 + [-1]), "not negative; row 7 is not"),
]  # fmt: skip


@pytest.mark.parametrize("given, message", [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_fit_refuses(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clone(CLASSIFIER).fit(**given)


def test_labels_and_settings_as_pandas_and_numpy_have_them() -> None:
    import pandas as pd

    floats = clone(CLASSIFIER).set_params(epochs=1).fit(X, Y.astype(float), X[:3], Y[:3].astype(float))
    assert floats.classes_.dtype == float and set(floats.predict(X)) <= {*floats.classes_}
    named = pd.Series([*("ab" * len(Y))[: len(Y) - 1], pd.NA], dtype="string")
    model = clone(CLASSIFIER).set_params(epochs=1, joint=np.bool_(True), anchors=np.int64(1)).fit(X, named)
    assert model.classes_.tolist() == ["a", "b"]
    clone(CLASSIFIER).set_params(epochs=1, validation=0.25, patience=np.int64(2)).fit(X, Y)
    hashes = np.where(Y == 1, np.uint64(2**64 - 1), np.uint64(3))
    assert clone(CLASSIFIER).set_params(epochs=1).fit(X, hashes).classes_.tolist() == [3, 2**64 - 1]


def test_a_row_of_unknown_symbols_alone_is_predicted_as_among_others() -> None:
    model = clone(CLASSIFIER).set_params(epochs=1).fit(["abab", "baba"] * 8, [0, 1] * 8)
    alone, among = model.predict_proba(["zzzz"]), model.predict_proba(["zzzz", "abab"])
    np.testing.assert_allclose(alone[0], among[0], rtol=1e-5)


def test_predict_refuses() -> None:
    with pytest.raises(NotFittedError):
        clone(CLASSIFIER).predict(X)
    model = clone(CLASSIFIER).set_params(epochs=1).fit(X, Y)
    for given, message in (
        (X[:, :5], "X has 5 features, but BackcastClassifier is expecting 12 features as input.*a list of arrays"),
        (np.ones((2, STEPS, 3)), "real vectors of 3 channels, but the model reads real vectors of 1 channel"),
        (["abc"], "row 0 is a text, which is read as characters or bytes, not kind real"),
        (NAN, "is missing"),
        (X[0], "Reshape your data"),
        ([], "there are no rows"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            model.predict(given)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"hidden_size": 0}, "hidden_size 0: must be a whole number at least 1"),
        ({"method": "r-lstn"}, "did you mean 'r-lstm'"),
        ({"epochs": 0}, "epochs=0 trains no predictions"),
        ({"patience": 0, "validation": 0.5}, "patience=0: must be a whole number at least 1"),
        ({"patience": 3}, "patience=3 needs rows that choose the epoch"),
        ({"device": "tpu"}, "device tpu"),
        ({"position_cue": True}, "say position_cue=False"),
        ({"class_weight": {0: 1, 1: -0.5}}, "class_weight of 1 is -0.5; it must be finite and not negative"),
        ({"class_weight": {0: float("nan")}}, "class_weight of 0 is nan; it must be finite"),
        ({"class_weight": {1: float("inf")}}, "class_weight of 1 is inf; it must be finite"),
        ({"class_weight": {0: 0, 1: 0}}, "class_weight leaves no row that counts"),
    ],
)
def test_parameters_are_checked_at_fit(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clone(CLASSIFIER).set_params(**settings).fit(X, Y)


def test_unknown_parameters_and_what_cannot_learn_without_labels() -> None:
    with pytest.raises(ValueError, match="Invalid parameter 'hiden_size'"):
        clone(CLASSIFIER).set_params(hiden_size=3)
    for estimator in (ENCODER, CLASSIFIER):
        alone = clone(estimator).set_params(method="lstm")
        with pytest.raises(InputError, match=r"method='lstm' .* choose one of r-lstm"):
            alone.fit(X) if estimator is ENCODER else alone.pretrain(X)
    with pytest.raises(InputError, match="no row of y has a target"):
        clone(REGRESSOR).fit(X, [np.nan] * 8)
    with pytest.raises(InputError, match="not numbers; for classes there is BackcastClassifier"):
        clone(REGRESSOR).fit(X, ["a"] * 8)
    for targets in ([1.7e308, 1.7e308, -1.7e308, 0] * 2, [1.7e308] * 8):
        with pytest.raises(
            InputError, match=r"y is beyond what 64 bits can average: its targets lie in .*1\.7e\+308;"
        ):
            clone(REGRESSOR).fit(X, targets)
