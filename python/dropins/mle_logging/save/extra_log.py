"""Any other objects."""

from ..utils.helpers import save_pkl_object
from ._files import FileLog


class ExtraLog(FileLog):
    """Objects as pickles in `extra/`.

    Attributes
    ----------
    extra_storage_paths : list of str
    extra_save_counter : int
    extra_dir : str
    """

    folder = "extra/"
    kind = "extra"
    stem = "extra"
    suffix = ".pkl"

    @property
    def extra_storage_paths(self):
        return self.paths

    @property
    def extra_save_counter(self):
        return self.counter

    @property
    def extra_dir(self):
        return self.directory

    def save(self, obj, obj_fname=None, step=None):
        """Store an object; return the path."""
        return self.store(obj_fname, lambda path: save_pkl_object(obj, path), step)
