"""The batch systems, launchers and clouds that started the process, detected by the variables that they set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autotrack.environment.facts import Facts

NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_NUMBERS = frozenset({"rank", "world_size", "local_rank", "restarts", "nodes", "array_index"})


@dataclass(frozen=True)
class Scheduler:
    """A scheduler, detected when all of `signs` are set; `facts` lists the variables of each fact, preferred first."""

    name: str
    signs: tuple[str, ...]
    facts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


# From the outermost, which owns the job, to the innermost, which knows the ranks.
SCHEDULERS = (
    Scheduler("kubernetes", ("KUBERNETES_SERVICE_HOST",), {
        "job": ("JOB_NAME", "POD_NAME", "HOSTNAME"), "namespace": ("POD_NAMESPACE",),
        "array_index": ("JOB_COMPLETION_INDEX",)}),
    Scheduler("sagemaker", ("SM_CURRENT_HOST",), {
        "job": ("TRAINING_JOB_NAME", "SAGEMAKER_JOB_NAME"), "host": ("SM_CURRENT_HOST",),
        "instance": ("SM_CURRENT_INSTANCE_TYPE",)}),
    Scheduler("azureml", ("AZUREML_RUN_ID",), {"job": ("AZUREML_RUN_ID",), "experiment": (
        "AZUREML_ARM_PROJECT_NAME",)}),
    Scheduler("vertex", ("CLOUD_ML_JOB_ID",), {"job": ("CLOUD_ML_JOB_ID",)}),
    Scheduler("aws_batch", ("AWS_BATCH_JOB_ID",), {
        "job": ("AWS_BATCH_JOB_ID",), "queue": ("AWS_BATCH_JQ_NAME",), "attempt": ("AWS_BATCH_JOB_ATTEMPT",),
        "array_index": ("AWS_BATCH_JOB_ARRAY_INDEX",), "nodes": ("AWS_BATCH_JOB_NUM_NODES",)}),
    Scheduler("github_actions", ("GITHUB_ACTIONS",), {
        "job": ("GITHUB_RUN_ID",), "name": ("GITHUB_WORKFLOW",), "attempt": ("GITHUB_RUN_ATTEMPT",)}),
    Scheduler("gitlab_ci", ("GITLAB_CI",), {"job": ("CI_JOB_ID",), "name": ("CI_JOB_NAME",)}),
    Scheduler("slurm", ("SLURM_JOB_ID",), {
        "job": ("SLURM_JOB_ID",), "name": ("SLURM_JOB_NAME",), "queue": ("SLURM_JOB_PARTITION",),
        "cluster": ("SLURM_CLUSTER_NAME",), "array_job": ("SLURM_ARRAY_JOB_ID",),
        "array_index": ("SLURM_ARRAY_TASK_ID",), "rank": ("SLURM_PROCID",),
        "world_size": ("SLURM_NTASKS", "SLURM_NPROCS"), "local_rank": ("SLURM_LOCALID",),
        "nodes": ("SLURM_JOB_NUM_NODES", "SLURM_NNODES"), "node_list": ("SLURM_JOB_NODELIST",),
        "restarts": ("SLURM_RESTART_COUNT",)}),
    Scheduler("lsf", ("LSB_JOBID",), {
        "job": ("LSB_JOBID",), "name": ("LSB_JOBNAME",), "queue": ("LSB_QUEUE",), "array_index": ("LSB_JOBINDEX",),
        "world_size": ("LSB_DJOB_NUMPROC",), "restarts": ("LSB_RESTART_COUNT",)}),
    Scheduler("pbs", ("PBS_JOBID",), {
        "job": ("PBS_JOBID",), "name": ("PBS_JOBNAME",), "queue": ("PBS_QUEUE",),
        "array_index": ("PBS_ARRAY_INDEX", "PBS_ARRAYID"), "nodes": ("PBS_NUM_NODES",),
        "world_size": ("PBS_NP",)}),
    Scheduler("sge", ("SGE_TASK_ID", "JOB_ID"), {
        "job": ("JOB_ID",), "name": ("JOB_NAME",), "queue": ("QUEUE",), "array_index": ("SGE_TASK_ID",),
        "world_size": ("NSLOTS",)}),
    Scheduler("ray", ("RAY_JOB_ID",), {"job": ("RAY_JOB_ID",)}),
    Scheduler("open_mpi", ("OMPI_COMM_WORLD_RANK",), {
        "rank": ("OMPI_COMM_WORLD_RANK",), "world_size": ("OMPI_COMM_WORLD_SIZE",),
        "local_rank": ("OMPI_COMM_WORLD_LOCAL_RANK",)}),
    Scheduler("pmi", ("PMI_RANK", "PMI_SIZE"), {
        "rank": ("PMI_RANK",), "world_size": ("PMI_SIZE",), "local_rank": ("MPI_LOCALRANKID",)}),
    Scheduler("torchrun", ("TORCHELASTIC_RUN_ID",), {
        "job": ("TORCHELASTIC_RUN_ID",), "rank": ("RANK",), "world_size": ("WORLD_SIZE",),
        "local_rank": ("LOCAL_RANK",), "restarts": ("TORCHELASTIC_RESTART_COUNT",),
        "most_restarts": ("TORCHELASTIC_MAX_RESTARTS",)}),
    Scheduler("distributed", ("RANK", "WORLD_SIZE"), {
        "rank": ("RANK",), "world_size": ("WORLD_SIZE",), "local_rank": ("LOCAL_RANK",)}),
)  # fmt: skip


def gather(environment: Mapping[str, str] | None = None, namespace: Path = NAMESPACE) -> Facts:
    """Return the facts of each scheduler under its name, and those of all: `kind`, `job`, `rank`, `world_size` …

    The job is the outermost scheduler's; ranks and restarts are the innermost one's. Empty if there is none.
    """
    environment = os.environ if environment is None else environment
    found = {
        scheduler.name: _facts(scheduler, environment)
        for scheduler in SCHEDULERS
        if all(environment.get(sign) for sign in scheduler.signs)
    }
    if "torchrun" in found:
        found.pop("distributed", None)
    if "kubernetes" in found and "namespace" not in found["kubernetes"]:
        found["kubernetes"].update(_namespace(namespace))
    if not found:
        return Facts({})
    data: dict[str, Any] = {"kind": next(iter(found)), "kinds": list(found)}
    for facts in found.values():
        data.setdefault("job", facts.get("job"))
        data.update({name: facts[name] for name in ("rank", "world_size", "local_rank", "restarts") if name in facts})
    return Facts({name: value for name, value in data.items() if value is not None} | found)


def _facts(scheduler: Scheduler, environment: Mapping[str, str]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, names in scheduler.facts.items():
        value = next((environment[variable] for variable in names if environment.get(variable)), None)
        if value is not None:
            facts[name] = int(value) if name in _NUMBERS and value.isdigit() else value
    return facts


def _namespace(path: Path) -> dict[str, str]:
    try:
        return {"namespace": path.read_text(encoding="utf-8", errors="replace").strip()}
    except OSError:
        return {}
