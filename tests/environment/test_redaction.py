"""Secrets are kept out, and what only looks like one is left alone."""

from __future__ import annotations

import copy
import json
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotrack.environment.redaction import (
    MASK,
    has_secret,
    is_secret,
    is_secret_name,
    redact_argv,
    redact_mapping,
    redact_url,
    withhold_hunks,
)

SECRET_NAMES = (
    "api_key", "apiKey", "APIKey", "apikey", "API-KEY", "X-Api-Key", "AWS_SECRET_ACCESS_KEY", "AWSSecretKey",
    "password", "Password", "password2", "dbPassword", "db.password", "mypassword", "db_passwd", "DB_PASS", "smtp_pass",
    "db.pwd", "passphrase", "hf_token", "HF_TOKEN", "hfToken", "auth_token", "use_auth_token", "access_token",
    "bot_token",
    "github_pat", "client_secret", "secret", "secrets.db", "credentials", "authorization", "Authorization",
    "connection_string", "login_cookie", "jwt", "ssh_private_key", "azure_storage_account_key", "OPENAI_API_KEY",
    "token",    "wandb_api_key", "my_token", "--password", "vault_secret_id",
)  # fmt: skip
HARMLESS_NAMES = (
    "num_memory_tokens", "max_tokens", "max_new_tokens", "tokenizer", "tokenizer.name", "token_count", "tokens",
    "author", "authors", "key_dim", "key", "keys", "keyboard", "monkey", "secretary", "passes", "n_passes", "pass_rate",
    "forward_pass", "bypass", "pad_token", "eos_token", "bos_token_id", "token_type_ids", "cls_token", "mask_token",
    "use_cls_token", "image_token", "tokens_per_second", "special_tokens", "primary_key", "sort_key", "public_key",
    "cross_attention_key", "signature_key", "key_value_heads", "num_secrets", "password_file", "secret_name",
    "authentication_type", "connection", "compass", "patience", "PWD", "OLDPWD", "hf_model", "api_version", "passenger",
    "learning_rate", "optimizer.betas", "model.layers.0.units", "",
)  # fmt: skip
KEYS = {
    "GitHub": "ghp_" + "a1B2c3D4e5" * 4,
    "GitHub, fine-grained": "github_pat_11ABCDEFG0" + "a1B2c3" * 10,
    "OpenAI": "sk-" + "abcdEFGH1234" * 4,
    "OpenAI, of a project": "sk-proj-" + "abcd-EFGH_1234" * 4,
    "AWS": "AKIAIOSFODNN7EXAMPLE",
    "Hugging Face": "hf_" + "abcdefgh" * 4,
    "Slack": "xoxb-123456789012-abcdefABCDEF",
    "Google": "AIza" + "SyA1-b2_c3" * 3 + "SyA1-",
    "JSON web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    "OpenSSH key": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "PGP key": "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    "header": "Authorization: Bearer abcdef123456",
    "URL": "postgresql://ada:hunter2@db.example.org/runs",
}
TEXTS_WITH_SECRETS = (
    'password = "hunter2"', "password: hunter2", "PASSWORD=hunter2", "export DB_PASSWD=s3cr3t!x",
    "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 'os.environ["API_KEY"] = "abc123"',
    'api_key: str = "abcdef"', '{"config": {"api_key": "abcdef"}}', 'connect(host, password="hunter2")',
    '"    api_key = \\"abc123xyz\\"\\n",', "python train.py --api-key abc123def", "--password=hunter2",
    'token = "9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c"', "hosts: {password: hunter2}", "config: api_key = 'abc123'",
)  # fmt: skip
TEXTS_WITHOUT = (
    'password = os.environ["PASSWORD"]', "password: str", "password: str | None = None", "password=password",
    "token = tokenizer.decode(ids1)", "api_key=None", 'api_key = ""', "password = getpass()", 'token = "<pad>"',
    'pad_token = "[PAD]"', "max_tokens = 1024", 'key = "abc123def456"', 'api_key = "YOUR_API_KEY"',
    'api_key="your-key-here"', 'if token == "abcdefghijkl12":', "self.password = config.db.password1",
    "secret = load_secret(path1)", "password: Please enter your password", "api_key = get_key1(x)",
    "https://{user}:{password}@host", "postgres://$USER:$PASS@host", "http://host:8080/path?x=a@b.com",
    "git@github.com:team/project.git", "https://github.com/team/project.git", "num_memory_tokens=16",
    "commit 9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c9f8a7b6c", 'token = "gpt2-medium-2024-tokenizer"', "sk-learn",
    'token="AutoTokenizerForSequenceClassification"', "auth_token: Optional[str] = None,", "author: Ada Lovelace",
    "import scikit-learn-contrib-imbalanced", "the secretary passes the monkey a keyboard", "",
)  # fmt: skip
PLAIN = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
NAMES = PLAIN.filter(lambda name: not is_secret_name(name))


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_of_secrets(name: str) -> None:
    """Names that people give to secrets, in any spelling, are known."""
    assert is_secret_name(name)


