"""Picture: the condition of a model that translates pictures of one domain into another (Isola et al. 2017,
Zhu et al. 2017).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from genzoo.condition.base import Condition
from genzoo.errors import ArgumentError, CardError, UnknownNameError, safe_repr, safe_text, suggest
from genzoo.whole import whole

LARGEST_SIDE, LONGEST_DOMAIN = 4096, 60
DRAWN = re.compile(r"drawn:([0-9]{1,6})")  # a picture that is drawn by rule, where there are no others


@dataclass(frozen=True)
class Picture(Condition):
    """A picture to translate: `Picture(shape=(3, 64, 64), domains=("map", "photo"))`.

    The config of the model has the fields `source_shape` and `domains`. It may have `both_ways` and `noisy`
    as well, as a field, a property or a ClassVar; without them, they are False and True.

    Attributes:
        shape: (C, H, W) of the source; height and width are those of the model's images.
        domains: what the source shows and what the translation shows, a word or two each.
        both_ways: whether the model translates from the second domain into the first as well.
        noisy: whether the translation of one picture depends on the seed.

    Raises:
        CardError: no shape of an image, or not two different names.
    """

    shape: tuple[int, int, int] = (3, 64, 64)
    domains: tuple[str, str] = ("source", "target")
    both_ways: bool = False
    noisy: bool = True
    kind: ClassVar[str] = "picture"
    each: ClassVar[str] = "sources"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _shape(self.shape))
        object.__setattr__(self, "domains", _domains(self.domains))
        for key in ("both_ways", "noisy"):
            if not isinstance(getattr(self, key), bool):
                raise CardError(
                    f"{key} of a Picture must be True or False, not {safe_repr(getattr(self, key))}"
                )

    @property
    def words(self) -> str:
        """Domains, directions and size: "a picture, map → photo, 3×64×64"."""
        return f"a picture, {self._way}, {'×'.join(map(str, self.shape))}"

    @property
    def brief(self) -> str:
        """Domains and directions: "map → photo"."""
        return self._way

    @property
    def _way(self) -> str:
        return f"{self.domains[0]} {'↔' if self.both_ways else '→'} {self.domains[1]}"

    @property
    def typed(self) -> str:
        """The name of a file."""
        return f"{re.sub(r'[^0-9A-Za-z]+', '-', self.domains[0]).strip('-') or 'picture'}.png"

    @property
    def argument(self) -> str:
        """The shape of an array."""
        return f"condition=pictures, of the shape (N, {', '.join(map(str, self.shape))})"

    @property
    def config(self) -> dict[str, Any]:
        """`{"source_shape": shape, "domains": domains}`."""
        return {"source_shape": self.shape, "domains": self.domains}

    def config_for(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return `config`; the source has the height and width of `image_shape` where `values` set it."""
        target = values.get("image_shape")
        if not isinstance(target, Sequence) or isinstance(target, str) or len(target) != 3:
            return self.config
        return {**self.config, "source_shape": (self.shape[0], *target[1:])}

    @classmethod
    def of(cls, config: Any) -> Picture:
        """Return the condition of a config that has `source_shape` and `domains`.

        Raises:
            CardError: as the class; also a source of another height or width than `image_shape`.
        """
        made = cls(
            tuple(config.source_shape),
            tuple(config.domains),
            bool(getattr(config, "both_ways", False)),
            bool(getattr(config, "noisy", True)),
        )
        sides = tuple(config.image_shape[1:])
        if made.shape[1:] != sides:
            raise CardError(
                f"source_shape has sides of {made.shape[1]}x{made.shape[2]} pixels, but image_shape has "
                f"{sides[0]}x{sides[1]}: a translation keeps the size",
                f"source_shape={made.shape[0]},{sides[0]},{sides[1]}",
            )
        return made

    def stated_in(self, config: Any) -> Picture:
        """Return the condition that a stored config states; it may leave open `both_ways` and `noisy`."""
        found = self.of(config)
        open_ = {key: getattr(self, key) for key in ("both_ways", "noisy") if not hasattr(config, key)}
        return dataclasses.replace(found, **open_)

    def target(self, to: Any = None) -> str:
        """Return the domain that `to` names, in any case; the second for None.

        Raises:
            UnknownNameError: no domain of this name; the message gives the nearest.
            ArgumentError: not a text, or a direction that the model does not know.
        """
        if to is None:
            return self.domains[1]
        if not isinstance(to, str):
            raise ArgumentError(f"to must be the name of a domain, not {safe_repr(to)}", self._hint)
        found = next((name for name in self.domains if name.casefold() == to.strip().casefold()), None)
        if found is None:
            near = suggest(to, self.domains)
            raise UnknownNameError(f"there is no domain {safe_text(to, 60)!r}{near}", self._hint)
        if found == self.domains[0] and not self.both_ways:
            raise ArgumentError(
                f"this model does not translate into {found!r}: it knows one direction", self._hint
            )
        return found

    @property
    def _hint(self) -> str:
        into = " or ".join(repr(name) for name in self.domains[not self.both_ways :])
        return f"it translates {self._way}: to={into}"

    def examples(self, n: int) -> list[Any]:
        """Return "drawn:0", "drawn:1", …: pictures that are drawn by rule."""
        return [f"drawn:{i}" for i in range(n)]

    def drawn(self, value: Any) -> int | None:
        """Return the number of a picture that is drawn by rule, None for anything else."""
        found = DRAWN.fullmatch(value) if isinstance(value, str) else None
        return int(found[1]) if found else None

    def describe(self, value: Any) -> str:
        """Return "map drawn:0", or of an array "map sha256 1f2e…", a digest of its 8-bit values."""
        if isinstance(value, str):
            return f"{self.domains[0]} {safe_text(value, 100)}"
        return f"{self.domains[0]} sha256 {_digest(value)}"

    def as_dict(self) -> dict[str, Any]:
        """Return kind, shape, domains, and which directions and whether noise there is."""
        return {
            "kind": self.kind,
            "shape": list(self.shape),
            "domains": list(self.domains),
            "both_ways": self.both_ways,
            "noisy": self.noisy,
        }


