"""What is recorded of batch systems and launchers."""

from __future__ import annotations

from pathlib import Path

import pytest

from autotrack.environment import scheduler

SLURM = {
    "SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "train", "SLURM_JOB_PARTITION": "gpu", "SLURM_PROCID": "0",
    "SLURM_NTASKS": "2", "SLURM_LOCALID": "0", "SLURM_JOB_NUM_NODES": "2", "SLURM_RESTART_COUNT": "1",
    "SLURM_ARRAY_JOB_ID": "4700", "SLURM_ARRAY_TASK_ID": "11",
}  # fmt: skip
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none", "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "TORCHELASTIC_RESTART_COUNT": "3",
}  # fmt: skip


def test_started_by_hand() -> None:
    """Without a scheduler there is nothing to say, and nothing wrong."""
    facts = scheduler.gather({"PATH": "/bin", "RANK": "", "JOB_ID": "7"})
    assert (facts.data, facts.missing) == ({}, ())


def test_job_of_slurm() -> None:
    """Job, place in an array, rank and restarts are known as numbers where they are numbers."""
    data = scheduler.gather(SLURM).data
    assert data["kind"] == "slurm"
    assert (data["job"], data["rank"], data["world_size"], data["restarts"]) == ("4711", 0, 2, 1)
    assert data["slurm"]["array_job"] == "4700"
    assert data["slurm"]["array_index"] == 11
    assert data["slurm"]["queue"] == "gpu"


def test_launcher_inside_a_job() -> None:
    """With torchrun inside SLURM the job is SLURM's, ranks and restarts are torchrun's."""
    data = scheduler.gather(SLURM | TORCHRUN).data
    assert data["kind"] == "slurm"
    assert data["kinds"] == ["slurm", "torchrun"]
    assert (data["job"], data["rank"], data["world_size"], data["local_rank"]) == ("4711", 5, 8, 1)
    assert data["restarts"] == 3
    assert data["slurm"]["restarts"] == 1


@pytest.mark.parametrize(
    ("environment", "kind", "job", "rank"),
    [
        (TORCHRUN, "torchrun", "none", 5),
        ({"RANK": "1", "WORLD_SIZE": "2"}, "distributed", None, 1),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "train-0-abc"}, "kubernetes", "train-0-abc", None),
        ({"LSB_JOBID": "12", "LSB_QUEUE": "gpu"}, "lsf", "12", None),
        ({"PBS_JOBID": "12.head", "PBS_QUEUE": "gpu"}, "pbs", "12.head", None),
        ({"JOB_ID": "9", "SGE_TASK_ID": "1"}, "sge", "9", None),
        ({"SM_CURRENT_HOST": "algo-1", "TRAINING_JOB_NAME": "job-x"}, "sagemaker", "job-x", None),
        ({"RAY_JOB_ID": "0200"}, "ray", "0200", None),
        ({"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4"}, "open_mpi", None, 3),
        ({"AWS_BATCH_JOB_ID": "u", "AWS_BATCH_JOB_ATTEMPT": "2"}, "aws_batch", "u", None),
        ({"AZUREML_RUN_ID": "brave_sky"}, "azureml", "brave_sky", None),
        ({"CLOUD_ML_JOB_ID": "88"}, "vertex", "88", None),
        ({"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "5"}, "github_actions", "5", None),
    ],
)
def test_each_is_known(environment: dict[str, str], kind: str, job: str | None, rank: int | None) -> None:
    """Each scheduler is known by the variables that it sets."""
    data = scheduler.gather(environment, Path("/nowhere")).data
    assert data["kind"] == kind
    assert data.get("job") == job
    assert data.get("rank") == rank


def test_namespace_in_kubernetes(tmp_path: Path) -> None:
    """The namespace is read where Kubernetes mounts it, unless a variable says it."""
    mounted = tmp_path / "namespace"
    mounted.write_text("team-a\n")
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert scheduler.gather(pod, mounted).data["kubernetes"]["namespace"] == "team-a"
    assert scheduler.gather(pod | {"POD_NAMESPACE": "b"}, mounted).data["kubernetes"]["namespace"] == "b"
