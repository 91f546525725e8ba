"""Where the original package has these names."""

from ..launch.experiment import compose_protocol_data

__all__ = ["compose_protocol_data"]