@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_names_that_only_look_alike(name: str) -> None:
    """Tokens, keys, passes and authors that are none of a secret's business survive."""
    assert not is_secret_name(name)
    assert redact_mapping({name: "x1" * 20, "n": 1}) == ({name: "x1" * 20, "n": 1}, [])


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("password", 1234, True),
        ("hf_token", "abc", True),
        ("token", "abc", True),
        ("api_keys", ["a", "b"], True),
        ("credentials", {"user": "ada"}, True),
        ("use_auth_token", True, False),
        ("hf_token", None, False),
        ("password", "", False),
        ("token", 5, False),
        ("auth", "basic", False),
        ("yes_token", "Yes", False),
        ("my_token", "a1b2c3d4e5f6", True),
    ],
)
def test_value_of_a_secret(name: str, value: object, secret: bool) -> None:
    """A name alone is not enough: switches, nothing, and numbers or words under vague names hide nothing."""
    assert is_secret(name, value) is secret


@pytest.mark.parametrize("text", [*KEYS.values(), *TEXTS_WITH_SECRETS])
def test_text_with_a_secret(text: str) -> None:
    """A secret is seen in the middle of any text, however long."""
    assert has_secret(text)
    assert has_secret(f"a line before\n{text}\na line after")
    assert has_secret("filler = 1\n" * 5000 + text + "\nfiller = 2" * 5000)


@pytest.mark.parametrize("text", TEXTS_WITHOUT)
def test_text_without_a_secret(text: str) -> None:
    """Code and prose that talk of secrets without containing one are left alone."""
    assert not has_secret(text)


@pytest.mark.parametrize("key", KEYS.values())
def test_values_are_known_by_their_format(key: str) -> None:
    """A value that has the format of a secret is masked whatever its name."""
    for data in ({"note": key}, {"a": {"b": [1, {"c": key}]}}, {"argv": ["run", key]}):
        redacted, masked = redact_mapping(data)
        assert len(masked) == 1
        assert "hunter2" not in json.dumps(redacted)
        assert key not in json.dumps(redacted)


def test_nested_data_is_masked_and_marked() -> None:
    """Values are masked at any depth, their paths listed, and everything else is as it was."""
    data = {
        "lr": 0.1,
        "model": {"num_memory_tokens": 16, "tokenizer": "bert", "pad_token": "<pad>", "layers": [1, 2]},
        "db": {"user": "ada", "password": 1234, "urls": ["postgresql://ada:hunter2@db/runs", "s3://bucket/x"]},
        "headers": [{"X-Api-Key": "abc"}, {"Accept": "text/html"}],
        "secrets": {"anything": "at all"},
        "use_auth_token": True,
        "hf_token": None,
        "argv": ("train.py", "--api-key", "abc", "--lr", "0.1"),
    }
    before = copy.deepcopy(data)
    redacted, masked = redact_mapping(data)
    assert data == before
    assert masked == ["db.password", "db.urls.0", "headers.0.X-Api-Key", "secrets", "argv.2"]
    assert redacted == {
        **before,
        "db": {"user": "ada", "password": MASK, "urls": [f"postgresql://ada:{MASK}@db/runs", "s3://bucket/x"]},
        "headers": [{"X-Api-Key": MASK}, {"Accept": "text/html"}],
        "secrets": MASK,
        "argv": ("train.py", "--api-key", MASK, "--lr", "0.1"),
    }


def test_names_can_be_left_out_of_account() -> None:
    """Where names are those of packages, only values count."""
    data = {"google-auth": "2.29.0", "direct_urls": {"mine": "https://ada:hunter2@example.org/mine.git"}}
    redacted, masked = redact_mapping(data, names=False)
    assert redacted == {"google-auth": "2.29.0", "direct_urls": {"mine": "https://example.org/mine.git"}}
    assert masked == ["direct_urls.mine"]


