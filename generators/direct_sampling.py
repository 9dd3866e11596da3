"""Direct sampling: voxel by voxel, each from places in training volumes whose surroundings are alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from porebench.data.compile import compiled

from .base import Shape
from .training_images import TrainingImages, room

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

_REACH = 3
"""Part of a training volume's edge, one in so many, that neighbours are looked for within."""
_FARTHEST = 16
"""Voxels within which neighbours are looked for at most; the steps to them take memory."""
_TURNED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)), bitorder="little")
"""Each byte with its bits in reverse order."""
_MENDING = 6
"""Nearest neighbours, those that share a face, that decide whether a voxel has to be changed in the end."""


class DirectSampling(TrainingImages):
    """Voxels in random order, each as at places in training volumes that have the same neighbours.

    The neighbours of a voxel are the nearest ones that are known already: far apart at first, so that the coarse
    structure comes first, then ever closer. A random training volume of similar density is scanned, more of them where
    few of its places will do, 64 places at a time: neighbour by neighbour, the nearest first, places that differ drop
    out; a neighbour that no place left agrees with is passed over. So no threshold of differing neighbours is needed,
    nor an order of places. The voxel is pore with the share of pores at the places that are left, its odds changed by a
    porosity servo so that the number of pore voxels follows the porosity law. In the end, voxels that no place has amid
    their six nearest neighbours are changed; most of these are lone ones.

    Where training volumes have fewer pores near the boundary, voxels near it come from places as near to it.

    It makes ragged pores where no place agrees with all neighbours, and copies pieces verbatim where one place does.
    Structure wider than a third of a training volume is left to chance.

    Settings were chosen on validation volumes of spheres and Berea: 20 to 80 neighbours, 2^15 to 2^17 places, a servo
    of 30 to 1000, 16 and 32 images; on spheres alone, up to four passes over all voxels instead of mending.

    Args:
        neighbours: known voxels that are compared, at most.
        scan: places that are looked at for each voxel, about.
        servo: change of the logarithm of the odds where pore voxels lead by all that are wanted.
        mend: True changes voxels that no place has amid the same six nearest neighbours.
        images: training volumes of the nearest densities that are scanned, at most an eighth of all.
        walls: True learns how many layers at the boundary are unlike the middle; False makes a stationary medium.

    References:
        G. Mariethoz, P. Renard, J. Straubhaar (2010). The Direct Sampling method to perform multiple-point
        geostatistical simulations. Water Resour. Res. 46, W11536. doi:10.1029/2008WR007621
        S. Strebelle (2002). Conditional simulation of complex geological structures using multiple-point statistics.
        Math. Geol. 34, 1-21 (farthest neighbours dropped, servo system). doi:10.1023/A:1014009426274
    """

    name = "direct-sampling"

    def __init__(
        self,
        *,
        neighbours: int = 30,
        scan: int = 2**15,
        servo: float = 1000.0,
        mend: bool = True,
        images: int = 32,
        walls: bool = True,
    ) -> None:
        self.neighbours = neighbours
        self.scan = scan
        self.servo = servo
        self.mend = mend
        self.images = images
        self.walls = walls

    def _check_params(self) -> None:
        for name in ("neighbours", "scan"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.servo >= 0:
            raise ValueError(f"servo must be at least 0, got {self.servo}")

    def _draw(
        self, out: NDArray[np.bool_], images: NDArray[np.uint8], wanted: int, stream: np.random.Generator
    ) -> None:
        offsets = offsets_within(min(max(1, max(self.shape_) // _REACH), _FARTHEST))
        margin = int(np.max(flat(offsets, self.shape_))) // 64 + 1
        simulate(
            out,
            stream.permutation(out.size),
            self.mend,
            offsets,
            min(self.neighbours, len(offsets)),
            in_words(images, margin),
            margin,
            self.shape_,
            len(self.layers_) - 1,
            wanted,
            min(self.scan, 8 * images.size),
            float(self.servo),
            stream,
        )


def offsets_within(radius: int) -> Ints:
    """Return the steps to all voxels within a radius but the voxel itself, by distance, int64 [steps, 3].

    Example:
        >>> offsets_within(1).tolist()
        [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [0, 0, 1], [0, 1, 0], [1, 0, 0]]
    """
    steps = np.stack(np.meshgrid(*[np.arange(-radius, radius + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    square = np.sum(steps**2, axis=1)
    inside: Ints = steps[(square > 0) & (square <= radius**2)]
    return inside[np.argsort(np.sum(inside**2, axis=1), kind="stable")]


def flat(steps: Ints, shape: Shape) -> Ints:
    """Return the differences in flat index that belong to steps [n, 3] in a volume of a shape, int64 [n]."""
    jumps: Ints = steps @ np.array([shape[1] * shape[2], shape[2], 1])
    return jumps


def in_words(images: NDArray[np.uint8], margin: int) -> Words:
    """Return packed volumes as words of 64 voxels, the first in the lowest bit, between words of solid voxels.

    Args:
        images: bits [k, bytes], the first in the highest bit.
        margin: words of solid voxels before each volume, and one less than those behind it.

    Returns:
        uint64 [k, words].
    """
    turned = _TURNED[images]
    padded = np.pad(turned, ((0, 0), (8 * margin, 8 * margin + 8 + -turned.shape[1] % 8)))
    return padded.view("<u8").astype(np.uint64)


@compiled
def simulate(
    out: NDArray[np.bool_],
    path: Ints,
    mend: bool,
    offsets: Ints,
    neighbours: int,
    images: Words,
    margin: int,
    trained: Shape,
    layers: int,
    wanted: int,
    scan: int,
    servo: float,
    rng: np.random.Generator,
) -> None:
    """Write a volume, voxel by voxel.

    Args:
        out: bool [depth, height, width]; changed in place.
        path: flat indices of all voxels in the order in which they are drawn.
        mend: see ``DirectSampling``.
        offsets: steps to neighbours, the nearest first.
        neighbours: see ``DirectSampling``.
        images: training volumes, of ``in_words``.
        margin: of ``in_words``.
        trained: sizes of a training volume.
        layers: at the boundary that are unlike the middle.
        wanted: pore voxels of the whole volume.
        scan: see ``DirectSampling``.
        servo: see ``DirectSampling``.
        rng: source of random numbers.
    """
    known = np.zeros(out.shape, dtype=np.bool_)
    steps = np.empty((neighbours, 3), dtype=np.int64)
    values = np.empty(neighbours, dtype=np.bool_)
    window = np.empty((3, 2), dtype=np.int64)
    planes = max(scan // (trained[1] * trained[2]), 1)
    places = np.empty((2, len(images), images.shape[1] - 2 * margin), dtype=np.uint64)
    share = wanted / path.size
    pores, drawn = 0, 0
    for mending in range(2 if mend else 1):
        for index in path:
            place = (index // (out.shape[1] * out.shape[2]), index // out.shape[2] % out.shape[1], index % out.shape[2])
            count = find_neighbours(out, known, place, offsets, steps, values)
            if mending:
                count = min(count, _MENDING)
            count = _fit_window(place, out.shape, trained, layers, steps[:count], window)
            if window[0, 1] - window[0, 0] >= planes:
                window[0, 0] = rng.integers(window[0, 0], window[0, 1] - planes + 2)
                window[0, 1] = window[0, 0] + planes - 1
            first = int(rng.integers(0, len(images)))
            chance = chance_of_pore(images, margin, first, trained, window, steps[:count], values, scan, places)
            if mending and 0 < chance < 1:
                continue
            pores -= int(out[place])
            drawn += int(not known[place])
            tilt = np.exp(min(max(servo * (pores + 0.5 - share * drawn) / wanted, -50.0), 50.0))
            out[place] = rng.random() * (chance + (1 - chance) * tilt) < chance
            pores += int(out[place])
            known[place] = True


@compiled
def find_neighbours(
    out: NDArray[np.bool_],
    known: NDArray[np.bool_],
    place: Shape,
    offsets: Ints,
    steps: Ints,
    values: NDArray[np.bool_],
) -> int:
    """Write the steps to the nearest known voxels and their values, the nearest first, and return their number.

    Args:
        out: values of all voxels.
        known: True for those that count.
        place: voxel whose neighbours are looked for.
        offsets: steps to look at, by distance.
        steps: int64 [most neighbours, 3]; changed in place.
        values: bool [most neighbours]; changed in place.
    """
    count = 0
    for row in range(len(offsets)):
        z, y, x = place[0] + offsets[row, 0], place[1] + offsets[row, 1], place[2] + offsets[row, 2]
        inside = 0 <= z < out.shape[0] and 0 <= y < out.shape[1] and 0 <= x < out.shape[2]
        if inside and known[z, y, x]:
            steps[count] = offsets[row]
            values[count] = out[z, y, x]
            count += 1
            if count == len(steps):
                break
    return count


@compiled
def _fit_window(place: Shape, shape: Shape, trained: Shape, layers: int, steps: Ints, window: Ints) -> int:
    """Write the first and last place, for each axis, from which all neighbours are inside a training volume.

    Neighbours are left out from the first one on, by distance, that leaves no place.

    Args:
        place: voxel to be drawn.
        shape: of the drawn volume.
        trained: sizes of a training volume.
        layers: at the boundary that are unlike the middle.
        steps: to the neighbours.
        window: int64 [3, 2]; changed in place.

    Returns:
        Number of neighbours that are left.
    """
    for axis in range(3):
        window[axis, 0], window[axis, 1] = room(place[axis], 1, shape[axis], trained[axis], layers)
    for row in range(len(steps)):
        for axis in range(3):
            if max(window[axis, 0], -steps[row, axis]) > min(window[axis, 1], trained[axis] - 1 - steps[row, axis]):
                return row
        for axis in range(3):
            window[axis, 0] = max(window[axis, 0], -steps[row, axis])
            window[axis, 1] = min(window[axis, 1], trained[axis] - 1 - steps[row, axis])
    return len(steps)


@compiled
def chance_of_pore(
    images: Words,
    margin: int,
    first: int,
    trained: Shape,
    window: Ints,
    steps: Ints,
    values: NDArray[np.bool_],
    scan: int,
    places: Words,
) -> float:
    """Return the share of pores at the places in training volumes that agree with a voxel's neighbours.

    Args:
        images: training volumes, of ``in_words``.
        margin: of ``in_words``.
        first: of the volumes that are scanned.
        trained: sizes of a training volume.
        window: first and last place for each axis, [3, 2].
        steps: to the neighbours, the nearest first, [count, 3].
        values: of the neighbours, [at least count].
        scan: see ``DirectSampling``; more volumes are scanned where the window is a small part of them.
        places: uint64 [2, k, words]; room for the places that agree.
    """
    low = ((window[0, 0] * trained[1] + window[1, 0]) * trained[2] + window[2, 0]) // 64
    high = ((window[0, 1] * trained[1] + window[1, 1]) * trained[2] + window[2, 1]) // 64 + 1
    volumes = min(max(scan // (64 * (high - low)), 1), len(images))
    now = 0
    places[now, 0, low:high] = 0
    for z in range(window[0, 0], window[0, 1] + 1):
        for y in range(window[1, 0], window[1, 1] + 1):
            row = (z * trained[1] + y) * trained[2]
            _mark(places[now, 0], row + window[2, 0], row + window[2, 1] + 1)
    for image in range(1, volumes):
        places[now, image, low:high] = places[now, 0, low:high]
    for row in range(len(steps)):
        jump = (steps[row, 0] * trained[1] + steps[row, 1]) * trained[2] + steps[row, 2]
        left = False
        for image in range(volumes):
            bits = images[(first + image) % len(images)]
            there = bits[margin + low + (jump >> 6) : margin + high + (jump >> 6) + 1]
            left |= _keep(there, jump & 63, values[row], places[now, image, low:high], places[1 - now, image, low:high])
        if left:
            now = 1 - now
    agreeing, pores = 0, 0
    for image in range(volumes):
        bits = images[(first + image) % len(images)]
        for word in range(low, high):
            if places[now, image, word]:
                agreeing += _count(places[now, image, word])
                pores += _count(places[now, image, word] & bits[margin + word])
    return pores / agreeing


@compiled
def _mark(places: Words, start: int, stop: int) -> None:
    """Set the bits from one flat index up to another, which is left out."""
    full = ~np.uint64(0)
    for word in range(start // 64, (stop - 1) // 64 + 1):
        above = np.uint64(max(start - 64 * word, 0))
        beyond = np.uint64(max(64 * word + 64 - stop, 0))
        places[word] |= (full << above) & (full >> beyond)


@compiled
def _keep(there: Words, shift: int, pore: bool, places: Words, kept: Words) -> bool:
    """Write the places whose neighbour is of one phase, and return True if there are any.

    Args:
        there: words with the neighbours of the places, the first one ``shift`` bits from the start, and one more.
        shift: from 0 to 63.
        pore: True to keep places with a pore neighbour, False for a solid one.
        places: words of places.
        kept: of as many words; changed in place.
    """
    right, left, one = np.uint64(shift), np.uint64(63 - shift), np.uint64(1)
    flip = np.uint64(0) if pore else ~np.uint64(0)
    found = np.uint64(0)
    for word in range(len(places)):
        kept[word] = places[word] & (((there[word] >> right) | ((there[word + 1] << one) << left)) ^ flip)
        found |= kept[word]
    return bool(found != np.uint64(0))


@compiled
def _count(word: np.uint64) -> int:
    """Return the number of bits of a word that are set."""
    pairs = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    fours = (pairs & np.uint64(0x3333333333333333)) + ((pairs >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bytes_ = (fours + (fours >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((bytes_ * np.uint64(0x0101010101010101)) >> np.uint64(56))
