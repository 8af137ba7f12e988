"""The options file: what it may be, and that nothing of it is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from bt_margin.errors import InputError
from bt_margin.market.exchange.options import MOST_BYTES, read_options, secrets_of


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_json_and_toml_say_the_same(tmp_path: Path) -> None:
    json = written(tmp_path, "a.json", '{"timeout": 5, "urls": {"api": {"public": "http://x"}}}')
    toml = written(tmp_path, "a.toml", 'timeout = 5\n[urls.api]\npublic = "http://x"\n')
    assert (
        read_options(json)
        == read_options(toml)
        == {
            "timeout": 5,
            "urls": {"api": {"public": "http://x"}},
        }
    )


def test_a_mark_at_the_start_of_the_file_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "a.JSON"
    file.write_bytes(b'\xef\xbb\xbf{"timeout": 5}')
    assert read_options(file) == {"timeout": 5}


BROKEN = {
    "a.json": ('{"secret": "hunter2",}', "not valid JSON"),
    "b.json": ('["hunter2"]', "not an object"),
    "c.json": ("[" * 100_000, "not valid JSON"),
    "a.toml": ('secret = "hunter2\n', "not valid TOML"),
    "b.toml": ("hunter2 hunter2\n", "not valid TOML"),
    "c.toml": (f"{'a.' * 50_000}a = 1\n", "not valid TOML"),  # a table for each of its parts
    "a.yaml": ("secret: hunter2", "unknown kind"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_and_its_content_is_not_shown(tmp_path: Path, name: str) -> None:
    text, says = BROKEN[name]
    with pytest.raises(InputError, match=says) as caught:
        read_options(written(tmp_path, name, text))
    assert name in str(caught.value) or name == "b.json"
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="in line 2"):
        read_options(written(tmp_path, "a.json", '{"a": 1,\n x}'))
    with pytest.raises(InputError, match="at line 2"):
        read_options(written(tmp_path, "a.toml", "a = 1\nb == 2\n"))


def test_a_missing_file_a_folder_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_options(tmp_path / "none.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read_options(tmp_path / "folder.json")
    huge = written(tmp_path, "huge.json", " " * (MOST_BYTES + 1))
    with pytest.raises(InputError, match="too long"):
        read_options(huge)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(InputError, match="not UTF-8"):
        read_options(tmp_path / "a.json")


def test_keys_headers_and_users_of_proxies_are_secrets() -> None:
    options = {
        "apiKey": "k1",
        "secret": "k2",
        "headers": {"Authorization": "k3"},
        "httpsProxy": "http://me:k4@host:1",
        "proxies": {"http": "http://me:k5@host:1", "https": None},
        "timeout": 5,
    }
    assert sorted(secrets_of(options)) == ["k1", "k2", "k3", "me:k4", "me:k5"]
