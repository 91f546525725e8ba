from .load import load_log as load_log
from .load import load_meta_log as load_meta_log
from .load import load_model as load_model
from .merge import merge_config_logs as merge_config_logs
from .merge import merge_seed_logs as merge_seed_logs
from .meta_log import MetaLog as MetaLog
from .mle_logger import MLELogger as MLELogger
from .utils import load_config as load_config

__version__: str
