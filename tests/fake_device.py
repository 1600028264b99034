"""A device that is not there: tensors of the CPU that say they are on Apple's, and refuse what it refuses.

Within `fake_device()`, `.to("mps")` and `device="mps"` give tensors on it, and so does every function of one.
A float64 tensor on it is a TypeError, as with Apple's; a function of tensors on two devices is a
RuntimeError. `.cpu()` brings a tensor back.
"""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

MPS = torch.device("mps")
_DEVICE, _DATA = Tensor.device.__get__, Tensor.data.__set__
_HOME = {Tensor.numpy, Tensor.tolist, Tensor.item, Tensor.__array__}  # results are no tensors
_ACROSS = {Tensor.copy_, Tensor.__setitem__, Tensor.to, Tensor.cpu, _DATA, Tensor.grad.__set__}
_COPIES = {Tensor.__deepcopy__}  # its memo holds other tensors
# a name of a device, and what Module.to asks
_PLAIN = {torch.device, torch._C._nn._parse_to, torch._has_compatible_shallow_copy_type}
_Generator = torch.Generator


class _OnDevice(_Generator):
    """A generator of the CPU that says it is on the device."""

    device = MPS


class _Maker(type):
    def __call__(cls, device="cpu"):
        return _OnDevice() if torch.device(device).type == "mps" else _Generator(device)

    def __instancecheck__(cls, value):
        return isinstance(value, _Generator)


class FakeGenerator(metaclass=_Maker):
    """What stands for torch.Generator."""


class Fake(TorchFunctionMode):
    """Follows which tensors are on the device: what a function makes is where its arguments are."""

    def is_on(self, value):
        return isinstance(value, Tensor) and getattr(value, "_fake", False)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function in _PLAIN:
            return function(*args, **kwargs)
        flat = [value for value in pytree.tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        here = [value for value in flat if self.is_on(value)]
        if function == _DEVICE:
            return MPS if here else function(*args)
        wanted, args, kwargs = self._wanted(args, kwargs)
        if function not in _ACROSS | _COPIES and here:
            apart = [value for value in flat if not self.is_on(value) and value.ndim]
            if apart and function is not Tensor.backward:
                raise RuntimeError(f"{function}: expected all tensors on one device, found cpu and mps")
        result = function(*args, **kwargs)
        return self._placed(function, result, flat, here, wanted)

    def _wanted(self, args, kwargs):
        """Return the device that is named (None, "cpu" or "mps"), and the arguments with the CPU instead."""
        named = []

        def plain(value):
            if isinstance(value, torch.device) or value in ("mps", "cpu"):
                named.append(torch.device(value).type)
                return torch.device("cpu")
            return value

        def leaves(value):
            if isinstance(value, (str, torch.device)):
                return plain(value)
            return value

        args = tuple(leaves(value) for value in args)
        kwargs = {key: leaves(value) for key, value in kwargs.items()}
        return (named[-1] if named else None), args, kwargs

    def _placed(self, function, result, flat, here, wanted):
        if function == _DATA:
            self._mark(flat[0], self.is_on(flat[1]))
            return result
        if function is Tensor.cpu or (function is Tensor.to and wanted == "cpu"):
            return result.clone() if self.is_on(result) else result
        on = wanted == "mps" or bool(here)
        if function is Tensor.to and wanted is None:
            on = any(self.is_on(value) for value in flat[-1:])  # like the other tensor
        if function in _COPIES | {Tensor.copy_, Tensor.__setitem__}:
            on = self.is_on(flat[0])
        if function is Tensor.to and on and not here and result is flat[0]:
            result = result.clone()
        if function not in _HOME:
            pytree.tree_map_only(Tensor, lambda value: self._mark(value, on), result)
        return result

    def _mark(self, value, on):
        if on and value.dtype == torch.float64:
            raise TypeError(
                "Cannot convert a MPS Tensor to float64 dtype as the MPS framework has no float64"
            )
        if on:
            value._fake = True
        elif getattr(value, "_fake", False):
            value._fake = False


@contextlib.contextmanager
def fake_device(monkeypatch):
    """Let "mps" be such a device within the block."""
    new = torch.nn.Parameter.__new__

    def made(cls, data=None, requires_grad=True):  # which torch makes without asking a mode
        parameter = new(cls, data, requires_grad)
        if getattr(data, "_fake", False):
            parameter._fake = True
        return parameter

    monkeypatch.setattr(torch, "Generator", FakeGenerator)
    monkeypatch.setattr(torch.nn.Parameter, "__new__", staticmethod(made))
    with Fake():
        yield
