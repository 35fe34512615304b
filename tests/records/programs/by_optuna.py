"""A study with trials that are pruned, and one that fails."""

import optuna

import autotrack

autotrack.autolog("optuna")


def objective(trial):
    x = trial.suggest_float("x", -2, 2)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    for step in range(3):
        trial.report(x * x + step, step)
    if trial.number == 2:
        raise optuna.TrialPruned
    return x * x + (kind == "b")


optuna.create_study(study_name="parabola", sampler=optuna.samplers.RandomSampler(seed=0)).optimize(objective, 4)
