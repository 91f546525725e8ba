"""Numbered files of a kind: written below the run's folder, and kept in the database."""

import os

from .. import _store


class FileLog:
    """Files of one kind.

    `keep(path, kind, step)` stores a file in the database under the place it has in the folder. `reload` is the logger's own,
    which goes on with what was stored by :meth:`restore`.
    """

    folder = ""
    kind = "extra"
    suffix = ""

    def __init__(self, experiment_dir="", seed_id="no_seed_provided", reload=False, keep=None):
        self.experiment_dir = experiment_dir
        self.directory = os.path.join(experiment_dir, self.folder)
        self.seed_id = seed_id
        self.keep = keep
        self.paths = []
        self.counter = 0

    def place(self, name):
        """Return where a file goes: the name given, or the next number."""
        if name is not None:
            return os.path.join(self.directory, os.fspath(name))
        self.counter += 1
        return os.path.join(self.directory, f"{self.stem}_{self.counter}_{self.seed_id}{self.suffix}")

    def store(self, name, write, step=None):
        """Write a file by `write(path)` and keep it; return where it is."""
        path = self.place(name)
        if _store.mirrors():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            write(path)
            if self.keep is not None:
                self.keep(path, path, self.kind, step)
        else:
            import tempfile

            with tempfile.TemporaryDirectory() as folder:
                there = os.path.join(folder, os.path.basename(path))
                write(there)
                if self.keep is not None:
                    self.keep(path, there, self.kind, step)
        if path not in self.paths:
            self.paths.append(path)
        return path

    def restore(self, paths, counter):
        self.paths = list(paths)
        self.counter = counter
