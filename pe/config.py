"""Gin files and flags into a tree of frozen dataclasses: the only module that imports gin.

A command has one root config; its fields are values or further config dataclasses. Every class of
that tree can be bound by its name (`T5Config.d_model = 256`, on the command line
`--gin.T5Config.d_model=256`) and is built from its own defaults, the gin files and the flags, in
that order. Library code sees the built objects and never gin.

Gin by itself accepts a mistyped macro in silence and checks no types. Here every macro that is
bound must be used, every name must belong to the command, and every value must fit its field.
"""

import dataclasses
import difflib
import importlib.util  # noqa: F401  gin 0.5 uses it without importing it
import json
import logging
import re
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gin import config as gin

C = typing.TypeVar("C")

_SNAPSHOT: dict[tuple[str, str], dict[str, Any]] = {}


def _snapshot_hook(config: dict[tuple[str, str], dict[str, Any]]) -> None:
    _SNAPSHOT.clear()
    _SNAPSHOT.update(config)


gin.register_finalize_hook(_snapshot_hook)
_REGISTERED: set[type] = set()
_SEARCHED: set[Path] = {Path()}
_MACRO_USE = re.compile(r"%([A-Za-z_][\w./]*)")
_INCLUDE = re.compile(r"^\s*include\s+['\"]([^'\"]+)['\"]", re.MULTILINE)


def config_classes(root: type) -> Iterator[type]:
    """Yield the root and every config dataclass below it, parents first."""
    yield root
    for hint in _field_types(root).values():
        if dataclasses.is_dataclass(hint):
            yield from config_classes(typing.cast(type, hint))


def load_config(root: type[C], files: Sequence[str | Path] = (), bindings: Sequence[str] = ()) -> C:
    """Build `root` from gin files and `NAME=VALUE` bindings; later ones win.

    Raises ValueError for a missing file, a name the command does not know, a macro that nothing
    uses or that is not bound, and a value of the wrong type or outside its range.
    """
    classes = {cls.__name__: cls for cls in config_classes(root)}
    gin.clear_config()  # unlocks too
    for cls in classes.values():
        if cls not in _REGISTERED:
            gin.external_configurable(cls, name=cls.__name__, module="pe")
            _REGISTERED.add(cls)
    for file in files:
        if not Path(file).is_file():
            raise ValueError(f"gin file {str(file)!r} not found; expected a path to a .gin file")
    statements = [quote_binding(text) for text in bindings]
    texts = [*_read_with_includes(files), *bindings]
    logging.disable(logging.ERROR)  # gin logs an error for each folder that lacks an include
    try:
        gin.parse_config_files_and_bindings([str(file) for file in files], statements)
    except (ValueError, SyntaxError, TypeError, AttributeError, OSError) as error:
        raise ValueError(_explain(str(error), classes)) from error
    finally:
        logging.disable(logging.NOTSET)
    _check_scopes_and_names(classes)
    _check_macros(texts)
    return _build(root)


def quote_binding(text: str) -> str:
    """Turn a flag's NAME=VALUE into a gin statement; a bare word becomes a string.

    Example:
      text                         returns
      STEPS=10                     STEPS = 10
      TrainConfig.dtype=bfloat16   TrainConfig.dtype = 'bfloat16'
      D=@x()                       D = @x()
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ValueError(f"--gin.{text}: expected --gin.NAME=VALUE")
    value = value.strip()
    try:
        gin.parse_value(value)
    except (SyntaxError, ValueError):
        value = repr(value)
    return f"{name.strip()} = {value}"


def config_to_dict(config: Any) -> dict[str, Any]:
    """Return a config tree as JSON-able nested dicts (tuples become lists)."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def config_from_dict(root: type[C], values: dict[str, Any]) -> C:
    """Rebuild a config from `config_to_dict`'s output."""
    kwargs: dict[str, Any] = {}
    hints = _field_types(root)
    for name, value in values.items():
        if name not in hints:
            raise ValueError(f"{root.__name__} has no field {name!r}; it has {sorted(hints)}")
        if dataclasses.is_dataclass(hints[name]):
            value = config_from_dict(typing.cast(type, hints[name]), value)
        kwargs[name] = _to_tuples(value)
    return root(**kwargs)


def _to_tuples(value: Any) -> Any:
    return tuple(_to_tuples(item) for item in value) if isinstance(value, list) else value


