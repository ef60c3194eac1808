"""Where scripts are kept: name → the scenario and the plants that it shows."""

from __future__ import annotations

from collections.abc import Callable

SCRIPTS: dict[str, tuple[Callable[[], None], tuple[str, ...]]] = {}


def script(*plants: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def keep(scenario: Callable[[], None]) -> Callable[[], None]:
        SCRIPTS[scenario.__name__] = (scenario, plants)
        return scenario

    return keep