def _shape(shape: Any) -> tuple[int, int, int]:
    given = shape if isinstance(shape, Sequence) and not isinstance(shape, str) else ()
    sizes = [whole(size) for size in given]
    if len(sizes) != 3 or sizes[0] not in (1, 3) or not all(_is_side(size) for size in sizes[1:]):
        raise CardError(
            f"the shape of a Picture must be (channels, height, width), not {safe_repr(shape)}",
            f"1 or 3 channels, sides of 1 to {LARGEST_SIDE}: (3, 64, 64)",
        )
    channels, height, width = (int(size or 0) for size in sizes)
    return channels, height, width


def _is_side(size: int | None) -> bool:
    return size is not None and 1 <= size <= LARGEST_SIDE


def _domains(domains: Any) -> tuple[str, str]:
    given = tuple(domains) if isinstance(domains, Sequence) and not isinstance(domains, str) else ()
    sound = all(_is_domain(name) for name in given) and len({str(name).casefold() for name in given}) == 2
    if len(given) != 2 or not sound:
        raise CardError(
            f"a Picture has two domains with different names, not {safe_repr(domains)}",
            'for example domains=("map", "photo")',
        )
    return given[0], given[1]


def _is_domain(name: object) -> bool:
    return (
        isinstance(name, str)
        and 0 < len(name) <= LONGEST_DOMAIN
        and name == name.strip()
        and safe_text(name, LONGEST_DOMAIN) == name
    )


def _digest(value: Any) -> str:
    """Return a digest of an array's values in 256 levels, whatever library it is of."""
    import hashlib  # here, so that listing cards stays fast

    flat = value.reshape(-1).tolist()
    scale = 1 if flat and isinstance(flat[0], int) else 255
    return hashlib.sha256(bytes(min(255, max(0, round(scale * number))) for number in flat)).hexdigest()[:12]
