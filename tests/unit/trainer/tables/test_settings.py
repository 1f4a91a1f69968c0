import math
import pickle

import pytest

from trainer.tables.settings import ConfigError, Fault, FrozenSettings, Row, Setting, did_you_mean, get_float, get_int

RATE = Setting("lr", "Learning rate", "float", 0.1, low=0, low_open=True)
SHARE = Setting("share", "Share", "float", 0.1, low=0, high=1, low_open=True, high_open=True)
COUNT = Setting("epochs", "Epochs", "int", 10, low=1, high=100)
SWITCH = Setting("flip", "Flip", "bool", True)
WORD = Setting("precision", "Precision", "str", "auto", choices=("fp32", "bf16", "auto"))
NICKED = Setting("model", "Model", "str", choices=("small", "large"), aliases=(("tiny", "small"), ("Large", "large")))
TEXT = Setting("data_dir", "Folder", "str", optional=True)
FULL = Setting("batch_size", "Images", "int", 128, low=1, words=("full",))
FREE = Setting("lr", "Learning rate", "float", words=("auto", "none"), optional=True)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        (RATE, 0.5),
        (RATE, 3),
        (SHARE, 0.999),
        (COUNT, 1),
        (COUNT, 100),
        (SWITCH, False),
        (WORD, "bf16"),
        (NICKED, "small"),
        (NICKED, "tiny"),
        (TEXT, None),
        (TEXT, "somewhere"),
        (FULL, "full"),
        (FULL, 1),
        (FREE, "none"),
        (FREE, -0.5),
        (FREE, None),
    ],
)
def test_legal_values_have_no_fault(setting, value):
    assert setting.check(value) is None


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        (RATE, 0, "found 0; allowed: a number above 0; choose a greater value"),
        (RATE, -1.5, "found -1.5; allowed: a number above 0; choose a greater value"),
        (RATE, "1e-3", "found '1e-3'; allowed: a number above 0; write 1e-3 without quotes"),
        (RATE, "fast", "found 'fast'; allowed: a number above 0; write a number"),
        (RATE, True, "found true; allowed: a number above 0; write a number"),
        (RATE, None, "found null; allowed: a number above 0; give a value or leave the setting out"),
        (RATE, math.nan, "found nan; allowed: a number above 0; write a finite number"),
        (RATE, math.inf, "found inf; allowed: a number above 0; write a finite number"),
        (RATE, [0.1], "found [0.1]; allowed: a number above 0; write a number"),
        (SHARE, 1, "found 1; allowed: a number above 0 and below 1; choose a smaller value"),
        (COUNT, 3.0, "found 3.0; allowed: a whole number from 1 to 100; write 3"),
        (COUNT, 3.5, "found 3.5; allowed: a whole number from 1 to 100; write 3 or 4"),
        (COUNT, 101, "found 101; allowed: a whole number from 1 to 100; choose a smaller value"),
        (COUNT, False, "found false; allowed: a whole number from 1 to 100; write a number"),
        (SWITCH, 1, "found 1; allowed: true or false; write true or false without quotes"),
        (SWITCH, "yes", "found 'yes'; allowed: true or false; write true or false without quotes"),
        (WORD, "bf61", "found 'bf61'; allowed: fp32, bf16 or auto; did you mean 'bf16'?"),
        (WORD, "quick", "found 'quick'; allowed: fp32, bf16 or auto; choose one of these"),
        (NICKED, "tinny", "found 'tinny'; allowed: small or large; did you mean 'tiny'?"),
        (WORD, 16, "found 16; allowed: fp32, bf16 or auto; choose one of these"),
        (TEXT, "", "found ''; allowed: a text that is not empty, or null; write a text or leave the setting out"),
        (TEXT, 7, "found 7; allowed: a text that is not empty, or null; write a text"),
        (FULL, "Full", "found 'Full'; allowed: a whole number from 1 or full; write a number"),
        (FULL, "8", "found '8'; allowed: a whole number from 1 or full; write 8 without quotes"),
        (FULL, 0, "found 0; allowed: a whole number from 1 or full; choose a greater value"),
        (FULL, 8.0, "found 8.0; allowed: a whole number from 1 or full; write 8"),
        (FULL, True, "found true; allowed: a whole number from 1 or full; write a number"),
        (FULL, ["full"], "found ['full']; allowed: a whole number from 1 or full; write a number"),
        (FULL, None, "found null; allowed: a whole number from 1 or full; give a value or leave the setting out"),
        (FREE, "of", "found 'of'; allowed: a number, auto or none, or null; write a number"),
    ],
)
def test_fault_says_found_allowed_and_remedy(setting, value, message):
    assert setting.check(value) == message


def test_whole_numbers_become_floats_where_a_float_is_meant():
    assert isinstance(RATE.convert(1), float)
    assert isinstance(COUNT.convert(1), int)
    assert TEXT.convert(None) is None


def test_words_beside_numbers_stay_as_they_are():
    assert FULL.convert("full") == "full"
    assert FREE.convert("auto") == "auto"
    assert isinstance(FREE.convert(2), float)
    assert FREE.convert(None) is None


def test_other_names_become_the_one_that_they_stand_for():
    assert [NICKED.convert(name) for name in ("tiny", "Large", "small")] == ["small", "large", "small"]


def test_defaults_leave_out_other_spellings_and_required_settings():
    other = Setting("one_minus_share", "One minus share", "float", complement_of="share")
    needed = Setting("needed", "Needed", "int", required=True)
    assert Row("row", "A row", "source", (SHARE, other, needed)).defaults == {"share": 0.1}


def test_config_error_shows_and_keeps_all_faults_also_when_pickled():
    error = ConfigError([Fault("lr", "too high"), Fault("epochs", "too low")])
    assert str(error) == "lr: too high\nepochs: too low"
    assert pickle.loads(pickle.dumps(error)).faults == error.faults


def test_frozen_settings_are_hashable_comparable_and_pickle():
    settings = FrozenSettings({"lr": 0.1, "momentum": 0.9})
    reordered = FrozenSettings({"momentum": 0.9, "lr": 0.1})
    assert settings == reordered
    assert hash(settings) == hash(reordered)
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert dict(settings) == {"lr": 0.1, "momentum": 0.9}
    assert "momentum" in repr(settings)
    with pytest.raises(TypeError):
        settings["lr"] = 1


def test_frozen_settings_do_not_follow_the_mapping_they_were_made_of():
    source = {"lr": 0.1}
    settings = FrozenSettings(source)
    source["lr"] = 0.2
    assert settings["lr"] == 0.1


def test_typed_access():
    settings = {"width": 2, "depth": 3}
    assert get_float(settings, "width") == 2.0
    assert get_int(settings, "depth") == 3


def test_suggest_names_the_nearest_or_nothing():
    assert did_you_mean("bacth_size", ["batch_size", "seed"]) == "did you mean 'batch_size'?"
    assert did_you_mean("zebra", ["batch_size", "seed"]) is None
