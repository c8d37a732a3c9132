"""How stages are run: on this machine, or on a cluster. Results do not depend on it."""

import dataclasses

ENGINES = ("local", "ray")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RayConfig:
    """The cluster and what a worker takes of it.

    address      of a cluster, "auto" for one on this machine; "": one is started here
    num_workers  at a time; 0: as many as the cluster has CPUs, or devices where a worker takes one
    num_cpus     a worker takes; a fraction, for what waits on a device or on memory
    num_gpus     a worker takes, in stages that have models
    resources    others that those take: (("TPU", 1.0),)
    stall_secs   without one finished row, after which the run is ended; models are loaded in these
    """

    address: str = ""
    num_workers: int = 0
    num_cpus: float = 0.25
    num_gpus: float = 0.0
    resources: tuple[tuple[str, float], ...] = ()
    stall_secs: float = 1800.0

    def __post_init__(self) -> None:
        if self.num_workers < 0:
            raise ValueError(f"RayConfig.num_workers: got {self.num_workers}, expected 0 or more")
        if self.num_cpus < 0 or self.num_gpus < 0:
            raise ValueError(
                f"RayConfig: got num_cpus {self.num_cpus}, num_gpus {self.num_gpus}; "
                "expected 0 or more"
            )
        if self.stall_secs <= 0:
            raise ValueError(f"RayConfig.stall_secs: got {self.stall_secs}, expected above 0")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunnerConfig:
    """How rows are grouped, how many threads map them, and where.

    engine   "local", or "ray": on a cluster, as `ray` says (extra [ray])
    """

    shard_rows: int = 4096
    batch_rows: int = 256
    num_threads: int = 2
    engine: str = "local"
    ray: RayConfig = dataclasses.field(default_factory=RayConfig)

    def __post_init__(self) -> None:
        for name in ("shard_rows", "batch_rows", "num_threads"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"RunnerConfig.{name}: got {getattr(self, name)}, expected 1 or more"
                )
        if self.engine not in ENGINES:
            raise ValueError(f"RunnerConfig.engine: got {self.engine!r}, expected one of {ENGINES}")
        if self.engine != "ray" and self.ray.address:
            raise ValueError(
                f"RayConfig.address is {self.ray.address!r}, and RunnerConfig.engine is "
                f"{self.engine!r}; set it to 'ray' (--runner ray), or name no cluster"
            )
