import io
import math

import pytest
import torch
from torch import nn

from trainer.loop.best_epoch import BestEpoch


def build_model(value=0.0):
    model = nn.Linear(2, 1)
    fill(model, value)
    return model


def fill(model, value):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)


def walk(selection, accuracies, first_epoch=1):
    """Takes in epochs whose weights are their numbers; whether each ends the waiting."""
    model, verdicts = build_model(), []
    for epoch, accuracy in enumerate(accuracies, first_epoch):
        fill(model, float(epoch))
        verdicts.append(selection.end_epoch(epoch, accuracy, model))
    return verdicts


@pytest.mark.parametrize(
    ("patience", "min_delta", "accuracies", "stops_after"),
    [
        (None, 0.0, (0.5, 0.4, 0.3, 0.2), None),
        (1, 0.0, (0.1, 0.2, 0.3, 0.4), None),
        (1, 0.0, (0.5, 0.4), 2),
        (2, 0.0, (0.5, 0.4, 0.6, 0.5, 0.5), 5),  # a gain starts the waiting anew
        (1, 0.0, (0.5, 0.5), 2),  # the same again is no gain
        (2, 0.0, (0.5, 0.3, 0.4), 3),  # better than the epoch before is not better than the best
        (1, 0.25, (0.25, 0.5), 2),  # the gain has to be above min_delta, not equal to it
        (1, 0.25, (0.25, 0.53125), None),
        (2, 0.1, (0.5, 0.55, 0.61), None),  # small gains add up, since the last gain that counted is the one to beat
        (2, 0.1, (0.5, 0.55, 0.59, 0.65), 3),
        (1, 0.5, (0.0,), None),  # whatever the first epoch has, it is a gain
    ],
)
def test_waits_as_many_epochs_as_patience_says(patience, min_delta, accuracies, stops_after):
    verdicts = walk(BestEpoch(patience, min_delta), accuracies)
    assert (verdicts.index(True) + 1 if True in verdicts else None) == stops_after


@pytest.mark.parametrize(
    ("accuracies", "best_epoch"), [((0.0,), 1), ((0.1, 0.3, 0.2), 2), ((0.3, 0.3, 0.3), 1), ((0.1, 0.2, 0.21), 3)]
)
def test_keeps_the_weights_of_the_first_epoch_of_the_highest_accuracy(accuracies, best_epoch):
    # min_delta is for the waiting alone: the best epoch is the best by however little.
    selection = BestEpoch(None, 0.5)
    walk(selection, accuracies)
    assert (selection.best_epoch, selection.best_val_accuracy) == (best_epoch, max(accuracies))
    expected = build_model(float(best_epoch)).state_dict()
    assert selection.best_weights.keys() == expected.keys()
    assert all(torch.equal(selection.best_weights[name], value) for name, value in expected.items())


def test_before_any_epoch_there_is_nothing_best():
    selection = BestEpoch(3, 0.0)
    assert math.isnan(selection.best_val_accuracy)
    assert (selection.best_epoch, selection.best_weights) == (0, None)


@pytest.mark.parametrize("cut", range(7))
def test_state_round_trip_through_a_file_equals_no_interruption(cut):
    accuracies = (0.3, 0.5, 0.45, 0.52, 0.5, 0.5, 0.4)
    straight, before, after = (BestEpoch(3, 0.05) for _ in range(3))
    expected = walk(straight, accuracies)
    assert True in expected
    verdicts = walk(before, accuracies[:cut])
    file = io.BytesIO()
    torch.save(before.state_dict(), file)
    file.seek(0)
    after.load_state_dict(torch.load(file, weights_only=True))
    assert verdicts + walk(after, accuracies[cut:], cut + 1) == expected
    assert (after.best_epoch, after.best_val_accuracy) == (straight.best_epoch, straight.best_val_accuracy) == (4, 0.52)
    assert all(torch.equal(value, straight.best_weights[name]) for name, value in after.best_weights.items())
