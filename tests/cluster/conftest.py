from small_sweep import build_spec, empty_store, home

__all__ = ["build_spec", "empty_store", "home"]
