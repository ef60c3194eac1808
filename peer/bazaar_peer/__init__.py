"""Bazaar: a marketplace that elects its own trader and never loses a trade."""

__version__ = "0.1.0"
