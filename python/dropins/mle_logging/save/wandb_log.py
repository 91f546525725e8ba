"""Weights & Biases."""

import os
import warnings

from .._lazy import np
from .tboard_log import leaves

_TRIES = 10


class WandbLog:
    """Reports to Weights & Biases.

    Parameters
    ----------
    config_dict : dict
        The run's config.
    config_fname, seed_id : str
    wandb_config : dict
        `key`, `entity`, `project`, `group`, and `name` where wanted. It is not changed.

    Attributes
    ----------
    correct_setup : bool
        Whether W&B could be begun; a warning says why not.
    """

    def __init__(self, config_dict=None, config_fname=None, seed_id="no_seed_provided", wandb_config=None):
        wanted = dict(wandb_config or {})
        missing = [name for name in ("key", "entity", "project", "group") if name not in wanted]
        if missing:
            raise AssertionError(f"wandb_config has no {', '.join(missing)}")
        try:
            import wandb
        except ImportError:
            raise ModuleNotFoundError("use_wandb needs wandb: pip install wandb") from None
        self.wandb = wandb
        stem = os.path.splitext(os.path.basename(config_fname))[0] if config_fname else "pholder_config"
        job_type = seed_id if wanted["group"] is None else stem
        name = seed_id if wanted.get("name") in (None, "seed0") else wanted["name"]
        variables = {
            "WANDB_API_KEY": wanted["key"],
            "WANDB_ENTITY": wanted["entity"],
            "WANDB_PROJECT": wanted["project"] or "prototyping",
            "WANDB_NAME": name,
            "WANDB_RUN_GROUP": wanted["group"],
            "WANDB_JOB_TYPE": job_type,
            "WANDB_TAGS": f"{name},{job_type}",
            "WANDB_SILENT": "true",
            "WANDB_DISABLE_SERVICE": "true",
        }
        os.environ.update({key: str(value) for key, value in variables.items() if value is not None})
        self.step_counter = 0
        self.correct_setup = False
        for _ in range(_TRIES):
            try:
                wandb.init(config=dict(config_dict or {}), group=wanted["group"], job_type=job_type, name=name)
            except Exception as error:  # noqa: BLE001 - whatever W&B raises must not end a training
                why = error
            else:
                self.correct_setup = True
                return
        warnings.warn(f"nothing is reported to W&B: {why}", RuntimeWarning, stacklevel=3)

    def update(self, clock_tick, stats_tick, model_type=None, model=None, grads=None, plot_to_wandb=None):
        """Report one update."""
        if not self.correct_setup:
            return
        told = {f"time/{name}": value for name, value in clock_tick.items()}
        told.update({f"stats/{name}": value for name, value in stats_tick.items()})
        if plot_to_wandb is not None:
            told["img"] = self.wandb.Image(plot_to_wandb)
        if model_type == "jax":
            for kind, tree in (("params", model), ("grads", grads)):
                for name, array in leaves(tree):
                    told[f"{kind}_norm/{name}"] = float(np.linalg.norm(array))
                    told[f"{kind}_hist/{name}"] = self.wandb.Histogram(array)
        self.wandb.log(told, step=self.step_counter)
        self.step_counter += 1

    def upload_gif(self, gif_path, video_name="video"):
        """Upload an animation."""
        if self.correct_setup:
            self.wandb.log({video_name: self.wandb.Video(gif_path, fps=4, format="gif")})
