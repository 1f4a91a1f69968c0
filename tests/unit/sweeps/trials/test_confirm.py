from sweeps.trials.confirm import build_confirm_trials
from sweeps.trials.ledger import TrialEntry
from sweeps.trials.seeds import derive_seed, trial_seed
from tracking.names import STAGE_SEARCH


def entry(arm: str, **parameters: float) -> TrialEntry:
    return TrialEntry(f"{arm}-0", arm, STAGE_SEARCH, 0, 7, {"seed": 7, **parameters})


def test_the_best_distinct_configurations_are_retrained_with_every_seed() -> None:
    ranking = [entry("adam", lr=0.1), entry("adam", lr=0.1), entry("adam", lr=0.2), entry("adam", lr=0.3)]
    trials = build_confirm_trials(ranking, top=2, seeds=3, sweep_seed=0)
    assert [(trial.rank, trial.repeat, trial.parameters["lr"]) for trial in trials] == [
        (0, 0, 0.1),
        (0, 1, 0.1),
        (0, 2, 0.1),
        (1, 0, 0.2),
        (1, 1, 0.2),
        (1, 2, 0.2),
    ]


def test_seeds_are_paired_between_arms_and_fresh() -> None:
    adam, sgd = (build_confirm_trials([entry(arm, lr=0.1)], top=1, seeds=10, sweep_seed=3) for arm in ("adam", "sgd"))
    seeds = [trial.parameters["seed"] for trial in adam]
    assert seeds == [trial.parameters["seed"] for trial in sgd]
    assert len(set(seeds)) == 10
    assert not set(seeds) & {trial_seed(3, number) for number in range(1000)}


def test_nothing_to_retrain_without_a_ranked_trial() -> None:
    assert build_confirm_trials([], top=1, seeds=2, sweep_seed=0) == ()


def test_derived_seeds_depend_on_sweep_and_purpose_only() -> None:
    assert derive_seed(0, "a", 1) == derive_seed(0, "a", 1)
    seeds = {derive_seed(sweep, purpose, number) for sweep in (0, 1) for purpose in "ab" for number in range(50)}
    assert len(seeds) == 200
    assert all(0 <= seed < 2**31 for seed in seeds)
