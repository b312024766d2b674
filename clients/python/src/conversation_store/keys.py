"""Names of other systems as ids and keys of the store, and values in few bytes: for adapters."""

from __future__ import annotations

import hashlib
import re
import zlib
from base64 import b64decode, b64encode
from urllib.parse import unquote
from uuid import UUID

_ID = re.compile(r"(?!\.+$)[!$(-.0-;=@-\[\]^_a-z|~]{1,128}")
_NO_ID = re.compile(rb"[^!$(-.0-;=@-\[\]^_a-z|]")
_DIGEST = "~~."  # No name is written in this way: hexadecimal digits would follow.
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SORTED = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"


def conversation_id(name: str) -> str:
    """The conversation of a thread or session of another system: the name itself, if it can be an id.

    Another name, and one that begins with `~`, follows a `~`, with `~` and two hexadecimal digits in the place of each
    byte that an id cannot have: `user/7` is `~user~2F7`. If that is longer than an id, it is `~~.` and a digest.
    """
    if _ID.fullmatch(name) and not name.startswith("~"):
        return name
    data = name.encode("utf-8", "surrogatepass")
    id = "~" + _NO_ID.sub(lambda byte: b"~%02X" % ord(byte[0]), data).decode()
    return id if len(id) <= 128 else _DIGEST + hashlib.sha256(data).hexdigest()


def name_of(conversation_id: str) -> str | None:
    """The name that `conversation_id` was given, None if the id is a digest of it."""
    if not conversation_id.startswith("~"):
        return conversation_id
    if conversation_id.startswith(_DIGEST):
        return None
    data = re.sub(rb"~(..)", lambda byte: bytes([int(byte[1], 16)]), conversation_id[1:].encode())
    return data.decode("utf-8", "surrogatepass")


def pack(name: str) -> str:
    """A name as a part of a key, between slashes: in 23 bytes where it is a UUID, and UUIDs keep their order."""
    for char in "%/~\0":
        name = name.replace(char, f"%{ord(char):02X}")
    return _UUID.sub(
        lambda uuid: "~" + _translate(b64encode(UUID(uuid[0]).bytes)[:22], _BASE64, _SORTED).decode(), name
    )


def pack_short(name: str) -> str:
    """A name as `pack` has it, or where that has more than 120 bytes, or is no Unicode text, `~.` and a digest."""
    try:
        part = pack(name)
        if len(part.encode()) <= 120:
            return part
    except UnicodeEncodeError:  # An unpaired surrogate.
        pass
    return "~." + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def unpack(part: str) -> str:
    """The name that `pack` was given."""
    return unquote(re.sub("~(.{22})", lambda it: str(UUID(bytes=_bytes_of(it[1]))), part))


def squeeze(data: bytes, words: bytes) -> bytes:
    """The bytes, deflated where that is shorter; `words` is what they are likely to contain."""
    deflate = zlib.compressobj(level=1, wbits=-15, zdict=words)
    shorter = deflate.compress(data) + deflate.flush()
    return b"\1" + shorter if len(shorter) < len(data) else b"\0" + data


def expand(data: bytes, words: bytes) -> bytes:
    """The bytes that `squeeze` was given, with the same words."""
    if data[:1] == b"\0":
        return data[1:]
    inflate = zlib.decompressobj(wbits=-15, zdict=words)
    return inflate.decompress(data[1:]) + inflate.flush()


def _translate(text: bytes, old: bytes, new: bytes) -> bytes:
    return text.translate(bytes.maketrans(old, new))


def _bytes_of(packed: str) -> bytes:
    return b64decode(_translate(packed.encode(), _SORTED, _BASE64) + b"==")
