"""A dict whose keys are attributes as well."""


class AttributeDict(dict):
    """A dict with its keys as attributes; dicts inside it are made the same.

    >>> AttributeDict({"a": {"b": 1}}).a.b
    1
    """

    def __init__(self, *args, **more):
        super().__init__()
        for key, value in dict(*args, **more).items():
            self[key] = value

    def __setitem__(self, key, value):
        if isinstance(value, dict) and not isinstance(value, AttributeDict):
            value = AttributeDict(value)
        super().__setitem__(key, value)

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no {name!r} among {', '.join(map(str, self)) or 'nothing'}") from None

    def __setattr__(self, name, value):
        self[name] = value

    def __delattr__(self, name):
        try:
            del self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __dir__(self):
        return [*super().__dir__(), *(key for key in self if isinstance(key, str))]

    def __reduce__(self):
        return AttributeDict, (self.toDict(),)

    def toDict(self):
        """Return plain dicts."""
        return {key: value.toDict() if isinstance(value, AttributeDict) else value for key, value in self.items()}

    def copy(self):
        return AttributeDict(self)
