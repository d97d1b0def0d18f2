"""What hyperparameters may be, and AWS's words for what they may not."""

from __future__ import annotations

import pytest

from farero_container.train.hyperparameters import (
    BadHyperparameter,
    decisive_metric,
    metric_names,
    validate,
)

# sagemaker-xgboost-container, `hyperparameter_validation.py`: every text word for word.
ERRORS = {
    "range": ({"num_round": "0"}, "Hyperparameter num_round: 0 is not in [1, +inf)"),
    "range of a float": ({"eta": "7"}, "Hyperparameter eta: 7.0 is not in [0, 1]"),
    "open range": ({"subsample": "0"}, "Hyperparameter subsample: 0.0 is not in (0, 1]"),
    "both open": ({"tweedie_variance_power": "2"}, "Hyperparameter tweedie_variance_power: 2.0 is not in (1, 2)"),
    "int": ({"max_depth": "5.5"}, "Hyperparameter max_depth: could not parse value"),
    "float": ({"eta": "fast"}, "Hyperparameter eta: could not parse value"),
    "nan": ({"eta": "nan"}, "Hyperparameter eta: could not parse value"),
    "choice": ({"booster": "tree"}, "Hyperparameter booster: tree is not in ['gbtree', 'gblinear', 'dart']"),
    "objective": ({"objective": "binary:logistics"}, "Hyperparameter objective: binary:logistics is not in ["),
    "metric": ({"eval_metric": "rmse,luck"}, "Hyperparameter eval_metric: value ['rmse', 'luck'] not in range ["),
    "threshold": ({"eval_metric": "rmse@3"}, "Metric 'rmse@3' is not supported. Parameter 'eval_metric' with customized thr"),
    "no threshold": ({"eval_metric": "error@x"}, "Threshold value 't' in 'error@t' expects float input."),
    "tuned metric": ({"_tuning_objective_metric": "train:auc"},
                     "Hyperparameter _tuning_objective_metric: train:auc is not in ['validation:accuracy', "),
    "auc": ({"objective": "reg:squarederror", "eval_metric": "auc"},
            "Metric 'auc' can only be applied for classification and ranking problems."),
    "aft": ({"eval_metric": "aft-nloglik"}, "Metric 'aft-nloglik' can only be applied for 'survival:aft' objective."),
    "unknown": ({"max_dept": "5"}, "Extraneous hyperparameter found: max_dept"),
    "classes": ({"objective": "multi:softmax"}, "Require input for parameter 'num_class' for multi-classification"),
    "no classes": ({"num_class": "3"}, "Do not need to setup parameter 'num_class'"),
    "updater": ({"updater": "grow"}, "Hyperparameter updater: value ['grow'] not in range ["),
    "two growers": ({"updater": "grow_histmaker,grow_colmaker"}, "Only one tree grow plugin can be selected."),
    "linear for trees": ({"updater": "shotgun"}, "Tree updater should be selected from these options: "),
    "trees for linear": ({"updater": "prune", "booster": "gblinear"},
                         "Linear updater should be one of these options: 'shotgun', 'coord_descent'."),
    "update": ({"updater": "sync", "process_type": "update"},
               "process_type 'update' can only be used with updater 'refresh' and 'prune'"),
    "monotone": ({"monotone_constraints": "(2, 0)"},
                 "Hyperparameter monotone_constraints: value (2, 0) not in range [-1, 0, 1]"),
    "monotone approx": ({"monotone_constraints": "(1, 0)", "tree_method": "approx"},
                        "monotone_constraints can be used only when the tree_method parameter is set to either"),
    "interaction": ({"interaction_constraints": "[[0, 1]]"},
                    "Hyperparameter interaction_constraints: value [[0, 1]] not in range [1, +inf)"),
    "no interaction": ({"interaction_constraints": "__import__('os')"},
                       "Hyperparameter interaction_constraints: could not parse value"),
    "folds": ({"_kfold": "1"}, "Hyperparameter _kfold: 1 is not in [2, +inf)"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_hyperparameters_are_refused_in_awss_words(name: str) -> None:
    given, message = ERRORS[name]

    with pytest.raises(BadHyperparameter) as caught:
        validate(given, print)

    assert caught.value.message.startswith(message)


def test_a_mistyped_name_has_a_proposal() -> None:
    with pytest.raises(BadHyperparameter) as caught:
        validate({"max_dept": "5"}, print)

    assert caught.value.fix == "Did you mean max_depth?"


def test_strings_in_quotes_and_second_names_are_understood() -> None:
    values = validate(
        {"num_round": "3", "learning_rate": '"0.5"', "objective": '"reg:gamma"'}, print
    )

    assert values == {"num_round": 3, "eta": 0.5, "objective": "reg:gamma"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Missing required hyperparameter: num_round"),
        ({"num_round": "1", "eval_metric": "auc"}, "Metric 'auc' can only be applied"),
        ({"num_round": "1", "monotone_constraints": "1"}, "monotone_constraints can be used only when"),
    ],
    ids=["num_round", "auc", "monotone"],
)  # fmt: skip
def test_each_leniency_names_what_aws_would_say(given: dict[str, str], said: str) -> None:
    told: list[str] = []

    validate(given, told.append)

    assert len(told) == 1
    assert said in told[0]


@pytest.mark.parametrize(
    ("given", "names", "decisive"),
    [
        ({}, [], None),
        ({"eval_metric": "rmse,accuracy,mae"}, ["rmse", "accuracy", "mae"], "mae"),
        ({"_tuning_objective_metric": "validation:f1"}, ["f1"], "f1"),
        ({"_tuning_objective_metric": "validation:mae", "eval_metric": "rmse,f1"}, ["f1", "mae", "rmse"], "mae"),
    ],
    ids=["none", "asked for", "tuned", "both"],
)  # fmt: skip
def test_the_metric_of_tuning_is_evaluated_and_decides(given, names, decisive) -> None:
    values = validate({"num_round": "1", **given}, print)

    assert (metric_names(values), decisive_metric(values)) == (names, decisive)
