"""Log-in with the temporary passwords of GetCredentials, of which a user may have several.

PostgreSQL keeps one password of a user and sends the client its challenge. If the client's answer
fits a temporary password that is valid, PostgreSQL gets the answer that fits its own. Any other
answer is passed on, and PostgreSQL refuses it as it refuses a wrong password.
"""

from __future__ import annotations

import hashlib
import hmac

from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.system_catalog import SystemCatalog

_PREFIXES = ("IAM:", "IAMR:")


def is_iam_user(user: str) -> bool:
    """Whether a user is an IAM identity, who may have temporary passwords."""
    return user.startswith(_PREFIXES)


async def answer_for_database(
    catalog: SystemCatalog, user: str, salt: bytes, message: bytes
) -> bytes:
    """What PostgreSQL gets for a client's password message.

    Args:
        salt: of PostgreSQL's challenge.
        message: the client's whole message.
    """
    name = lexer.quote_literal(user)
    found = await catalog.query(
        "SELECT t.digest, a.rolpassword FROM sandbox_internal.temporary_passwords AS t"  # noqa: S608
        " JOIN pg_catalog.pg_authid AS a ON a.rolname = t.user_name"
        f" WHERE t.user_name = {name} AND t.valid_until > pg_catalog.now()"
    )
    given = message[5:].rstrip(b"\x00")
    for digest, own in found.rows:
        if digest and own and hmac.compare_digest(given, _answer(digest, salt)):
            return protocol.message(b"p", _answer(own, salt) + b"\x00")
    return message


def _answer(digest: str, salt: bytes) -> bytes:
    """The answer to AuthenticationMD5Password of who knows a password with this digest."""
    outer = hashlib.md5(digest.removeprefix("md5").encode() + salt, usedforsecurity=False)
    return b"md5" + outer.hexdigest().encode()
