from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Type, Union

__version__: str

_Space = Optional[Mapping[str, Any]]

class _Strategy:
    search_name: str
    space: Any
    search_config: Any
    maximize_objective: bool
    fixed_params: Any
    seed_id: int
    verbose: bool
    eval_counter: int
    log: List[Dict[str, Any]]
    all_evaluated_params: List[Dict[str, Any]]
    def __init__(
        self,
        real: _Space = None,
        integer: _Space = None,
        categorical: _Space = None,
        search_config: Optional[Mapping[str, Any]] = None,
        maximize_objective: bool = False,
        fixed_params: Optional[Mapping[str, Any]] = None,
        reload_path: Optional[str] = None,
        reload_list: Optional[Sequence[Mapping[str, Any]]] = None,
        seed_id: int = 42,
        verbose: bool = False,
    ) -> None: ...
    def ask(self, batch_size: int = 1, store: bool = False, config_fnames: Optional[Sequence[str]] = None) -> Any: ...
    def tell(
        self,
        batch_proposals: Any,
        perf_measures: Any,
        ckpt_paths: Any = None,
        save: bool = False,
        save_path: str = "search_log.yaml",
        reload: bool = False,
    ) -> None: ...
    def get_best(self, top_k: int = 1) -> Tuple[Any, Any, Any, Any]: ...
    def get_pareto_front(self) -> Tuple[Any, Any, Any, Any]: ...
    def improvement(self, score: Any) -> bool: ...
    def print_ranking(self, top_k: int = 5) -> None: ...
    @property
    def df(self) -> Any: ...
    def plot_best(self, fname: Optional[str] = None) -> Any: ...
    def refine(self, top_k: int) -> None: ...
    def refine_space(self, real: _Space = None, integer: _Space = None, categorical: _Space = None) -> None: ...
    def store_configs(self, config_dicts: Any, config_fnames: Any) -> None: ...
    def save(self, save_path: str = "search_log.yaml") -> None: ...
    def load(
        self, reload_path: Optional[str] = None, reload_list: Optional[Sequence[Mapping[str, Any]]] = None
    ) -> None: ...
    def print_hello(self, message: Optional[str] = None) -> None: ...
    def __len__(self) -> int: ...

class RandomSearch(_Strategy): ...

class GridSearch(_Strategy):
    def plot_grid(
        self,
        fixed_params: Optional[Mapping[str, Any]] = None,
        params_to_plot: Sequence[str] = ...,
        target_to_plot: str = "objective",
        plot_title: str = ...,
        plot_subtitle: Optional[str] = None,
        xy_labels: Optional[Sequence[str]] = ...,
        variable_name: Optional[str] = ...,
        every_nth_tick: int = 1,
        fname: Optional[str] = None,
    ) -> Any: ...

class SMBOSearch(_Strategy): ...
class NevergradSearch(_Strategy): ...
class CoordinateSearch(_Strategy): ...

class HalvingSearch(_Strategy):
    evals_per_batch: List[int]
    iters_per_batch: List[int]
    num_sh_batches: int
    @property
    def completed(self) -> bool: ...

class HyperbandSearch(_Strategy):
    evals_per_batch: List[int]
    sh_num_arms: List[int]
    sh_budgets: List[int]
    num_hb_loops: int
    num_hb_batches: int

class PBTSearch(_Strategy):
    num_workers: int
    steps_until_ready: int

Strategies: Dict[str, Type[_Strategy]]

def hyperopt(
    strategy_type: str,
    num_search_iters: int,
    real: _Space = None,
    integer: _Space = None,
    categorical: _Space = None,
    search_config: Optional[Mapping[str, Any]] = None,
    maximize_objective: bool = False,
    fixed_params: Optional[Mapping[str, Any]] = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...
