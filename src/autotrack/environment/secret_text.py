"""Search of free text for likely secrets: in a known format, in a URL, or assigned to a secret's name.

The text is searched in windows, so that no single match holds the interpreter lock for long, however long the text is.
"""

from __future__ import annotations

import re

from autotrack.environment.secret_names import classify

_WINDOW = 1 << 14
_OVERLAP = 1 << 10
_FORMATS = re.compile(
    r"""
      -----BEGIN\ [A-Z0-9 ]{0,30}PRIVATE\ KEY(?:\ BLOCK)?-----
    | (?<![\w-])(?:
          eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{4,}                         # JSON web token
        | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,}            # GitHub
        | gl(?:pat|ptt|dt|rt|cbt|soat)-[\w-]{16,}                    # GitLab
        | sk-(?:proj|ant|or|svcacct|admin|lf)-[\w-]{16,}             # OpenAI, Anthropic, …
        | sk-[A-Za-z0-9]{20,} | (?:gsk|xai|r8|fw)_[A-Za-z0-9]{30,}
        | (?:sk|rk|pk)[-_](?:live|test)[-_][A-Za-z0-9]{16,}          # Stripe
        | (?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}(?![0-9A-Za-z])         # AWS
        | hf_(?:[A-Za-z0-9]{30,}|(?=[a-z]*[A-Z0-9])[A-Za-z0-9]{16,}) # Hugging Face
        | xox[abceoprs]-[\w-]{10,} | xapp-[\w-]{10,}                 # Slack
        | AIza[\w-]{35} | ya29\.[\w-]{20,}                           # Google
        | npm_[A-Za-z0-9]{30,} | pypi-[\w-]{40,}
        | SG\.[\w-]{16,}\.[\w-]{16,} | do[opr]_v1_[a-f0-9]{40,}
        | nvapi-[\w-]{20,} | dapi[0-9a-f]{32} | glsa_\w{20,} | dckr_pat_[\w-]{16,}
      )
    | hooks\.slack\.com/services/\w
    | (?:AccountKey|SharedAccessKey|SharedAccessSignature)=[A-Za-z0-9+/%]{20,}
    | (?i:\b(?:authorization|proxy-authorization)\b["']?\s{0,3}[:=]\s{0,3}["']?
            (?:bearer|basic|token)\s{1,3})(?![$<{%])\S{6,}
    | (?i:\bbearer)\s{1,3}(?=[\w.~+/-]*\d)[\w.~+/-]{20,}
    """,
    re.VERBOSE,
)
_KEY_BODY = re.compile(r"(?m)^(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9+/]{64}\r?\n(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9+/]{64}\r?$")
_URL_LOGIN = re.compile(
    r"(?<![\w+.-])[A-Za-z][\w+.-]{1,30}://[^\s/?#@:\"'<>{}$]{0,200}"
    r":(?!\[masked\]@|\d{1,5}[/?#])[^\s@\"'<>{}$]{1,200}@[\w\[]"
)
_ASSIGNMENT = re.compile(
    r"""
    (?<![\w.\-])(?P<flag>--?)?(?P<name>[A-Za-z_][\w.\-]{1,80})
    (?:\\?["'])?\]?
    (?:[ \t]{0,4}:[ \t]{0,4}(?:str|bytes|Any|Optional|Union|Final|ClassVar|Annotated|Secret|typing\.|t\.)
        [\w.\[\]\ |]{0,40}?(?=[ \t]{0,4}=[^=]))?                                # an annotation
    (?:[ \t]{0,8}(?:=>|:=|[=:](?!=))[ \t]{0,8}|(?(flag)[ ]|(?!)))
    (?=                                            # looked at, not taken: it may be the next name
        [rbufRBUF]{0,2}(?P<quote>\\?["'])(?P<quoted>[^"'\\\n]{3,500})
      | (?P<bare>[^\s"'`,;(){}\[\]<>\\]{6,500})(?![^\s"'`,;(){}\[\]<>\\]|[(\[])
    )
    """,
    re.VERBOSE,
)
_PLACEHOLDER = re.compile(
    r"(?i)(?:[x*.\-_#…]+|<.*>?|\$.*|\{.*|%[({].*|\[.*|your[-_ ].*|change[-_ ]?me.*|placeholder|example|redacted|"
    r"none|null|nil|true|false|undefined|string|optional|required|todo|secret)"
)
_REFERENCE = re.compile(
    r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|[.~]+/.*|/(?:[\w.-]+/)+.*|/[a-z.]+"
)
_SWITCHES_OF_CASE = re.compile(r"(?<=[a-z])[A-Z]|(?<=[A-Z][A-Z])[a-z]|(?<=[A-Za-z])\d|(?<=\d)[A-Za-z]")


def find_secret(text: str) -> bool:
    """Whether the text is likely to contain a secret."""
    for start in range(0, max(len(text), 1), _WINDOW):
        end = start + _WINDOW + _OVERLAP
        if any(pattern.search(text, start, end) for pattern in (_FORMATS, _URL_LOGIN, _KEY_BODY)):
            return True
        if any(map(_is_assigned, _ASSIGNMENT.finditer(text, start, end))):
            return True
    return False


def _is_assigned(match: re.Match[str]) -> bool:
    kind = classify(match["name"])
    if kind is None:
        return False
    quoted, bare = match["quoted"], match["bare"]
    value = (quoted if quoted is not None else bare).strip()
    if _PLACEHOLDER.fullmatch(value) or _REFERENCE.fullmatch(value):
        return False
    if kind == "weak" or _looks_random(value):
        return _looks_random(value)
    name = match["name"].lower()
    if value.lower() in name or name in value.lower():
        return False
    has_digit = any(letter.isdigit() for letter in value)
    if kind == "text":
        return " " not in value and len(value) >= 12 and has_digit
    return " " not in value and (quoted is not None or (has_digit and not value.isdigit()))


def _looks_random(text: str) -> bool:
    """Whether the text is long and switches between lower case, capitals and digits as often as a generated key."""
    if len(text) < 16 or " " in text:
        return False
    return len(_SWITCHES_OF_CASE.findall(text)) >= max(4, len(text) / 6)
