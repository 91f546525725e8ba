from types import TracebackType
from typing import Any, Dict, List, Mapping, Optional, Sequence, Type, Union

class MLELogger:
    use_tboard: bool
    use_wandb: bool
    log_every_j_steps: Optional[int]
    print_every_k_updates: Optional[int]
    log_save_counter: int
    log_setup_counter: int
    seed_id: str
    config_fname: Optional[str]
    config_dict: Any
    base_str: str
    experiment_dir: str
    log_save_fname: str
    config_copy: str
    stats_log: Any
    tboard_log: Any
    wandb_log: Any
    model_log: Any
    figure_log: Any
    extra_log: Any
    verbose: bool
    print_counter: int
    time_to_print: Optional[List[str]]
    what_to_print: Optional[List[str]]
    def __init__(
        self,
        experiment_dir: str = ".",
        time_to_track: Sequence[str] = ...,
        what_to_track: Sequence[str] = ...,
        time_to_print: Optional[Sequence[str]] = None,
        what_to_print: Optional[Sequence[str]] = None,
        config_fname: Optional[str] = None,
        config_dict: Optional[Mapping[str, Any]] = None,
        seed_id: Union[str, int] = "no_seed_provided",
        overwrite: bool = False,
        use_tboard: bool = False,
        use_wandb: bool = False,
        wandb_config: Optional[Mapping[str, Any]] = None,
        log_every_j_steps: Optional[int] = None,
        print_every_k_updates: Optional[int] = 1,
        model_type: str = "no-model-type",
        ckpt_time_to_track: Optional[str] = None,
        save_every_k_ckpt: Optional[int] = None,
        save_top_k_ckpt: Optional[int] = None,
        top_k_metric_name: Optional[str] = None,
        top_k_minimize_metric: Optional[bool] = None,
        reload: bool = False,
        verbose: bool = False,
    ) -> None: ...
    def update(
        self,
        clock_tick: Mapping[str, Any],
        stats_tick: Mapping[str, Any],
        model: Any = None,
        plot_fig: Any = None,
        extra_obj: Any = None,
        grads: Any = None,
        save: bool = False,
    ) -> None: ...
    def save_init_model(self, model: Any) -> None: ...
    def save_model(self, model: Any) -> None: ...
    def save_plot(self, fig: Any, fig_fname: Optional[str] = None) -> None: ...
    def save_extra(self, obj: Any, obj_fname: Optional[str] = None) -> None: ...
    def save(self) -> None: ...
    def close(self) -> None: ...
    def fail(self, why: str) -> None: ...
    def __enter__(self) -> MLELogger: ...
    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None: ...
    def extend_tracking(self, add_track_vars: Union[str, Sequence[str]]) -> None: ...
    def ready_to_log(self, update_counter: int) -> bool: ...
    def get_configs_ready(self, config_fname: Optional[str], config_dict: Optional[Mapping[str, Any]]) -> None: ...
    def setup_experiment(self, experiment_dir: str, reload: bool) -> None: ...
    def create_logging_dir(self) -> None: ...

def flush_all() -> None: ...
