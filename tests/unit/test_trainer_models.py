from trainer.models import MODELS


def test_the_table_has_both_models():
    assert list(MODELS) == ["fastcnn", "cnn3c3d"]


def test_settings_reach_the_networks():
    assert MODELS["fastcnn"].build({"width": 0.5, "depth": 1}, 10).head.in_features == 64
    assert MODELS["cnn3c3d"].build({"l2_penalty": 0.002}, 10).l2_penalty == 0.002
