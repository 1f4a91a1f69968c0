from small_sweep import build_spec, home

__all__ = ["build_spec", "home"]
