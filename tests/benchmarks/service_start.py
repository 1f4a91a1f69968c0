"""How long the service in containers takes from `docker compose up`, image built, to the first trial that ended.

    PYTHONPATH=tests/containers .venv/bin/python tests/benchmarks/service_start.py

Needs a Docker engine. Prints the seconds to each step, and the image's size. The sweep is that of the container tests:
12 epochs of 2,000 drawn images a trial.
"""

import subprocess
import tempfile
import time
from pathlib import Path

from service import Service, count_states


def main() -> None:
    service = Service.prepare(Path(tempfile.mkdtemp(prefix="service-start-")))
    size = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Size}}", "sweeps:latest"],
        capture_output=True,
        text=True,
        check=True,
    )
    start = time.monotonic()
    try:
        service.compose("up", "--detach", "--wait", "--scale", "worker=2")
        healthy = time.monotonic() - start
        sweep_id = service.submit()
        submitted = time.monotonic() - start
        service.wait(sweep_id, lambda status: count_states(status, "running") > 0)
        running = time.monotonic() - start
        service.wait(sweep_id, lambda status: count_states(status, "completed") > 0)
        ended = time.monotonic() - start
    finally:
        service.compose("--profile", "client", "down", "--volumes", "--timeout", "10", check=False)
    print(
        f"from `up`: all healthy {healthy:.0f} s, submitted {submitted:.0f} s, first trial runs {running:.0f} s, "
        f"first trial ended {ended:.0f} s; image {int(size.stdout) / 1e9:.1f} GB"
    )


if __name__ == "__main__":
    main()
