"""The hub: fetch, check and publish weights. Nothing counts before its size and sha256 are those that the
ledger pins (rule R1).

fetch.py     pull, pull_bytes, verify_digest: the order in which places are tried, the cache and its lock
transfer.py  from a source into one file, with resume
facts.py     what a weights file says of itself
store.py     what is in the cache, what may be removed, and the sweep of what was left behind
pins.py      which weights a place gave at its first use
remote.py    the ledger of a Hugging Face repository
repo.py      Hugging Face repositories, as `huggingface_hub` names them
publish.py   push and the model card
metadata.py  what the Hugging Face Hub reads of a card, and config.json
folder.py    a folder as a hub, where readers and crashes never meet half a state
upload.py    commits to a Hugging Face repository
"""

from genzoo.deadlines import Deadlines
from genzoo.hub.facts import as_stated, configured, facts_of
from genzoo.hub.fetch import find_local, pull, pull_bytes, verify_digest
from genzoo.hub.metadata import config_json
from genzoo.hub.publish import model_card, push
from genzoo.hub.transfer import Progress

__all__ = [
    "Deadlines",
    "Progress",
    "as_stated",
    "config_json",
    "configured",
    "facts_of",
    "find_local",
    "model_card",
    "pull",
    "pull_bytes",
    "push",
    "verify_digest",
]
