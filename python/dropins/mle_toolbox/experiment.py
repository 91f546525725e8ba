"""What a training script is given: its config, its seed, its checkpoint, and a log."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from typing import Any, Callable, Dict, Mapping, Optional

from .config import mle_config
from .dot import DotMap, dotted, plain
from .utils import config_arguments, get_os_env_ready, load_config, print_framed, set_random_seeds


class MLExperiment:
    """What a training script is given.

    Parameters
    ----------
    config_fname, experiment_dir, seed_id
        What holds when the command line does not say `-config`, `-exp_dir`, `-seed`.
    auto_setup : bool
        Seed the generators and make the log.
    create_jax_prng : bool
        Make a JAX key, `rng`.
    train_config, log_config, model_config, device_config : dict, optional
        Keys that go before those of the config file.

    Attributes
    ----------
    train_config, log_config, model_config, device_config, extra_config
        Sections of the config file, with attributes; `extra_config` are arguments that are unknown. None where absent.
    log : mle_logging.MLELogger
    model_ckpt, model_ckpt_path
        The checkpoint to go on from.
    rng
        A JAX key when it was asked for.
    """

    train_config: Any
    log_config: Any
    model_config: Any
    device_config: Any

    def __init__(
        self,
        config_fname: str = "configs/base_config.json",
        experiment_dir: str = "experiments/",
        seed_id: int = 0,
        auto_setup: bool = True,
        create_jax_prng: bool = False,
        train_config: Optional[Mapping[str, Any]] = None,
        log_config: Optional[Mapping[str, Any]] = None,
        model_config: Optional[Mapping[str, Any]] = None,
        device_config: Optional[Mapping[str, Any]] = None,
    ) -> None:
        self.default_seed = seed_id
        self.create_jax_prng = create_jax_prng
        told, rest = _parser(config_fname, experiment_dir, seed_id).parse_known_args()
        self.config_fname: str = told.config_fname
        self.experiment_dir: str = told.experiment_dir
        self.seed_id: int = told.seed_id
        self.wb_project: Optional[str] = told.wb_project
        self.wb_group: Optional[str] = told.wb_group
        self.wb_name: Optional[str] = told.wb_name
        self.extra_config: Any = dotted(config_arguments(rest)) if rest else None

        found = self._read()
        given: Dict[str, Optional[Mapping[str, Any]]] = {
            "train_config": train_config, "log_config": log_config, "model_config": model_config,
            "device_config": device_config,
        }  # fmt: skip
        for name, changes in given.items():
            section = found.get(name)
            if changes is not None:
                section = {**(section or {}), **changes}
            setattr(self, name, None if section is None else dotted(section))
        self.train_config.seed_id = self.seed_id
        self.log_config.seed_id = self.seed_id
        self.model_ckpt_path: Optional[str] = told.model_ckpt_path or self._checkpoint()
        self.model_ckpt: Any = None
        self.rng: Any = None
        self.log: Any = None
        if auto_setup:
            self.setup()

    def _read(self) -> Dict[str, Any]:
        if not os.path.isfile(self.config_fname):
            print_framed(f"no config {self.config_fname}: an empty one is used")
            return {"train_config": {}, "log_config": {"time_to_track": ["num_updates"], "what_to_track": ["loss"]}}
        found = load_config(self.config_fname)
        for name in ("train_config", "log_config"):
            if not isinstance(found, dict) or not isinstance(found.get(name), dict):
                raise ValueError(f"{self.config_fname}: the section {name} is missing")
        for key in ("time_to_track", "what_to_track"):
            if key not in found["log_config"]:
                raise ValueError(f"{self.config_fname}: log_config lacks {key}")
        if "net_config" in found:
            found.setdefault("model_config", found["net_config"])
        return found

    def _checkpoint(self) -> Optional[str]:
        train = plain(self.train_config)
        extra = train.get("extra") or {}
        for found in (train.get("ckpt"), train.get("model_ckpt"), extra.get("sh_ckpt"), extra.get("pbt_ckpt")):
            if isinstance(found, (list, tuple)) and found and all(isinstance(one, str) for one in found):
                # One a seed: that of ours, else the first.
                own = [one for one in found if f"seed_{self.seed_id}." in os.path.basename(one)]
                return (own or list(found))[0]
            if found:
                return found
        return None

    def setup(self) -> None:
        """Seed the generators, read the checkpoint, and make the log."""
        from mle_logging import MLELogger, load_model

        devices = plain(self.device_config) or {}
        known = ("num_devices", "mem_prealloc_bool", "mem_prealloc_frac", "device_type")
        get_os_env_ready(**{key: devices[key] for key in known if key in devices})
        if "device_name" in self.train_config:
            torch = sys.modules.get("torch")
            has_gpu = torch is not None and torch.cuda.is_available()
            self.train_config.device_name = "cuda" if has_gpu else "cpu"
        self.rng = set_random_seeds(self.seed_id, self.create_jax_prng)
        logs = plain(self.log_config)
        if logs.get("use_wandb"):
            logs["wandb_config"] = self._wandb(logs.get("wandb_config") or {})
        config = self.config_fname if os.path.isfile(self.config_fname) else None
        if config is None:
            logs.setdefault("config_dict", {"train_config": plain(self.train_config)})
        if self.model_ckpt_path and isinstance(self.model_ckpt_path, str) and os.path.exists(self.model_ckpt_path):
            self.model_ckpt = load_model(self.model_ckpt_path, logs.get("model_type", "no-model-type"))
        elif self.model_ckpt_path:
            # Strategies take any object for a checkpoint.
            self.model_ckpt = self.model_ckpt_path
        logs.setdefault("config_fname", config)
        logs.setdefault("experiment_dir", self.experiment_dir)
        self.log = MLELogger(**logs)

    def _wandb(self, given: Mapping[str, Any]) -> Dict[str, Any]:
        known = mle_config.wandb if "wandb" in mle_config else {}
        return {
            "key": known.get("key"),
            "entity": known.get("entity"),
            "project": self.wb_project or "prototyping",
            "group": self.wb_group,
            "name": self.wb_name or f"seed{self.seed_id}",
            **given,
        }

    def update_log(
        self,
        clock_tick: Dict[str, Any],
        stats_tick: Dict[str, Any],
        model: Any = None,
        plot_fig: Any = None,
        extra_obj: Any = None,
        save: bool = False,
    ) -> None:
        """Log one update, as :meth:`mle_logging.MLELogger.update`."""
        self.log.update(clock_tick, stats_tick, model=model, plot_fig=plot_fig, extra_obj=extra_obj, save=save)

    def ready_to_log(self, update_counter: int) -> bool:
        """Return whether an update, counted from 0, is one to log: the first, and each `log_every_j_steps`-th."""
        every = self.log_config.get("log_every_j_steps")
        if not every:
            raise AssertionError("log_config lacks log_every_j_steps")
        return (update_counter + 1) % every == 0 or update_counter == 0


def _parser(config_fname: str, experiment_dir: str, seed_id: int) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-config", "--config_fname", default=config_fname, help="the config file")
    parser.add_argument("-exp_dir", "--experiment_dir", default=experiment_dir, help="the folder for results")
    parser.add_argument("-seed", "--seed_id", type=int, default=seed_id, help="the seed")
    parser.add_argument("-model_ckpt", "--model_ckpt_path", default=None, help="a checkpoint to go on from")
    for name in ("project", "group", "name"):
        parser.add_argument(f"-wb_{name}", default=None, help=f"{name} at Weights & Biases")
    return parser


def experiment(
    config_fname: str = "configs/base_config.json",
    experiment_dir: str = "experiments/",
    seed_id: int = 0,
    auto_setup: bool = True,
    create_jax_prng: bool = False,
    train_config: Optional[Mapping[str, Any]] = None,
    log_config: Optional[Mapping[str, Any]] = None,
    model_config: Optional[Mapping[str, Any]] = None,
    device_config: Optional[Mapping[str, Any]] = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a function an :class:`MLExperiment` as its first argument, made when it is called first."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        made = []

        @functools.wraps(function)
        def call(*words: Any, **named: Any) -> Any:
            # When it is called and not when the module is imported: importing must not read the command line.
            if not made:
                made.append(
                    MLExperiment(
                        config_fname, experiment_dir, seed_id, auto_setup, create_jax_prng, train_config, log_config,
                        model_config, device_config,
                    )  # fmt: skip
                )
            return function(made[0], *words, **named)

        return call

    return decorate


__all__ = ["DotMap", "MLExperiment", "experiment"]
