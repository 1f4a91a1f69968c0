"""What other tools call the things that a sweep file names: W&B, Optuna, Ray, Keras, torch and scikit-learn.

One table for parameters, rows, distributions, keys and rules. A word may stand for several of our names, of which only
one is legal where it was found; a word whose meaning is not legal there is not explained by one that is spelt alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_MEANINGS: Mapping[str, str] = {  # our name: theirs
    # parameters
    "lr": "learning_rate learningrate eta0 learning_rate_init initial_lr base_lr init_lr max_lr lr0 step_size alpha0",
    "batch_size": "bs batch batchsize batch_sizes train_batch_size "
    "per_device_train_batch_size minibatch_size mini_batch",
    "epochs": "num_epochs n_epochs max_epochs nb_epoch num_train_epochs training_iteration "
    "max_iter n_iter epoch iterations",
    "epsilon": "eps adam_epsilon",
    "beta1": "beta_1 adam_beta1 b1",
    "beta2": "beta_2 adam_beta2 b2",
    "weight_decay": "wd l2 l2_reg decay regularization weightdecay",
    "gradient_clip_norm": "clipnorm global_clipnorm max_grad_norm grad_clip "
    "gradient_clip_val clip_grad_norm gradient_clipping",
    "warmup_epochs": "warmup lr_warmup_epochs num_warmup_epochs",
    "ema_decay": "ema ema_momentum use_ema model_ema",
    "early_stopping_patience": "patience early_stopping earlystopping n_iter_no_change",
    "early_stopping_min_delta": "min_delta tol",
    "dropout": "dropout_rate drop_rate p_dropout dropout_prob",
    "width": "num_filters n_filters filters width_mult width_multiplier num_channels",
    "hidden": "hidden_size hidden_layer_sizes units n_units fc_layer_size",
    "depth": "num_layers n_layers layers",
    "activation": "act activation_fn activation_function nonlinearity",
    "label_smoothing": "smoothing",
    "mixup_alpha": "mixup",
    "cutout_size": "cutout random_erasing",
    "flip": "horizontal_flip random_horizontal_flip",
    "seed": "random_state random_seed",
    "precision": "mixed_precision amp fp16 use_amp dtype",
    "compile": "torch_compile jit_compile",
    "train_size": "num_samples_train subset_size",
    "optimizer": "optim opt optimiser solver optimizer_name optimizer_type",
    "model": "architecture arch network net backbone model_name model_type",
    "initializer": "init weight_init initialization initialiser kernel_initializer initializer_name weights_init",
    "schedule": "scheduler lr_scheduler lr_schedule learning_rate_schedule scheduler_type lr_policy sched",
    "loss": "criterion loss_fn loss_function objective_function",
    "dataset": "data data_set dataset_name",
    "nesterov": "sgd_nesterov",
    "momentum": "sgd_momentum mom",
    # rows
    "constant": "none no_schedule fixed constant_lr constantlr",
    "cosine": "cosine_annealing cosineannealinglr cosine_decay cosinedecay cosine_annealing_lr cos",
    "cosine_restarts": "cosineannealingwarmrestarts cosine_decay_restarts sgdr cosine_with_restarts",
    "step": "steplr step_lr staircase",
    "multistep": "multisteplr multi_step multi_step_lr piecewise_constant",
    "exponential": "exponentiallr exponential_decay exponentialdecay exp",
    "polynomial": "polynomiallr polynomial_decay linear linearlr linear_decay poly",
    "one_cycle": "onecyclelr onecycle 1cycle one_cycle_lr",
    "reduce_on_plateau": "reducelronplateau plateau reduce_lr_on_plateau",
    "cross_entropy": "crossentropyloss categorical_crossentropy sparse_categorical_crossentropy ce log_loss nll xent",
    "mse": "mseloss mean_squared_error squared_error l2_loss",
    "multi_margin": "hinge categorical_hinge multimarginloss",
    "focal": "focal_loss categorical_focal_crossentropy",
    "schedule_free_adamw": "adamwschedulefree",
    "schedule_free_sgd": "sgdschedulefree",
    "he_normal": "kaiming he msra",
    "glorot_uniform": "xavier glorot",
    # distributions
    "log_uniform_values": "loguniform loguniform_values suggest_loguniform log_float reciprocal "
    "tune.loguniform logscale log",
    "q_log_uniform_values": "qloguniform qlograndint",
    "q_uniform": "quniform suggest_discrete_uniform discrete_uniform",
    "q_normal": "qrandn",
    "normal": "randn gaussian gauss",
    "log_normal": "lognormal",
    "int_uniform": "randint suggest_int int integer integers intuniform",
    "uniform": "float real suggest_float suggest_uniform continuous",
    "categorical": "choice grid_search suggest_categorical discrete",
    # keys
    "method": "algorithm algo sampler search_alg strategy",
    "early_terminate": "early_termination early_stop pruner scheduler early_stopping",
    "budget": "limits limit stopping_criteria",
    "hours": "time_budget max_hours time_limit timeout walltime",
    "trials": "num_samples n_trials max_trials num_trials n_iter count run_cap n_samples num_runs",
    "trials_per_arm": "trials_per_optimizer runs_per_arm",
    "metric": "objective monitor optimize",
    "goal": "direction mode",
    "name": "study_name experiment_name sweep_name metric_name",
    "project": "experiment",
    "parameters": "param_space config search_space hyperparameters params space hyperparams",
    "resources": "resources_per_trial resource",
    "cpu": "cpus num_cpus cpus_per_trial",
    "gpu": "gpus num_gpus gpus_per_trial",
    "values": "options categories list items",
    "min": "low lower from minimum lower_bound",
    "max": "high upper to maximum upper_bound",
    "min_iter": "grace_period min_resource min_t min_budget start_iter",
    "max_iter": "max_t max_resource max_budget",
    "eta": "reduction_factor factor",
    "interval": "perturbation_interval",
    "quantile": "quantile_fraction",
    "resample": "resample_probability",
    "min_trials": "min_samples_required n_startup_trials",
    "confirm": "retrain final",
    "compare": "arms group_by",
    # rules and methods
    "asha": "successive_halving successivehalving async_hyperband asynchyperband sha",
    "median": "median_stopping medianstopping medianpruner median_pruner median_stopping_rule",
    "hyperband": "hyperbandpruner hyperband_pruner bohb",
    "pbt": "population_based_training pb2",
    "bayes": "bayesian tpe tpesampler hyperopt bo bayesian_optimization optuna",
    "random": "random_search randomsearch randomsampler",
    "grid": "grid_search gridsearch gridsampler",
    "sobol": "qmc qmcsampler quasirandom",
    "gp": "gaussian_process gpsampler botorch",
    "cmaes": "cma cma_es cmaessampler",
    "genetic": "nsga2 nsgaii nsga_ii evolution evolutionary nsgaiisampler",
    # metrics
    "val_accuracy": "accuracy acc val_acc valid_acc validation_accuracy eval_accuracy test_accuracy valid_accuracy",
    "val_loss": "loss valid_loss validation_loss eval_loss",
}


def _turn_around() -> dict[str, tuple[str, ...]]:
    meanings: dict[str, tuple[str, ...]] = {}
    for ours, words in _MEANINGS.items():
        for word in words.split():
            meanings[word] = (*meanings.get(word, ()), ours)
    return meanings


ELSEWHERE: Mapping[str, tuple[str, ...]] = _turn_around()


def list_spellings(name: str) -> tuple[str, ...]:
    """A name as it may stand in the table: whole, and its last part, in lower case with underscores."""
    last = re.split(r"[./:]", name)[-1]
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", last)
    forms = (name, last, snake)
    return tuple(dict.fromkeys(re.sub(r"[-\s]+", "_", form.strip()).lower() for form in forms))
