"""How far the clock of MLflow's server is from this machine's."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime

SECONDS = 5.0  # that the server has for its answer


def measure_skew(tracking_uri: str) -> float | None:
    """Seconds that the server's clock is ahead of ours, to about a second; None where it cannot be said.

    Args:
        tracking_uri: Of a server; a database's clock is asked for nothing.
    """
    if not tracking_uri.startswith(("http://", "https://")):
        return None
    try:
        with urllib.request.urlopen(f"{tracking_uri.rstrip('/')}/health", timeout=SECONDS) as answer:
            date = answer.headers.get("Date")
    except urllib.error.HTTPError as error:
        with error:
            date = error.headers.get("Date")
    except (OSError, ValueError):
        return None
    return parsedate_to_datetime(date).timestamp() - time.time() if date else None
