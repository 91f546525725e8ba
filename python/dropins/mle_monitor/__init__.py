"""The protocol of experiments, this machine's use, and a dashboard of both, with the interface of mle-monitor."""

from .dashboard import MLEDashboard
from .protocol import MLEProtocol
from .resource import MLEResource

#: The release whose interface this is.
__version__ = "0.0.2"

__all__ = ["MLEDashboard", "MLEProtocol", "MLEResource", "__version__"]
