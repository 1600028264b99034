"""Random numbers of a share: drawn for the whole batch, of which a process keeps its own rows.

They cost each process what they cost a run of one. Torch's random functions are found by a mode, which calls
anything else as it is; so a plugin's loss and the dropout of its nets need no change. Left as they are, hence
equal in all processes: `torch.randperm`, and what torch draws inside other functions (the dropout between the
layers of `nn.LSTM` and `nn.GRU`, and that of `nn.MultiheadAttention`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from genzoo.shares.norms import batch_norm
from genzoo.shares.share import CURRENT, Share

Function = Callable[..., Any]
Arguments = tuple[Any, ...]
Keywords = dict[str, Any]
Handler = Callable[[Share, Function, Arguments, Keywords], Any]

_FILLING = ("normal", "uniform", "bernoulli", "exponential", "random", "cauchy", "log_normal", "geometric")


def drawn(draw: Callable[[Sequence[int]], Tensor], shape: Sequence[int], axis: int) -> Tensor:
    """Return `draw(shape)` with the rows of the batch along `axis`: this process's part of what one process
    would draw.
    """
    share = CURRENT.get()
    if share is None:
        return draw(shape)
    token = CURRENT.set(None)  # what is drawn here is whole already
    try:
        return share.own(draw(share.widened(shape, axis)), axis)
    finally:
        CURRENT.reset(token)


class Keyed(TorchFunctionMode):
    """Draw for the whole batch within the block, while there is a current share."""

    def __torch_function__(
        self, function: Function, types: Any, args: Arguments = (), kwargs: Keywords | None = None
    ) -> Any:
        handler, share = _HANDLERS.get(function), CURRENT.get()
        if handler is None or share is None:
            return function(*args, **kwargs or {})
        return handler(share, function, args, dict(kwargs or {}))


def _factory(share: Share, function: Function, args: Arguments, kwargs: Keywords) -> Any:
    """torch.rand, randn, randint and normal: a shape is given, last or by name."""
    if "size" in kwargs:
        shape: Sequence[int] = tuple(kwargs["size"])
    elif args and isinstance(args[-1], Sequence):
        args, shape = args[:-1], tuple(args[-1])
    elif function in (torch.rand, torch.randn):
        args, shape = (), args
    else:
        return function(*args, **kwargs)
    axis = None if kwargs.get("out") is not None else share.axis(shape)
    if axis is None:
        return function(*args, **{**kwargs, "size": tuple(shape)})
    return share.own(function(*args, **{**kwargs, "size": tuple(share.widened(shape, axis))}), axis)


def _normal(share: Share, function: Function, args: Arguments, kwargs: Keywords) -> Any:
    """torch.normal: of numbers and a shape, or of tensors."""
    given = [*args, *kwargs.values()]
    return (_repeated if any(map(_is_tensor, given)) else _factory)(share, function, args, kwargs)


def _alike(share: Share, function: Function, args: Arguments, kwargs: Keywords) -> Any:
    """Functions that draw numbers in the shape of a tensor."""
    x, rest, kwargs = _first(args, kwargs)
    axis = share.axis(x.shape)
    if axis is None:
        return function(x, *rest, **kwargs)
    return share.own(function(_blank(share, x, axis), *rest, **kwargs), axis)


def _filled(share: Share, function: Function, args: Arguments, kwargs: Keywords) -> Any:
    """Methods that fill a tensor."""
    x, rest, kwargs = _first(args, kwargs)
    axis = share.axis(x.shape)
    if axis is None or any(map(_is_tensor, rest)):
        return function(x, *rest, **kwargs)
    return x.copy_(share.own(function(_blank(share, x, axis), *rest, **kwargs), axis))


def _dropped(share: Share, function: Function, args: Arguments, kwargs: Keywords) -> Any:
    """Dropout: the mask is that of a batch of ones, which is drawn as that of the batch would be."""
    x, rest, kwargs = _first(args, kwargs)
    names = ("p", "training", "inplace")
    given = {"p": 0.5, "training": True, "inplace": False, **kwargs, **dict(zip(names, rest, strict=False))}
    if not given["training"] or not given["p"] or share.axis(x.shape) != 0:
        return function(x, *rest, **kwargs)
    with torch.no_grad():
        mask = share.own(function(_blank(share, x, 0).fill_(1), p=given["p"], training=True))
    return x.mul_(mask) if given["inplace"] else x * mask


def _repeated(share: Share, function: Function, args: Arguments, kwargs: Keywords) -> Any:
    """Functions of one number each, or of one row each, that draw: they see the share's rows in the place of
    all others', and what they make of these is left out.
    """
    tensors = [value for value in (*args, *kwargs.values()) if _is_tensor(value)]
    quiet = kwargs.get("training", True) is False or kwargs.get("dropout_p", 1.0) == 0.0
    if quiet or not tensors or share.axis(tensors[0].shape) != 0:
        return function(*args, **kwargs)

    def spread(value: Any) -> Any:
        fits = _is_tensor(value) and value.shape[:1] == tensors[0].shape[:1]
        return share.spread(value) if fits else value

    kwargs.pop("inplace", None)
    return share.own(function(*map(spread, args), **{key: spread(value) for key, value in kwargs.items()}))


def _normed(share: Share, function: Function, args: Arguments, kwargs: Keywords) -> Any:
    """Batch norm: of the whole batch, if the run asks for that."""
    return (batch_norm(share, function) if share.norms else function)(*args, **kwargs)


def _blank(share: Share, x: Tensor, axis: int) -> Tensor:
    """Return a tensor like `x`, laid out in memory as it is, with the rows of the whole batch."""
    strides = x.stride()
    order = sorted(range(x.ndim), key=lambda place: -strides[place])
    shape = share.widened(x.shape, axis)
    return x.new_empty([shape[place] for place in order]).permute(
        *(order.index(place) for place in range(x.ndim))
    )


def _first(args: Arguments, kwargs: Keywords) -> tuple[Tensor, Arguments, Keywords]:
    return (args[0], args[1:], kwargs) if args else (kwargs.pop("input"), (), kwargs)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0


def _handlers() -> Mapping[Function, Handler]:
    kinds: dict[Handler, tuple[Any, ...]] = {
        _factory: (torch.rand, torch.randn, torch.randint),
        _normal: (torch.normal,),
        _alike: (torch.rand_like, torch.randn_like, torch.randint_like),
        _filled: tuple(getattr(Tensor, f"{name}_") for name in _FILLING),
        _dropped: tuple(getattr(functional, f"dropout{size}") for size in ("", "1d", "2d", "3d")),
        _repeated: (
            torch.bernoulli,
            Tensor.bernoulli,
            torch.multinomial,
            Tensor.multinomial,
            torch.poisson,
            functional.alpha_dropout,
            functional.feature_alpha_dropout,
            functional.rrelu,
            functional.gumbel_softmax,
            functional.scaled_dot_product_attention,
        ),
        _normed: (functional.batch_norm,),
    }
    return {function: handler for handler, functions in kinds.items() for function in functions}


_HANDLERS = _handlers()
