"""The measures, in the order of the table."""

from __future__ import annotations

from benchmarks.measures.base import Measure
from benchmarks.measures.calls import Call, Disk, Throughput
from benchmarks.measures.loss import Loss
from benchmarks.measures.memory import Memory
from benchmarks.measures.reading import Chart, History
from benchmarks.measures.searching import LargeSearch, Search
from benchmarks.measures.size import ManyJournals, ManyRuns, TenMillion
from benchmarks.measures.sklearn_fit import Fit
from benchmarks.measures.sklearn_search import GridSearch, LargeGridSearch, Loop
from benchmarks.measures.startup import Import, Process
from benchmarks.measures.steps import KerasSteps, LightningSteps, TransformersSteps

MEASURES: tuple[type[Measure], ...] = (
    Import,
    Process,
    Call,
    Loss,
    Throughput,
    Disk,
    History,
    Search,
    LargeSearch,
    Chart,
    ManyRuns,
    ManyJournals,
    TenMillion,
    Fit,
    GridSearch,
    LargeGridSearch,
    Loop,
    LightningSteps,
    TransformersSteps,
    KerasSteps,
    Memory,
)
