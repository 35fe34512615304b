"""Limits of containers, read from file trees as the kernel lays them out."""

from __future__ import annotations

from pathlib import Path

from autotrack.environment.cgroup import find_cgroup


class Tree:
    """A `/sys/fs/cgroup` and a `/proc/self/cgroup` to be filled."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "cgroup"
        self.membership = folder / "membership"
        self.root.mkdir()

    def put(self, name: str, text: str) -> None:
        """A file of the kernel's."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


def test_container_with_its_own_view_of_version_2(tmp_path: Path) -> None:
    """In a container the group is the root, and its files say the limits and the use."""
    tree = Tree(tmp_path)
    tree.membership.write_text("0::/\n")
    tree.put("cgroup.controllers", "cpu memory")
    tree.put("cpu.max", "250000 100000")
    tree.put("cpu.stat", "usage_usec 3500000\nuser_usec 1")
    tree.put("memory.max", str(8 << 30))
    tree.put("memory.current", str(3 << 30))
    tree.put("memory.stat", f"anon 1\nfile 2\ninactive_file {1 << 30}")
    group = find_cgroup(tree.root, tree.membership)
    assert group is not None
    assert (group.version, group.cpus, group.memory) == (2, 2.5, 8 << 30)
    assert group.memory_used() == 2 << 30
    assert group.cpu_seconds() == 3.5


def test_tightest_limit_above_counts_in_version_2(tmp_path: Path) -> None:
    """A batch job's limit may sit on a group above its own; use counts where the limit is."""
    tree = Tree(tmp_path)
    tree.membership.write_text("0::/slurm/job_1/step_0\n")
    tree.put("cgroup.controllers", "cpu memory")
    tree.put("slurm/job_1/step_0/memory.max", "max")
    tree.put("slurm/job_1/step_0/cpu.max", "max 100000")
    tree.put("slurm/job_1/step_0/memory.current", "5")
    tree.put("slurm/job_1/memory.max", "4096")
    tree.put("slurm/job_1/memory.current", "1000")
    tree.put("slurm/memory.max", "8192")
    tree.put("slurm/cpu.max", "400000 100000")
    tree.put("slurm/cpu.stat", "usage_usec 1000000")
    group = find_cgroup(tree.root, tree.membership)
    assert group is not None
    assert (group.cpus, group.memory) == (4.0, 4096)
    assert group.memory_used() == 1000
    assert group.cpu_seconds() == 1.0


def test_version_1(tmp_path: Path) -> None:
    """The older interface has one tree per controller, and a huge number instead of no limit."""
    tree = Tree(tmp_path)
    tree.membership.write_text("5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n")
    tree.put("memory/memory.limit_in_bytes", "9223372036854771712")
    tree.put("memory/docker/abc/memory.limit_in_bytes", str(2 << 30))
    tree.put("memory/docker/abc/memory.usage_in_bytes", "5000")
    tree.put("memory/docker/abc/memory.stat", "cache 9\ntotal_inactive_file 2000")
    tree.put("cpu/docker/abc/cpu.cfs_quota_us", "150000")
    tree.put("cpu/docker/abc/cpu.cfs_period_us", "100000")
    tree.put("cpu/docker/abc/cpuacct.usage", "2500000000")
    group = find_cgroup(tree.root, tree.membership)
    assert group is not None
    assert (group.version, group.cpus, group.memory) == (1, 1.5, 2 << 30)
    assert group.memory_used() == 3000
    assert group.cpu_seconds() == 2.5


def test_container_that_sees_the_path_of_its_host(tmp_path: Path) -> None:
    """Docker on version 1 names the host's path, which does not exist inside: the root is the group."""
    tree = Tree(tmp_path)
    tree.membership.write_text("5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n")
    tree.put("memory/memory.limit_in_bytes", "1000000")
    tree.put("cpu/cpu.cfs_quota_us", "-1")
    tree.put("cpu/cpu.cfs_period_us", "100000")
    group = find_cgroup(tree.root, tree.membership)
    assert group is not None
    assert (group.cpus, group.memory) == (None, 1000000)


def test_no_limits_and_no_groups(tmp_path: Path) -> None:
    """Without limits there is nothing to compare with; without control groups there is nothing at all."""
    tree = Tree(tmp_path)
    assert find_cgroup(tree.root, tree.membership) is None
    tree.membership.write_text("0::/user.slice\n")
    tree.put("cgroup.controllers", "cpu memory")
    tree.put("user.slice/memory.max", "max")
    tree.put("user.slice/cpu.max", "max 100000")
    group = find_cgroup(tree.root, tree.membership)
    assert group is not None
    assert (group.cpus, group.memory, group.memory_used(), group.cpu_seconds()) == (None, None, None, None)
