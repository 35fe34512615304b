"""Removal of secrets from recorded data, before it is written to disk.

Structured fields are masked and listed by their dotted path; a part of free text with a likely secret is withheld
whole and listed, never rewritten. Secrets are values under a secret's name (`api_key`, `hf_token`, `db_passwd`),
values in the format of a secret (`ghp_…`, `AKIA…`, a JWT, a private key) and credentials inside a URL. Values under
names that only look alike (`num_memory_tokens`, `author`, `key_dim`, `pad_token`) are not secrets.

Only the standard library is used, and nothing is imported that a training process does not have anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from autotrack.environment.secret_names import Kind, classify, split_name

MASK = "[masked]"

_OPTION = re.compile(r"(?P<name>[-+~]*[A-Za-z_@][\w.\-/@]*)=(?P<value>.*)", re.DOTALL)
_URL = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*)://(?P<rest>\S*)")
_PARAMETER = re.compile(r"(?P<before>[?&;#])(?P<name>[^=&;#\s]+)=(?P<value>[^&;#\s]*)")
_WORD_OR_MARK = re.compile(r"[A-Za-z]{1,15}|<.*>|\[.*\]|\{.*\}|\d{1,5}|\s*")
_HUNK = re.compile(r"@@+ [^@]*@@+")
_SHORT_NUMBER = re.compile(r"\d{1,5}")
_SWITCHES = frozenset({"true", "false", "none", "null", "yes", "no", "on", "off", ""})


def is_secret_name(name: str) -> bool:
    """Whether a value under this name, dotted or not, is to be kept secret."""
    return classify(name) is not None


def is_secret(name: str, value: Any) -> bool:
    """Whether this value under this name is to be kept secret: `use_auth_token=True` and `token=None` are not."""
    kind = classify(name)
    return kind is not None and _is_maskable(value, kind)


def has_secret(text: str) -> bool:
    """Whether the text is likely to contain a secret: one in a known format, in a URL, or assigned to its name."""
    from autotrack.environment.secret_text import find_secret

    return find_secret(text)


def redact_mapping(data: Mapping[str, Any], *, names: bool = True) -> tuple[dict[str, Any], list[str]]:
    """A copy of `data` with secrets masked, at any depth, and the dotted paths of the masked values.

    Lists of strings are read as command lines. With `names=False` (for names of packages, say) the names are not
    checked, only the values.
    """
    masked: list[str] = []
    return {key: _redacted(value, str(key), str(key), masked, names) for key, value in data.items()}, masked


def redact_argv(argv: Iterable[str]) -> tuple[list[str], list[str]]:
    """A copy of a command line with secrets masked, and the positions ("3") of the masked words.

    Understands `--password x`, `--password=x`, `db.password=x`, URLs, and values in the format of a secret.
    """
    redacted: list[str] = []
    masked: list[str] = []
    option = ""
    for position, word in enumerate(argv):
        is_option = word.startswith("--") or (word.startswith("-") and len(word) == 2)
        kind = classify(option) if option and not is_option else None
        safe = MASK if kind and _is_maskable(word, kind) else _redact_word(word)
        if is_option:
            option = "" if "=" in word else word
        elif not _takes_many(option):
            option = ""
        if safe != word:
            masked.append(str(position))
        redacted.append(safe)
    return redacted, masked


def redact_url(url: str) -> str:
    """The URL without credentials.

    In an http(s) URL the whole login is removed, in others its password is masked. Secret parameters are masked.
    """
    match = _URL.fullmatch(url)
    if not match:
        return url
    scheme = match["scheme"]
    login, host = _split_login(match["rest"])
    user, colon, _ = login.partition(":")
    if "http" in scheme.lower() or not login:
        login = ""
    elif colon:
        login = f"{MASK if has_secret(user) else user}:{MASK}@"
    else:
        login = f"{MASK if has_secret(user) else user}@"
    return f"{scheme}://{login}{_PARAMETER.sub(_redact_parameter, host)}"


def withhold_hunks(patch: str) -> tuple[str, list[str]]:
    """The patch without hunks that are likely to hold a secret, and the places of these ("src/a.py @@ -1 +1 @@").

    The rest can still be applied: a file whose hunks are all withheld is left out.
    """
    kept: list[str] = []
    withheld: list[str] = []
    for section in re.split(r"(?m)^(?=diff --git )", patch):
        head, *hunks = re.split(r"(?m)^(?=@@)", section)
        bad = {number for number, hunk in enumerate(hunks) if has_secret(_contents(hunk))}
        withheld.extend(f"{_path_of(head)} {_position_of(hunks[number])}" for number in sorted(bad))
        if not bad:
            kept.append(section)
        elif len(bad) < len(hunks):
            kept.append(head + "".join(hunk for number, hunk in enumerate(hunks) if number not in bad))
    return "".join(kept), withheld


def _contents(hunk: str) -> str:
    first, *lines = hunk.split("\n")
    return "\n".join([_HUNK.sub("", first), *(line[1:] for line in lines)])


def _position_of(hunk: str) -> str:
    match = _HUNK.match(hunk)
    return match[0] if match else "@@"


def _path_of(head: str) -> str:
    for prefix in ("+++ b/", "--- a/", "+++ ", "diff --git "):
        for line in head.split("\n"):
            if line.startswith(prefix) and line != "+++ /dev/null":
                return line.removeprefix(prefix).strip()
    return "?"


def _redacted(value: Any, name: str, path: str, masked: list[str], names: bool) -> Any:
    kind = classify(name) if names else None
    if kind and _is_maskable(value, kind):
        masked.append(path)
        return MASK
    if isinstance(value, str):
        safe = _redact_text(value)
        if safe != value:
            masked.append(path)
        return safe
    if isinstance(value, Mapping):
        return {key: _redacted(item, str(key), f"{path}.{key}", masked, names) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = _redacted_items(value, path, masked, names)
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, (set, frozenset, bytes, bytearray)) and has_secret(_as_text(value)):
        masked.append(path)
        return MASK
    return value


def _as_text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, (bytes, bytearray)) else "\n".join(map(str, value))


def _redacted_items(items: list[Any] | tuple[Any, ...], path: str, masked: list[str], names: bool) -> list[Any]:
    if items and all(isinstance(item, str) for item in items):
        redacted, positions = redact_argv(items)
        masked.extend(f"{path}.{position}" for position in positions)
        return list(redacted)
    return [_redacted(item, "", f"{path}.{number}", masked, names) for number, item in enumerate(items)]


def _is_maskable(value: Any, kind: Kind) -> bool:
    if value is None or isinstance(value, bool):
        return False
    if isinstance(value, str):
        if value.lower() in _SWITCHES or value == MASK:
            return False
        return kind == "strong" or not (_WORD_OR_MARK if kind == "weak" else _SHORT_NUMBER).fullmatch(value)
    if isinstance(value, (int, float, Mapping)):
        return kind == "strong"
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(_is_maskable(item, kind) for item in value)
    return True


def _redact_text(text: str) -> str:
    if "://" in text:
        text = redact_url(text)
    return MASK if has_secret(text) else text


def _redact_word(word: str) -> str:
    match = _OPTION.fullmatch(word)
    if not match:
        return _redact_text(word)
    kind = classify(match["name"])
    value = match["value"]
    return f"{match['name']}={MASK if kind and _is_maskable(value, kind) else _redact_text(value)}"


def _takes_many(option: str) -> bool:
    return "".join(split_name(option)[-1:]).endswith("s")


def _split_login(rest: str) -> tuple[str, str]:
    """The login and the remainder of what follows `://`; a password may hold an unescaped slash or at sign."""
    end = min((rest.find(mark) for mark in "/?#" if mark in rest), default=len(rest))
    login, at, host = rest[:end].rpartition("@")
    if at:
        return login, host + rest[end:]
    port = rest[:end].partition(":")[2] if ":" in rest[:end] and not rest.startswith("[") else ""
    if port and not port.isdigit() and "@" in rest:
        login, _, host = rest.rpartition("@")
        return login, host
    return "", rest


def _redact_parameter(match: re.Match[str]) -> str:
    kind = classify(match["name"])
    secret = (kind and _is_maskable(match["value"], kind)) or has_secret(match["value"])
    return f"{match['before']}{match['name']}={MASK}" if secret else match[0]