@pytest.mark.parametrize(
    ("argv", "redacted"),
    [
        (["--password", "hunter2", "--lr", "0.1"], ["--password", MASK, "--lr", "0.1"]),
        (["--password=hunter2"], [f"--password={MASK}"]),
        (["db.password=hunter2", "+auth_token=abc"], [f"db.password={MASK}", f"+auth_token={MASK}"]),
        (["--api-keys", "one", "two", "--seed", "3"], ["--api-keys", MASK, MASK, "--seed", "3"]),
        (["--use-auth-token", "--epochs", "3"], ["--use-auth-token", "--epochs", "3"]),
        (["--use-auth-token", "true"], ["--use-auth-token", "true"]),
        (["--max-tokens", "100", "--tokenizer", "bert"], ["--max-tokens", "100", "--tokenizer", "bert"]),
        (["--db=postgresql://ada:hunter2@h/d"], [f"--db=postgresql://ada:{MASK}@h/d"]),
        (["https://ada:hunter2@h/d?lr=1&api_key=abc"], [f"https://h/d?lr=1&api_key={MASK}"]),
        (["-H", "Authorization: Bearer abcdef1234"], ["-H", MASK]),
        (["--config", '{"password": "hunter2"}'], ["--config", MASK]),
    ],
)
def test_command_lines(argv: list[str], redacted: list[str]) -> None:
    """Options, overrides, URLs and headers on a command line are masked where they hold a secret, and only there."""
    result, positions = redact_argv(argv)
    assert result == redacted
    assert positions == [str(place) for place, (old, new) in enumerate(zip(argv, redacted, strict=True)) if old != new]


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        ("https://ada:hunter2@example.org/x.git", "https://example.org/x.git"),
        ("https://ghp_abc@github.com/team/x.git", "https://github.com/team/x.git"),
        ("https://ada:p@ss@example.org/x", "https://example.org/x"),
        ("postgresql://ada:pa/ss@example.org:5432/d", f"postgresql://ada:{MASK}@example.org:5432/d"),
        ("postgresql://ada@example.org/d", "postgresql://ada@example.org/d"),
        ("mlflow+https://ada:hunter2@example.org", "mlflow+https://example.org"),
        ("redis://:hunter2@example.org/0", f"redis://:{MASK}@example.org/0"),
        ("https://example.org/x?sig=1&access_token=abc#top", f"https://example.org/x?sig=1&access_token={MASK}#top"),
        ("http://example.org:8080/a@b", "http://example.org:8080/a@b"),
        ("git@github.com:team/x.git", "git@github.com:team/x.git"),
        ("ssh://git@example.org/x.git", "ssh://git@example.org/x.git"),
        ("/a/path", "/a/path"),
        ("", ""),
    ],
)
def test_urls(url: str, redacted: str) -> None:
    """A URL loses its credentials and nothing else; doing it twice changes nothing more."""
    assert redact_url(url) == redacted
    assert redact_url(redacted) == redacted
    assert not has_secret(redacted)


@given(
    scheme=st.sampled_from(["https", "http", "postgresql", "redis", "mysql+pymysql", "s3"]),
    user=PLAIN,
    password=st.text(string.ascii_letters + string.digits + "!$%*+-.:=@_~/", min_size=6, max_size=24),
    path=PLAIN,
)
def test_no_password_survives_in_a_url(scheme: str, user: str, password: str, path: str) -> None:
    """Whatever characters a password has, unescaped ones too, it is gone from the URL."""
    secret = f"Zq{password}Zq"
    redacted = redact_url(f"{scheme}://{user}:{secret}@example.org/{path}")
    assert secret not in redacted
    assert redacted.endswith(f"example.org/{path}")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | PLAIN,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=12,
    ),
    st.sampled_from(SECRET_NAMES),
    st.sampled_from(list(KEYS.values())),
)
def test_redaction_is_complete_and_stable(data: Any, name: str, secret: str) -> None:
    """In any structure the secret goes, the rest stays, the argument is not changed, and a second time does nothing."""
    whole = {"rest": data, "inner": [{name: "Zq9" + "hunter2"}], "text": secret}
    before = copy.deepcopy(whole)
    redacted, masked = redact_mapping(whole)
    assert whole == before
    assert redacted["rest"] == data
    assert "hunter2" not in json.dumps(redacted)
    assert secret not in json.dumps(redacted)
    assert masked == [f"inner.0.{name}", "text"]
    assert redact_mapping(redacted) == (redacted, [])


