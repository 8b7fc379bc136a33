"""The keys of a `config.json`, and what several kinds of models read alike: shapes, activation, windows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from hwsim.errors import Fault, HwsimError, Where
from hwsim.workload.families import Activation

__all__ = ["Config", "activation_of", "repeated", "shapes_of", "window_of", "window_pattern_of"]

_Kind = TypeVar("_Kind")


@dataclass(frozen=True, slots=True)
class Config:
    """The keys of a file, and where they stand.

    Attributes:
        source: the file's name, for messages.
        text: its text, in which lines are counted.
        keys: what it says.
    """

    source: str
    text: str
    keys: Mapping[str, Any]

    def where(self, key: str) -> Where:
        """The line of a key."""
        found = re.search(rf'"{re.escape(key)}"\s*:', self.text)
        return Where(self.source, self.text.count("\n", 0, found.start()) + 1) if found else Where(self.source)

    def refuse(self, key: str, expected: str) -> HwsimError:
        """The error of a key that hwsim cannot take."""
        return HwsimError(Fault(self.where(key), f"{key}: {json.dumps(self.keys.get(key))}", expected))

    def whole(self, *names: str, default: int | None = None, least: int = 1) -> int:
        """A whole number under the first of the names that is there and not null.

        Raises:
            HwsimError: none of them is there and there is no default, or it is no whole number from ``least``.
        """
        for name in names:
            value = self.keys.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise self.refuse(name, f"a whole number from {least}")
            return value
        if default is None:
            raise HwsimError.at(self.source, f"no {' or '.join(names)}", "the shapes of a model")
        return default

    def flag(self, name: str, default: bool) -> bool:
        """A truth value; null counts as left out."""
        value = self.keys.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.refuse(name, "true or false")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        """A list of words; none when it is not there."""
        value = self.keys.get(name) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.refuse(name, "a list of words")
        return tuple(value)

    def layers_of(self, kinds: Mapping[str, _Kind], left_out: str) -> list[_Kind]:
        """What ``layer_types`` says of each layer; without it, what the word ``left_out`` means for all, or nothing."""
        words, layers = self.words("layer_types"), self.whole("num_hidden_layers")
        if not words:
            return [kinds[left_out]] * layers if left_out else []
        if len(words) != layers or set(words) - set(kinds):
            raise self.refuse("layer_types", f"{layers} words of {', '.join(kinds)}")
        return [kinds[word] for word in words]


def activation_of(config: Config, *names: str, default: Activation = "silu") -> Activation:
    """The activation under the first of the names that is there and not null."""
    for name in names:
        word = config.keys.get(name)
        if word is None:
            continue
        known: Activation
        for known in ("silu", "gelu", "relu", "relu2"):
            if isinstance(word, str) and (word == known or word.startswith(f"{known}_")):
                return known
        if word == "swish":
            return "silu"
        raise config.refuse(name, "silu, gelu, relu or relu2")
    return default


def window_of(config: Config, *, used: bool = True, left_out: int = 0) -> int:
    """Positions that attention sees at most; Qwen gives a width that ``use_sliding_window`` does not use."""
    if not config.flag("use_sliding_window", used):
        return 0
    if "sliding_window" not in config.keys:  # null means that there is none
        return left_out
    return config.whole("sliding_window", default=0, least=0)


def repeated(layers: Sequence[_Kind]) -> tuple[_Kind, ...]:
    """The shortest pattern that gives the layers when it repeats."""
    words, count = list(layers), len(layers)
    divisors = (size for size in range(1, count + 1) if count % size == 0)
    return tuple(words[: next(size for size in divisors if words[:size] * (count // size) == words)])


def window_pattern_of(
    config: Config, every: int, left_out: int = 4096
) -> tuple[int, tuple[Literal["window", "full"], ...]]:
    """(window, which layers have it) where every few layers see everything, or those that ``layer_types`` names."""
    window = window_of(config, left_out=left_out)
    layers = config.whole("num_hidden_layers")
    full = config.layers_of({"full_attention": True, "sliding_attention": False}, "")
    full = full or [(layer + 1) % every == 0 for layer in range(layers)]
    if not window or all(full):
        return 0, ("window",)
    period = next(
        size for size in range(1, layers + 1) if layers % size == 0 and full[:size] * (layers // size) == full
    )
    return window, tuple("full" if each else "window" for each in full[:period])


def shapes_of(config: Config, kv_heads: int | None = None, head_dim: int = 0) -> dict[str, Any]:
    """The fields that decoder-only transformers share under their usual keys.

    Args:
        config: the file.
        kv_heads: heads of keys and values where it names none; as many as of queries by default.
        head_dim: elements per head likewise; 0 for hidden_size / heads.
    """
    heads = config.whole("num_attention_heads")
    width, per_head = config.whole("hidden_size"), config.whole("head_dim", default=head_dim, least=0)
    return {
        "d_model": width,
        "layers": config.whole("num_hidden_layers"),
        "heads": heads,
        "kv_heads": config.whole("num_key_value_heads", default=kv_heads or heads),
        "head_dim": 0 if per_head * heads == width else per_head,
        "vocab": config.whole("vocab_size"),
    }
