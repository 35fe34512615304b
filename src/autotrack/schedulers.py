"""Batch systems, launchers and clouds that start processes, each by the environment variables that it sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autotrack.events import FinalStatus


@dataclass(frozen=True)
class Scheduler:
    """A scheduler, by the variables that it sets in the environment of a process.

    It started the process if all of `signs` are set. `facts` names the variables of each fact, best first. The values
    of `identity` together name a job among all jobs, the same each time that the job is started. `preempts` is whether
    it ends jobs by a signal to make room for others.
    """

    name: str
    signs: tuple[str, ...]
    facts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    identity: tuple[str, ...] = ()
    preempts: bool = False

    def started(self, environment: Mapping[str, str]) -> bool:
        """Whether this scheduler started the process that has this environment."""
        return all(environment.get(sign) for sign in self.signs)

    def first(self, fact: str, environment: Mapping[str, str]) -> str | None:
        """The value of the first variable that is set of those that tell `fact`; None if none is."""
        return next((environment[name] for name in self.facts.get(fact, ()) if environment.get(name)), None)


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
        "restarts": ("SLURM_RESTART_COUNT",)},
        identity=("SLURM_JOB_ID", "SLURM_CLUSTER_NAME", "SLURM_ARRAY_TASK_ID"), preempts=True),
    Scheduler("lsf", ("LSB_JOBID",), {
        "job": ("LSB_JOBID",), "name": ("LSB_JOBNAME",), "queue": ("LSB_QUEUE",), "array_index": ("LSB_JOBINDEX",),
        "world_size": ("LSB_DJOB_NUMPROC",), "restarts": ("LSB_RESTART_COUNT",)},
        identity=("LSB_JOBID", "LSB_JOBINDEX"), preempts=True),
    Scheduler("pbs", ("PBS_JOBID",), {
        "job": ("PBS_JOBID",), "name": ("PBS_JOBNAME",), "queue": ("PBS_QUEUE",),
        "array_index": ("PBS_ARRAY_INDEX", "PBS_ARRAYID"), "nodes": ("PBS_NUM_NODES",),
        "world_size": ("PBS_NP",)}, identity=("PBS_JOBID",), preempts=True),
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
        "most_restarts": ("TORCHELASTIC_MAX_RESTARTS",)},
        identity=("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT")),
    Scheduler("distributed", ("RANK", "WORLD_SIZE"), {
        "rank": ("RANK",), "world_size": ("WORLD_SIZE",), "local_rank": ("LOCAL_RANK",)}),
)  # fmt: skip


def status_of_termination(environment: Mapping[str, str]) -> FinalStatus:
    """The status of a run that a signal ends: a preemption if the process's scheduler preempts jobs, else a kill."""
    preempted = any(scheduler.preempts and scheduler.started(environment) for scheduler in SCHEDULERS)
    return "preempted" if preempted else "killed"
