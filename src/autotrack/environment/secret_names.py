"""Which names are names of secrets: `hf_token` and `db_passwd` are, `max_tokens` and `key_dim` are not.

A name is cut into words (at underscores, dashes, dots, slashes and changes of case) and looked up in the tables
below. Machine learning has its own tokens, keys and passes; they are in the tables as well.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import Literal

Kind = Literal["strong", "text", "weak"]

_STEM = re.compile(r"pass|pwd|pw\b|secret|token|key|cred|auth|cookie|jwt|bearer|conn|_pat\b|-pat\b|pat$", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SEGMENT = re.compile(r"[./:\[\]\s]+")


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


_ALWAYS = _words(
    "password passwords passwd passphrase secret secrets credential credentials creds jwt bearer",
    "authorization cookie cookies apikey apikeys secretkey accesskey privatekey authtoken accesstoken",
    "apitoken",
)
_COMPACT = (
    "password", "passwd", "passphrase", "apikey", "secretkey", "accesskey", "privatekey", "authtoken", "accesstoken",
    "apitoken", "hftoken", "refreshtoken", "sessiontoken", "bearertoken", "clientsecret",
)  # fmt: skip
_OWNERS = _words(
    "anthropic aws azure bitbucket cohere colab comet datadog discord docker dropbox gcp gcs gemini gh",
    "github gitlab google groq hf hub huggingface kaggle mistral mlflow neptune npm openai pypi",
    "replicate sagemaker sentry sendgrid slack stripe telegram twilio vault wandb",
)
_BEFORE_KEY = _OWNERS | _words(
    "access account admin api app application auth client consumer crypto decryption deploy developer",
    "encrypt encryption gpg hmac jwt license master oauth pgp private rsa secret service session sign",
    "signing ssh ssl subscription tls webhook",
)
_BEFORE_TOKEN = _OWNERS | _words(
    "access admin api app auth bearer bot client csrf deploy id identity job login oauth personal",
    "private read refresh registry sas secret security service session user write xsrf",
)
_TOKENS_OF_MODELS = _words(
    "action add additional assistant audio bert begin blank block boa boi bos by class cls codebook",
    "context control count cross decoder delimiter dim dist distill dummy each embed empty encoder end",
    "eoa eod eoi eom eos eot expert extra final first forced frame from global goal image img in is",
    "join label lang language last latent learnable learned local mask masked max media mem memory",
    "merge message min modality model mtp n new newline next no node null num object observation of one",
    "oov output pad padded padding patch per pixel point policy pool pooled pooling pos position prefix",
    "prev previous prompt prune proposal query readout register reserved return reward role sentinel",
    "sep separator sequence single sink soft sot source space special speech start state step stop sub",
    "subject sum summary suffix tail target task text think thinking time to tool total trigger turn",
    "unk unknown use video vision visual vocab with word",
)
_BEFORE_PASS = _words(
    "admin database db email ftp http imap jdbc ldap login mail mongo my mysql neo pg postgres proxy",
    "rabbitmq redis root sa smtp sql ssh sudo user",
)
_PAIRS = {
    "key": _BEFORE_KEY, "keys": _BEFORE_KEY, "token": _BEFORE_TOKEN, "pass": _BEFORE_PASS,
    "tokens": _words("access api auth bearer oauth refresh session"),
    "pat": _OWNERS | {"ado", "git", "personal"}, "string": frozenset({"connection", "conn"}),
    "str": frozenset({"connection", "conn"}),
}  # fmt: skip
_COUNTING = _words("num n max min total count avg mean number")
_ABOUT = _words(
    "age attention attr bias budget class classes column columns count counts cost dim dims dir",
    "dimension dropout dtype embed embedder embedding embeddings emb enabled env expires expiration",
    "expiry field file filename folder format freq frequency head heads id ids idx index indices init",
    "input kind layer layers len length level limit list location loss map mapping mask masks max",
    "method min mode name names norm num padding path per policy position positions prob probs",
    "projection provider rate ratio required role rotation scheme shape size sizes split splitter",
    "strategy tag template threshold ttl type types uri url valid var vocab weight weights",
)


@lru_cache(maxsize=1 << 16)
def classify(name: str) -> Kind | None:
    """Return which values under this name are secrets.

    "strong": any value. "text": any text, but no number. "weak": text that is not just a word. None: no value.
    """
    if not _STEM.search(name):
        return None
    segments = [words for words in map(split_name, _SEGMENT.split(name)) if words]
    if not segments:
        return None
    if any(word in _ALWAYS for words in segments[:-1] for word in words):
        return "strong"
    return _kind(segments[-1], name)


def split_name(name: str) -> list[str]:
    """The words of a name, in lower case, without trailing numbers."""
    words = [word.lower() for word in _WORD.findall(name)]
    while words and words[-1].isdigit():
        words.pop()
    return words


def _kind(words: list[str], name: str) -> Kind | None:
    last = words[-1]
    if words[0] in _COUNTING or (last in _ABOUT and words[-2:] != ["secret", "id"]):
        return None
    if any(word in _ALWAYS or word.endswith(_COMPACT) for word in words):
        return "strong"
    if any(first in _PAIRS.get(second, ()) for first, second in pairwise(words)):
        return "strong"
    return _kind_by_end(words, name)


def _kind_by_end(words: list[str], name: str) -> Kind | None:
    last = words[-1]
    if last in {"pwd", "pw"}:
        return None if name == "PWD" else "strong"
    if words == ["token"]:
        return "text"
    return "weak" if last == "auth" or (last == "token" and words[-2] not in _TOKENS_OF_MODELS) else None