@given(st.text(max_size=300))
def test_any_text_can_be_looked_at(text: str) -> None:
    """No text, URL or command line makes redaction fail."""
    has_secret(text)
    redact_url(text)
    assert len(redact_argv([text, "--" + text, text])[0]) == 3


class Checkout:
    """A repository whose `settings.py` has three places that can change far from one another."""

    def __init__(self, root: Path) -> None:
        self.file = root / "settings.py"
        self.root = root
        self.lines = [f"value_{number} = {number}" for number in range(60)]
        self.git("init", "-q")
        self.save()
        self.git("add", "-A")
        self.git("-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "x")

    def git(self, *arguments: str, stdin: str = "") -> str:
        command = ["git", "-C", str(self.root), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, input=stdin).stdout

    def save(self) -> None:
        self.file.write_text("\n".join(self.lines) + "\n")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh `Checkout`."""
    return Checkout(tmp_path)


def test_hunk_with_a_secret_is_withheld_whole(checkout: Checkout) -> None:
    """The hunk is gone and listed by its place, the others are untouched and still apply."""
    checkout.lines[5] = "value_5 = 'five'"
    checkout.lines[30:30] = ["# the key", 'api_key = "abc123"', "more = 1"]
    checkout.lines[60] = "value_57 = 'last'"
    checkout.save()
    (checkout.root / "other.py").write_text('password = "hunter2"\n')
    checkout.git("add", "-N", "other.py")
    patch = checkout.git("diff")
    kept, withheld = withhold_hunks(patch)
    assert withheld == ["other.py @@ -0,0 +1 @@", "settings.py @@ -28,6 +28,9 @@"]
    assert "abc123" not in kept
    assert "hunter2" not in kept
    assert "value_27" not in kept
    assert "other.py" not in kept
    assert all(line in patch.split("\n") for line in kept.split("\n"))
    checkout.git("checkout", "-q", "settings.py")
    checkout.git("apply", "-", stdin=kept)
    text = checkout.file.read_text()
    assert "value_5 = 'five'" in text
    assert "value_57 = 'last'" in text


def test_secret_that_was_removed_is_withheld_as_well(checkout: Checkout) -> None:
    """A patch also shows what was there before; that secret may still be valid."""
    checkout.lines[5] = "PASSWORD=hunter2"
    checkout.save()
    checkout.git("-c", "user.name=a", "-c", "user.email=b", "commit", "-qam", "oops")
    checkout.lines[5] = "PASSWORD="
    checkout.save()
    kept, withheld = withhold_hunks(checkout.git("diff"))
    assert kept == ""
    assert len(withheld) == 1


def test_inside_of_a_private_key_is_withheld(checkout: Checkout) -> None:
    """A hunk may show the middle of a key without its first line."""
    body = [
        "MIIEpAIBAAKCAQEAx4UbaDzY5xjW6hc9jwN0mX33XpTDVW1WqHp5AKaRbtAC3DqX",
        "IXFMPgw3K45jxRb93f8tv9vL3rD9CUG1Gv4FM+o7",
    ]
    checkout.lines[10:10] = [line + "A" * (64 - len(line)) for line in body]
    checkout.save()
    assert withhold_hunks(checkout.git("diff"))[0] == ""


def test_patch_without_secrets_is_unchanged(checkout: Checkout) -> None:
    """Byte for byte, with odd line ends and form feeds in it."""
    checkout.lines[5] = "max_tokens = 5\r\x0c"
    checkout.lines[40] = "author = 'Ada'\u2028"
    checkout.save()
    patch = checkout.git("diff")
    assert withhold_hunks(patch) == (patch, [])
    assert withhold_hunks("") == ("", [])


def test_redaction_needs_the_standard_library_only() -> None:
    """It runs in every training process, so it imports nothing heavy."""
    code = (
        "import sys; before = set(sys.modules)\n"
        "from autotrack.environment import redaction; redaction.has_secret('x')\n"
        "print({name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert loaded.strip() == "{'autotrack'}"
