from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

class MetaLog:
    meta_log: Any
    non_aggregated: bool
    num_configs: int
    meta_vars: List[str]
    stats_vars: List[str]
    time_vars: List[str]
    def __init__(self, meta_log: Dict[str, Any], non_aggregated: bool = False) -> None: ...
    @property
    def eval_ids(self) -> List[str]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, name: str) -> Any: ...
    # The logs by name.
    def __getattr__(self, name: str) -> Any: ...
    def filter(self, run_ids: Sequence[str]) -> MetaLog: ...
    def plot(
        self,
        target_to_plot: Union[str, Sequence[str]],
        iter_to_plot: Optional[str] = None,
        smooth_window: int = 1,
        plot_title: Optional[str] = None,
        xy_labels: Optional[Sequence[str]] = None,
        base_label: str = "{}",
        run_ids: Optional[Sequence[str]] = None,
        curve_labels: Sequence[str] = ...,
        every_nth_tick: Optional[int] = None,
        plot_std_bar: bool = False,
        fname: Optional[str] = None,
        num_legend_cols: Optional[int] = 1,
        fig: Any = None,
        ax: Any = None,
        figsize: Tuple[float, float] = ...,
        plot_labels: bool = True,
        legend_title: Optional[str] = None,
        ax_lims: Optional[Sequence[float]] = None,
    ) -> Any: ...

def subselect_meta_log(meta_log: Any, run_ids: Sequence[str]) -> Any: ...
def decode_meta_strings(log: Any) -> Any: ...
