"""Publish weights: to a folder, which is then a hub of its own, or to a Hugging Face repository."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.card import Card, Family, check_name
from genzoo.errors import HubError, WeightsError, safe_text
from genzoo.files import atomic_write, make_folder, relative_parts, sha256_of
from genzoo.hub.deadlines import PATIENT
from genzoo.hub.repo import endpoint, is_offline
from genzoo.ledger import Row, Score, add_row, with_row
from genzoo.ledger.sources import REPO, REVISION

if TYPE_CHECKING:
    from huggingface_hub import HfApi

# What a model card shows to be called: most models draw, an autoencoder has codes, a classifier features.
_CALLS = {Family.AUTOENCODER: "encode(images)", Family.CLASSIFIER: "features(images)"}
_LICENCES = {"mit", "apache-2.0", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "openrail"}


def push(dest: str | Path, *, name: str, weights: bytes, row: Row, card_text: str, files: Mapping[str, bytes] | None = None) -> Row:
    """Publish the weights of one model with its card and its row, and return the row as it can be pulled from there.

    Args:
        dest: a folder (created if it is missing), or `hf:owner/repo`.
        name: the model's name.
        weights: the safetensors file; it must be what `row` pins.
        row: facts of the weights; its sources are replaced by the new place.
        card_text: the model card, see `model_card`.
        files: further files by relative path.

    Raises:
        WeightsError: `weights` is not what `row` pins.
        HubError: the repository refused, or `dest` is neither a folder nor a repository.
        StorageError: the folder cannot be written.
    """
    check_name(name)
    if (len(weights), sha256_of(weights)) != (row.bytes, row.sha256):
        raise WeightsError(f"the weights of {name!r} are not those that the row pins", "make the row from these weights")
    extra = {"/".join(relative_parts(path, "file name")): data for path, data in (files or {}).items()}
    if str(dest).startswith("hf:"):
        return _push_to_repo(str(dest)[3:], row.replace(name=name), weights, card_text, extra)
    return _push_to_folder(Path(dest).expanduser(), row.replace(name=name), weights, card_text, extra)


def _push_to_folder(folder: Path, row: Row, weights: bytes, card_text: str, files: Mapping[str, bytes]) -> Row:
    """Write the row last: whoever reads the folder's ledger meanwhile finds only rows whose files are whole."""
    make_folder(folder)
    for path, data in {**files, f"{row.name}.safetensors": weights, f"{row.name}.md": card_text.encode("utf-8", "replace")}.items():
        make_folder((folder / path).parent)
        atomic_write(folder / path, data)
    ledger = folder / "zoo.toml"
    final = row.replace(sources=(f"folder:{row.name}.safetensors",), origin=ledger)
    add_row(ledger, final)
    return final


def _push_to_repo(repo: str, row: Row, weights: bytes, card_text: str, files: Mapping[str, bytes]) -> Row:
    if not REPO.fullmatch(repo):
        raise HubError(f"'hf:{repo}' does not name a repository", "write hf:OWNER/REPO")
    if is_offline():
        raise HubError(f"cannot push to hf:{repo} while offline mode is on", "unset HF_HUB_OFFLINE")
    from huggingface_hub import HfApi

    from genzoo.hub.http import check_url

    at = endpoint()
    check_url(at)
    try:
        revision = _commit(HfApi(endpoint=at), repo, row, weights, card_text, files)
    except HubError:
        raise
    except Exception as error:  # which classes the library lets through changes with its transport (requests, httpx)
        raise HubError(
            f"cannot push {row.name!r} to hf:{repo}: {type(error).__name__}: {error}",
            "log in with `hf auth login` or set HF_TOKEN to a token that may write",
        ) from error
    if not REVISION.fullmatch(revision):
        raise HubError(f"hf:{repo} answered with the commit {revision!r}, which is no commit id", "check HF_ENDPOINT")
    return row.replace(sources=(f"hf:{repo}@{revision}:{row.name}.safetensors",))