def operative_config(config: Any) -> str:
    """Write out every value of a config tree as gin statements, defaults included."""
    blocks = []
    for part in _parts(config):
        name = type(part).__name__
        lines = [
            f"{name}.{field.name} = {getattr(part, field.name)!r}"
            for field in dataclasses.fields(part)
            if not dataclasses.is_dataclass(getattr(part, field.name))
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join(block for block in blocks if block) + "\n"


def describe_configs(root: type) -> str:
    """List every bindable name of a command with its default, one a line (for --help)."""
    lines = []
    for cls in config_classes(root):
        for field in dataclasses.fields(cls):
            if dataclasses.is_dataclass(_field_types(cls)[field.name]):
                continue
            default = "required" if field.default is dataclasses.MISSING else repr(field.default)
            lines.append(f"  --gin.{cls.__name__}.{field.name}={default}")
    return "\n".join(lines)


def _parts(config: Any) -> Iterator[Any]:
    yield config
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _parts(value)


def _field_types(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _build(cls: type[C]) -> C:
    kwargs: dict[str, Any] = dict(gin.get_bindings(f"pe.{cls.__name__}"))
    for name, hint in _field_types(cls).items():
        if dataclasses.is_dataclass(hint):
            kwargs[name] = _build(typing.cast(type, hint))
        elif name in kwargs:
            kwargs[name] = _fit(kwargs[name], hint, f"{cls.__name__}.{name}")
    return cls(**kwargs)


def _fit(value: Any, hint: Any, name: str) -> Any:
    """Return the value as the field's type, or say what was wrong with it."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(arg for arg in args if arg is not type(None))
        return _fit(value, hint, name)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if origin is tuple and isinstance(value, list | tuple):
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_fit(item, args[0], name) for item in value)
        if len(value) == len(args):
            return tuple(_fit(item, arg, name) for item, arg in zip(value, args, strict=True))
    plain = hint if origin is None else origin
    is_bool_for_number = isinstance(value, bool) and plain is not bool
    if origin is tuple or not isinstance(value, plain) or is_bool_for_number:
        expected = getattr(hint, "__name__", str(hint)) if origin is None else str(hint)
        raise ValueError(f"{name}: got {value!r} ({type(value).__name__}), expected {expected}")
    return value


def _check_scopes_and_names(classes: dict[str, type]) -> None:
    for scope, selector in _SNAPSHOT:
        if selector == "gin.macro":
            continue
        name = selector.removeprefix("pe.")
        if name not in classes:
            raise ValueError(
                _explain(f"{name} is bound, but this command does not use it", classes)
            )
        if scope:
            raise ValueError(
                f"{scope}/{name} is bound in a scope; expected {name}, without a scope"
            )


def _check_macros(texts: Sequence[str]) -> None:
    """Stop at a macro that nothing refers to, in any of the texts: a mistyped name, most likely."""
    used = {name for text in texts for name in _MACRO_USE.findall(text)}
    for scope, selector in sorted(_SNAPSHOT):
        if selector == "gin.macro" and scope not in used:
            close = difflib.get_close_matches(scope, used, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(
                f"macro {scope} is set but nothing uses it (used: {sorted(used)}){hint}"
            )


def _read_with_includes(files: Sequence[str | Path]) -> Iterator[str]:
    """Yield the text of gin files and of all they include, and let gin find the same files.

    An include is looked for from the working folder, then from the file's own folder upwards.
    """
    for file in files:
        text = Path(file).read_text(encoding="utf-8")
        yield text
        folders = [Path(), *list(Path(file).resolve().parents)[:3]]
        for name in _INCLUDE.findall(text):
            found = [folder for folder in folders if (folder / name).is_file()]
            if not found:
                raise ValueError(f"{file} includes {name!r}, which is in none of {folders}")
            if found[0] not in _SEARCHED:
                gin.add_config_file_search_path(str(found[0]))
                _SEARCHED.add(found[0])
            yield from _read_with_includes([found[0] / name])


def _explain(message: str, classes: dict[str, type]) -> str:
    """Turn gin's message into ours: one line, the nearest name, and the names there are."""
    message = " ".join(message.replace("'pe.", "'").replace("doesn't", "does not").split())
    unbound = re.search(r"No bindings specified for '(.+)/gin\.macro'", message)
    if unbound:
        return f"macro {unbound[1]} is used but not set; expected a line {unbound[1]} = ..."
    quoted = re.findall(r"'([^']+)'", message)
    wanted = ".".join(quoted[:2]) if quoted and quoted[0] in classes else "".join(quoted[:1])
    names = [f"{name}.{field}" for name, cls in classes.items() for field in _field_types(cls)]
    close = difflib.get_close_matches(wanted, names if "." in wanted else list(classes), n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    known = ", ".join(classes)
    return f"gin: {message}.{hint} Known names: {known} (pe COMMAND --help lists all)"
