"""The version, in one place: read by setup.cfg and shown by ``bt-margin --version``."""

__version__ = "0.1.0"