def _commit(api: HfApi, repo: str, row: Row, weights: bytes, card_text: str, files: Mapping[str, bytes]) -> str:
    """Put everything into one commit and return its id. The ledger that goes with it names the weights as lying beside it."""
    from huggingface_hub import CommitOperationAdd

    api.create_repo(repo, exist_ok=True)
    beside = row.replace(sources=(f"folder:{row.name}.safetensors",), origin=Path("zoo.toml"))
    content = {
        **files,
        f"{row.name}.safetensors": weights,
        "README.md": card_text.encode("utf-8", "replace"),
        "zoo.toml": with_row(_published_ledger(str(api.endpoint), repo), beside, Path("zoo.toml")),
    }
    operations = [CommitOperationAdd(path_in_repo=path, path_or_fileobj=data) for path, data in content.items()]
    return str(api.create_commit(repo, operations, commit_message=f"Publish {row.name} with genzoo").oid)


def _published_ledger(at: str, repo: str) -> bytes:
    """Return the zoo.toml that the repository has now, so that rows of other models in it are kept."""
    from huggingface_hub import get_token, hf_hub_url

    from genzoo.hub.http import get

    cap = 8 << 20
    with get(hf_hub_url(repo, "zoo.toml", endpoint=at), token=get_token(), offset=0, size=cap, deadlines=PATIENT) as answer:
        if answer.status == 404:
            return b""
        if answer.status != 200:
            raise HubError(f"the zoo.toml of hf:{repo} cannot be read: status {answer.status}", "check that the token may read and write")
        data = b""
        while len(data) <= cap and (chunk := answer.read(cap + 1 - len(data))):
            data += chunk
    if len(data) > cap:
        raise HubError(f"the zoo.toml of hf:{repo} is larger than 8 MB", "clean it up by hand")
    return data


def model_card(row: Row, card: Card) -> str:
    """Return a model card in Markdown, with the metadata that the Hugging Face Hub reads.

    Every text of the card and the row is made harmless: one line, no control characters, no markup.
    """
    facts = {
        "Family": card.family.words,
        "Paper": card.paper,
        "Plugin": row.plugin or card.plugin,
        "Trained on": row.data,
        "Terms of the data": row.terms,
        "Training": row.trained,
        "Licence": row.licence,
        "Size": f"{row.bytes:,} bytes",
        "sha256": row.sha256,
    }
    lines = ["---", *_metadata(row, card), "---", "", f"# {row.name}", "", _plain(card.summary), ""]
    lines += [f"- **{key}:** {_plain(value)}" for key, value in facts.items() if value]
    lines += ["", "```python", "import genzoo", "", f'genzoo.load("{row.name}").{_CALLS.get(card.family, "sample(16, seed=0)")}', "```"]
    if row.scores:
        lines += ["", "| metric | value | kind | n | data | protocol |", "|---|---|---|---|---|---|", *map(_score_line, row.scores)]
    return "\n".join(lines) + "\n"


def _metadata(row: Row, card: Card) -> list[str]:
    licence = row.licence.strip().lower()
    values: dict[str, Any] = {"license": licence} if licence in _LICENCES else {"license": "other", "license_name": _slug(row.licence)}
    values |= {
        "library_name": "genzoo",
        "pipeline_tag": "image-feature-extraction" if card.family in _CALLS else "unconditional-image-generation",
        "tags": ["genzoo", card.family.value],
    }
    return [f"{key}: {json.dumps(value)}" for key, value in values.items()]  # JSON is YAML, whatever the text holds


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:60] or "unknown"


def _score_line(score: Score) -> str:
    value = f"{score.value:.4g}" + (f" ± {score.stderr:.2g}" if score.stderr is not None else "") + f" {_plain(score.unit)}"
    data = ", ".join(filter(None, (score.data, score.split, score.transform)))
    count = f"{score.n}" + (f" in {score.blocks} blocks" if score.blocks else "")
    return f"| {_plain(score.metric)} | {value.strip()} | {score.kind} | {count} | {_plain(data)} | {_plain(score.protocol)} |"


def _plain(text: str) -> str:
    """Return `text` as Markdown that shows just these characters."""
    return re.sub(r"([\\`*_{}\[\]<>#|!~&])", r"\\\1", safe_text(text))
