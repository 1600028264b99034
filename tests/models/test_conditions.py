"""The contract of conditional models: what they take, what they refuse, and what a label may change."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conditional_bugs import LabelChain, LabelVAE, LabelWeights
from conditional_toys import NAMES, LabelBernoulli, LabelConfig, LabelGAN, card
from toys import ToyConfig, ToyGAN

from genzoo import Labels
from genzoo.errors import ArgumentError, CardError, UnknownNameError
from genzoo.models import AdversarialModel, golden
from genzoo.models.weights import build_filled, encode

KINDS = [LabelGAN, LabelBernoulli]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def model(request):
    torch.manual_seed(0)
    return card(request.param).build().eval()


class TestLabels:
    @pytest.mark.parametrize(
        ("value", "number"),
        [("dog", 1), ("DOG", 1), (2, 2), (np.int64(1), 1), ("2", 2), (torch.tensor(2), 2)],
    )
    def test_a_label_is_a_name_or_a_number(self, value, number):
        assert Labels(NAMES).number(value) == number

    def test_a_name_comes_before_a_number(self):
        assert Labels(("1", "0")).number("1") == 0 and Labels(("1", "0")).number(1) == 1

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            ("hors", "did you mean 'horse'"),
            (3, "run from 0 to 2"),
            (-1, "run from 0 to 2"),
            ("17", "run from 0 to 2"),
            (1.0, "name or a whole number, not 1.0"),
            (float("nan"), "not nan"),
            (True, "not True"),
            (torch.zeros(3, 8, 8), "name or a whole number"),
        ],
    )
    def test_others_are_refused(self, value, said):
        with pytest.raises((ArgumentError, UnknownNameError), match=said):
            Labels(NAMES).number(value)

    @pytest.mark.parametrize(
        "names", [(), ("a", "A"), ("a", ""), ("a", " b"), ("a", 3), "abc", ("a", "\x1b[2J"), ("x" * 201,)]
    )
    def test_names_must_be_different_texts(self, names):
        with pytest.raises(CardError):
            Labels(names)

    def test_ten_thousand(self):
        many = Labels(tuple(map(str, range(10_000))))
        assert many.number("9999") == 9_999 and len(many.words) < 80


class TestRows:
    def test_one_for_all_or_one_for_each(self, model):
        one = model.sample(3, seed=0, condition="dog")
        assert torch.equal(one, model.sample(3, seed=0, condition=["dog", 1, "1"]))
        assert torch.equal(one, model.sample(3, seed=0, condition=torch.tensor([1, 1, 1])))
        assert torch.equal(one, model.sample(3, seed=0, condition=np.array([1, 1, 1])))

    def test_image_i_is_a_function_of_the_seed_i_and_its_own_label(self, model):
        mixed = model.sample(40, seed=0, condition=[i % 3 for i in range(40)])
        for number in range(3):
            same = model.sample(40, seed=0, condition=number)
            assert torch.equal(mixed[number::3], same[number::3])
            assert not torch.equal(mixed[(number + 1) % 3 :: 3], same[(number + 1) % 3 :: 3])

    @pytest.mark.parametrize(
        ("condition", "said"),
        [
            (None, "needs a condition: it takes 3 labels: cat, dog, horse"),
            ([], "0 labels for 4 images"),
            (["cat"], "1 labels for 4 images"),
            ([["cat"]] * 4, "name or a whole number"),
            (torch.zeros(4, 1, 8, 8), "a list of 4, not an array"),
            (torch.zeros(4), "not 0.0"),
            ([0, 1, 2, 3], "run from 0 to 2"),
            (["cat", "dog", "hrse", "dog"], "did you mean 'horse'"),
        ],
    )
    def test_what_is_refused(self, model, condition, said):
        with pytest.raises((ArgumentError, UnknownNameError), match=said):
            model.sample(4, seed=0, condition=condition)
        with pytest.raises((ArgumentError, UnknownNameError), match=said):
            model.sample_batches(4, 0, condition=condition)

    def test_a_model_without_one_refuses_it(self):
        with pytest.raises(ArgumentError, match="takes no condition"):
            ToyGAN(ToyConfig()).sample(1, condition="dog")
        with pytest.raises(ArgumentError, match="takes no condition"):
            ToyGAN(ToyConfig()).given("dog")


class TestFixed:
    def test_it_is_an_ordinary_model_with_the_same_weights(self, model):
        fixed = model.given("horse")
        assert fixed.condition is None and model.condition == Labels(NAMES)
        assert torch.equal(fixed.sample(3, seed=1), model.sample(3, seed=1, condition=2))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.5)
        assert torch.equal(fixed.sample(3, seed=1), model.sample(3, seed=1, condition=2))

    def test_nothing_more_can_be_given(self, model):
        with pytest.raises(ArgumentError, match="it is fixed"):
            model.given("cat").sample(1, condition="cat")
        with pytest.raises(ArgumentError, match="takes no condition"):
            model.given("cat").given("dog")

    def test_asking_it_restores_the_mode_of_both(self, model):
        model.train()
        fixed = model.given("cat")
        fixed.sample(1, seed=0)
        assert model.training and all(module.training for module in model.modules())


class TestDensity:
    def test_each_label_has_its_own(self):
        model = card(LabelBernoulli).build()
        x = model.sample(5, seed=0, condition=[0, 1, 2, 0, 1])
        mixed = model.log_prob(x, ["cat", "dog", "horse", "cat", "dog"])
        for i, name in enumerate(["cat", "dog", "horse", "cat", "dog"]):
            assert torch.equal(mixed[i], model.given(name).log_prob(x[i : i + 1])[0])
        assert not torch.equal(mixed, model.log_prob(x, 0))

    def test_a_gan_has_none(self):
        with pytest.raises(TypeError, match="has no likelihood"):
            card(LabelGAN).build().log_prob(torch.zeros(1, 1, 8, 8), condition="cat")


class TestClass:
    def test_a_method_without_the_condition_is_refused_by_name(self):
        with pytest.raises(CardError, match="_decode takes no condition"):

            class Forgetful(AdversarialModel):
                condition_type = Labels

                def _decode(self, z):
                    return z

    def test_and_one_that_a_class_without_a_condition_cannot_call(self):
        with pytest.raises(CardError, match="_discriminate has an argument more"):

            class Curious(AdversarialModel):
                def _discriminate(self, x, condition):
                    return x

    def test_the_card_is_held_to_it(self):
        with pytest.raises(CardError, match="states no condition, but"):
            card(LabelGAN, condition=None).build()
        with pytest.raises(CardError, match="states a condition, but"):
            card(LabelGAN, model="toys:ToyGAN").build()
        with pytest.raises(CardError, match="condition must be a condition"):
            card(LabelGAN, condition=NAMES)

    def test_labels_of_an_override_are_checked(self):
        with pytest.raises(CardError, match="two labels are called 'a'"):
            card(LabelGAN).build(labels=("a", "a"))

    def test_the_card_fills_the_config(self):
        model = card(LabelGAN, condition=Labels(("a", "b"))).build()
        assert model.config == LabelConfig(labels=("a", "b")) and model.condition == Labels(("a", "b"))


class TestGolden:
    def test_it_states_its_condition(self, model):
        found = golden.record(model)
        assert found["condition"] == [0, 2]
        assert "agree" in golden.compare(model, found, "toy")

    def test_it_is_checked_for_the_condition_it_states(self, model):
        other = golden.record(model, [1, 1])
        assert other["condition"] == [1, 1] and other["samples"] != golden.record(model)["samples"]
        assert "agree" in golden.compare(model, other, "toy")

    @pytest.mark.parametrize("condition", [[7, 7], ["mouse", 0], [0], {"a": 1}, [[0], [1]]])
    def test_a_hostile_one_is_an_error(self, model, condition):
        with pytest.raises(golden.WeightsError):
            golden.compare(model, {**golden.record(model), "condition": condition}, "toy")

    def test_weights_keep_their_labels(self, model):
        kind = type(model)
        own = card(kind, condition=Labels(("x", "y"))).build()
        blob = encode(own, "toy", golden.record(own))
        loaded = build_filled(card(kind), blob, "weights")
        assert loaded.condition == Labels(("x", "y"))


class TestEveryQuestion:
    """Whatever a conditional model is asked, a wrong condition is an error of one line, before any work."""

    X, Z = torch.zeros(2, 1, 4, 4), torch.zeros(2, 4)
    MASK = torch.zeros(4, 4, dtype=torch.bool)
    QUESTIONS = [
        (LabelVAE, "sample", lambda m, c: m.sample(2, seed=0, condition=c)),
        (LabelVAE, "sample_batches", lambda m, c: m.sample_batches(2, 0, condition=c)),
        (LabelGAN, "decode", lambda m, c: m.decode(TestEveryQuestion.Z, c)),
        (LabelVAE, "encode", lambda m, c: m.encode(TestEveryQuestion.X, c)),
        (LabelVAE, "log_prob", lambda m, c: m.log_prob(TestEveryQuestion.X, c)),
        (LabelWeights, "iwae", lambda m, c: m.iwae(TestEveryQuestion.X, 2, condition=c)),
        (LabelWeights, "iwae_bounds", lambda m, c: m.iwae_bounds(TestEveryQuestion.X, (1, 2), condition=c)),
        (LabelVAE, "bits_per_dim", lambda m, c: m.bits_per_dim(TestEveryQuestion.X, c)),
        (
            LabelChain,
            "complete",
            lambda m, c: m.complete(TestEveryQuestion.X, TestEveryQuestion.MASK, condition=c),
        ),
        (
            LabelChain,
            "complete_with_log_prob",
            lambda m, c: m.complete_with_log_prob(TestEveryQuestion.X, TestEveryQuestion.MASK, condition=c),
        ),
        (
            LabelChain,
            "completion_log_prob",
            lambda m, c: m.completion_log_prob(TestEveryQuestion.X, TestEveryQuestion.MASK, condition=c),
        ),
    ]
    WRONG = [
        (None, "needs a condition: it takes 3 labels: cat, dog, horse"),
        ("hors", "did you mean 'horse'"),
        ("cat\n\x1b[2J", "there is no label"),
        ("", "there is no label"),
        (3, "run from 0 to 2"),
        (-1, "run from 0 to 2"),
        (10**30, "run from 0 to 2"),
        (0.0, "a name or a whole number, not 0.0"),
        (float("nan"), "a name or a whole number, not nan"),
        (np.float32(1), "a name or a whole number"),
        (True, "not True"),
        (b"ca", "a name or a whole number, not b'ca'"),
        ({"cat": 1, "dog": 2}, "a name or a whole number, not {"),
        ({"cat", "dog"}, "a name or a whole number, not {"),
        ([], "0 labels for 2 images"),
        (["cat"], "1 labels for 2 images"),
        (["cat"] * 10_000, "10,000 labels for 2 images"),
        ([0, float("nan")], "not nan"),
        ([0, None], "not None"),
        ([[0], [1]], "a name or a whole number"),
        (np.array([0.0, 1.0]), "not 0.0"),
        (torch.tensor([0, 3]), "run from 0 to 2"),
        (torch.zeros(2, dtype=torch.bool), "not False"),
        (torch.zeros(2, 1, 4, 4), r"a list of 2, not an array of the shape \(2, 1, 4, 4\)"),
        (torch.zeros(1, 4, 4), "a list of 2, not an array"),
        (object(), "a name or a whole number"),
    ]

    @pytest.mark.parametrize(("kind", "name", "ask"), QUESTIONS, ids=[name for _, name, _ in QUESTIONS])
    def test_a_wrong_condition_is_refused(self, kind, name, ask):
        assert hasattr(kind, name)
        model = kind(LabelConfig(image_shape=(1, 4, 4)))
        for value, said in self.WRONG:
            with pytest.raises((ArgumentError, UnknownNameError), match=said) as refused:
                ask(model, value)
            assert str(refused.value).isprintable(), value
        ask(model, "dog"), ask(model, [0, "horse"])

    def test_ten_thousand_labels_are_no_burden(self):
        names = tuple(f"class {i}" for i in range(10_000))
        model = card(LabelGAN, condition=Labels(names)).build()
        assert model.sample(2, seed=0, condition=["class 9999", 9_999]).shape == (2, 1, 8, 8)
        for wrong in ("class 10000", 10_000, None):
            with pytest.raises((ArgumentError, UnknownNameError)) as refused:
                model.sample(1, condition=wrong)
            assert len(str(refused.value)) < 300 and "10000 labels: class 0, " in str(refused.value)
        assert golden.record(model)["condition"] == [0, 9_999]

    def test_one_label_is_enough(self):
        model = card(LabelBernoulli, condition=Labels(("only",))).build()
        assert golden.record(model)["condition"] == [0, 0] and model.condition.words == "1 label: only"
        with pytest.raises(ArgumentError, match="needs a condition"):
            model.sample(1)
