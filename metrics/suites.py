"""Suites: dated, frozen lists of what the score is made of.

A suite groups descriptors into families. Every family has the same weight in NFR100, and within a family every
descriptor: adding a descriptor of size makes size count no more than before. A suite never changes; a better one gets a
new name, and the one before stays computable for a release, so that published numbers can be checked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

JOINT = "joint"
"""Component that compares all descriptors of a volume together; see ``joint``."""


@dataclass(frozen=True)
class Suite:
    """A frozen list of what NFR100 is made of.

    Attributes:
        name: year and number.
        families: name -> its components, each a descriptor or ``JOINT``.
    """

    name: str
    families: Mapping[str, tuple[str, ...]]

    @property
    def components(self) -> tuple[str, ...]:
        """Descriptors, and ``JOINT`` where it counts, family by family."""
        return tuple(name for family in self.families.values() for name in family)

    def family_means(self, effects: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean over the components of each family, [families, ...], of [components, ...]."""
        chosen = [np.isin(self.components, members) for members in self.families.values()]
        return np.stack([effects[each].mean(axis=0) for each in chosen])

    def weights(self, without: Collection[str] = ()) -> NDArray[np.float64]:
        """Return the weight of each component, [components], together 1.

        Args:
            without: components and families that are left out; their weight is 0.
        """
        kept = [
            [0.0 if {family, name} & {*without} else 1.0 for name in components]
            for family, components in self.families.items()
        ]
        shares = [np.array(each) / max(sum(each), 1.0) for each in kept]
        return np.concatenate(shares) / max(1, sum(any(each) for each in kept))


_SIZE = ("mean_local_thickness", "thickness_distribution", "max_distance", "distance_distribution")
_CHORDS = ("mean_chord", "chord_lengths", "specific_surface")
_CORRELATION = ("two_point_correlation", "lineal_path", "profile_sd")
_CLUSTERS = ("euler_6", "n_components", "component_counts", "largest_component_fraction")

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite("2026.1", {"structure": (*_SIZE, *_CHORDS, *_CORRELATION, *_CLUSTERS)}),
        Suite(
            "2026.2",
            {
                "size": (*_SIZE, *_CHORDS),
                "correlation": _CORRELATION,
                "topology": (*_CLUSTERS, "percolation_share", "pore_diffusivity"),
                "direction": (
                    "surface_direction",
                    "chord_direction",
                    "two_point_direction",
                    "lineal_path_direction",
                    "percolation_direction",
                ),
                JOINT: (JOINT,),
            },
        ),
    )
}
CURRENT = "2026.2"
"""Suite of the committed tables."""


def named(name: str) -> Suite:
    """Return a suite by name.

    Raises:
        ValueError: if no suite has that name.
    """
    if name not in SUITES:
        raise ValueError(f"no suite is called {name!r}; there are {', '.join(SUITES)}")
    return SUITES[name]
