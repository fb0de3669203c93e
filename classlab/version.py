"""The version of classlab, which every report names; a file of its own, so that no room has to import the top one."""

__version__ = "0.1.0"
