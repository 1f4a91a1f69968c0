"""The service in real containers: what is open, what is closed, and what survives."""

import base64
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from typing import Any

import pytest
from service import Service, count_states, run_in

pytestmark = pytest.mark.timeout(1500)


def get_status(url: str, headers: dict[str, str]) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()}


def test_every_container_is_healthy_and_nobody_is_root(service: Service) -> None:
    containers = service.containers()
    assert len(containers) == 5  # a database, MLflow, a head, two workers
    assert {each["State"]["Health"]["Status"] for each in containers} == {"healthy"}
    for each in containers:
        users = run_in(each, "sh", "-c", "for p in /proc/[0-9]*; do stat -c %u $p; done 2>/dev/null | sort -u").split()
        shells = run_in(each, "id", "-u").split()
        if each["Config"]["Labels"]["com.docker.compose.service"] == "postgres":
            assert run_in(each, "stat", "-c", "%U", "/proc/1") == "postgres\n"
        else:
            assert shells == ["1000"]
            assert "0" not in users, users
        assert each["HostConfig"]["Memory"] > 0
        assert each["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


def test_only_mlflow_is_published_and_only_on_loopback(service: Service) -> None:
    published = {
        each["Config"]["Labels"]["com.docker.compose.service"]: [
            binding["HostIp"] for bindings in each["NetworkSettings"]["Ports"].values() for binding in bindings or ()
        ]
        for each in service.containers()
    }
    assert published.pop("mlflow") == ["127.0.0.1"]
    assert not any(published.values()), published
    head = service.of_service("head")[0]
    assert list(head["NetworkSettings"]["Networks"]) == [f"{service.project}_inside"]
    network = subprocess.run(
        ["docker", "network", "inspect", f"{service.project}_inside"], capture_output=True, text=True, check=True
    )
    assert json.loads(network.stdout)[0]["Internal"] is True


def test_mlflow_asks_for_the_password(service: Service, mlflow_password: str) -> None:
    url = f"http://127.0.0.1:{service.port}/api/2.0/mlflow/experiments/get?experiment_id=0"
    assert get_status(url, {}) == 401
    assert get_status(url, basic("password")) == 401
    assert get_status(url, basic("")) == 401
    assert get_status(url, basic(mlflow_password)) == 200


@pytest.mark.parametrize(("token", "code"), [(None, 401), ("wrong", 403), ("right", 200)])
def test_rays_jobs_api_asks_for_the_token(service: Service, ray_token: str, token: str | None, code: int) -> None:
    given = {"right": ray_token}.get(str(token), token)
    program = (
        "import sys, urllib.request, urllib.error\n"
        "headers = {'Authorization': 'Bearer ' + sys.argv[1]} if len(sys.argv) > 1 else {}\n"
        "request = urllib.request.Request('http://head:8265/api/jobs/', headers=headers)\n"
        "try: print(urllib.request.urlopen(request, timeout=30).status)\n"
        "except urllib.error.HTTPError as error: print(error.code)\n"
    )
    worker = service.of_service("worker")[0]
    assert run_in(worker, "python", "-c", program, *([given] if given else [])).strip() == str(code)


def test_a_client_with_a_wrong_token_is_told_so(service: Service) -> None:
    done = service.compose(
        "run", "--rm", "--env", "RAY_AUTH_TOKEN=wrong", "sweep", "submit", "quickstart.yaml", check=False
    )
    assert done.returncode == 4, done.stderr
    assert "refuses our token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_submitted_sweep_trains_on_all_workers_and_ends_in_a_report(service: Service) -> None:
    sweep_id = service.submit()
    busy: set[str] = set()

    def look(status: dict[str, Any]) -> bool:
        for worker in service.of_service("worker"):
            if "Trainable" in run_in(worker, "sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"):
                busy.add(worker["Name"])
        return len(busy) == 2 or status["state"] != "running"

    service.wait(sweep_id, look)
    assert len(busy) == 2
    status = service.wait_for_end(sweep_id)
    assert count_states(status, "completed") == 6
    assert [arm["num_retrained"] for arm in status["arms"]] == [1, 1]
    report = service.sweeps("report", sweep_id)
    assert "adam" in report.stdout
    assert "done  adam-000" in service.sweeps("logs", sweep_id).stdout


def test_a_sweep_is_paused_stopped_and_resumed_from_another_container(service: Service) -> None:
    sweep_id = service.submit()
    service.wait(sweep_id, lambda status: count_states(status, "running") > 0)
    assert "paused" in service.sweeps("pause", sweep_id).stdout
    paused = service.wait(sweep_id, lambda status: count_states(status, "running") == 0)
    assert (paused["state"], paused["phase"]) == ("running", "paused")
    assert 0 < count_states(paused, "completed") < 6
    assert "goes on" in service.sweeps("resume", sweep_id).stdout
    service.wait(sweep_id, lambda status: count_states(status, "running") > 0)
    assert "stopping" in service.sweeps("stop", sweep_id).stdout
    stopped = service.wait_for_end(sweep_id, "interrupted")
    assert count_states(stopped, "stopped") == 0  # what ran was let finish
    resumed = json.loads(service.sweeps("resume", sweep_id, "--json").stdout)
    assert resumed["job"] == f"{sweep_id}-2"
    assert count_states(service.wait_for_end(sweep_id), "completed") == 6


def test_a_worker_that_is_killed_costs_no_trial(service: Service) -> None:
    sweep_id = service.submit()
    service.wait(sweep_id, lambda status: count_states(status, "running") >= 3)
    subprocess.run(["docker", "kill", service.of_service("worker")[0]["Id"]], check=True, capture_output=True)
    assert count_states(service.wait_for_end(sweep_id), "completed") == 6
    service.compose("up", "--detach", "--wait", "--scale", "worker=2")


def test_a_database_that_is_restarted_loses_nothing(service: Service) -> None:
    sweep_id = service.submit()
    service.wait(sweep_id, lambda status: count_states(status, "completed") >= 1)
    service.compose("restart", "postgres")
    service.compose("up", "--detach", "--wait", "--scale", "worker=2")
    assert count_states(service.wait_for_end(sweep_id), "completed") == 6
    table = json.loads(service.sweeps("report", sweep_id, "--json").stdout)
    assert {row["num_epochs"] for row in table["leaderboard"]} == {(3 + 1) * 12}


def test_a_head_that_is_killed_is_survived(service: Service) -> None:
    sweep_id = service.submit()
    service.wait(sweep_id, lambda status: count_states(status, "completed") >= 1)
    subprocess.run(["docker", "kill", service.of_service("head")[0]["Id"]], check=True, capture_output=True)
    service.compose("up", "--detach", "--wait", "--scale", "worker=2")
    # The new head has forgotten the job: what is known of the sweep comes from MLflow.
    assert "done  " in service.sweeps("logs", sweep_id).stdout
    service.sweeps("resume", sweep_id)
    status = service.wait_for_end(sweep_id)
    assert count_states(status, "completed") == 6
    table = json.loads(service.sweeps("report", sweep_id, "--json").stdout)
    assert {row["num_epochs"] for row in table["leaderboard"]} == {(3 + 1) * 12}


def test_a_new_image_over_the_same_volumes_reads_and_resumes_what_the_old_one_left(service: Service) -> None:
    sweep_id = service.submit()
    service.wait(sweep_id, lambda status: count_states(status, "completed") >= 1)
    assert "cancelled" in service.sweeps("cancel", sweep_id).stdout
    before = count_states(service.wait_for_end(sweep_id, "interrupted"), "completed")
    old = {each["Id"] for each in service.containers()}
    with service.of_another_image() as upgraded:
        assert {each["Id"] for each in upgraded.of_service("mlflow") + upgraded.of_service("worker")}.isdisjoint(old)
        assert sweep_id in upgraded.sweeps("list").stdout
        assert count_states(upgraded.status(sweep_id), "completed") == before
        upgraded.sweeps("resume", sweep_id)
        assert count_states(upgraded.wait_for_end(sweep_id), "completed") == 6
        assert "adam" in upgraded.sweeps("report", sweep_id).stdout


def test_the_ui_opens_in_a_browser_with_the_password(service: Service, mlflow_password: str) -> None:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed, and this user cannot install it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        context = browser.new_context(http_credentials={"username": "admin", "password": mlflow_password})
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{service.port}/#/experiments/1/runs")
        page.get_by_role("link", name=re.compile("^quickstart-")).first.wait_for()
        browser.close()
