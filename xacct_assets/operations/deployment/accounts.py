"""AWS sessions with deployment rights in both accounts."""

from __future__ import annotations

from xacct_assets.aws.denials import set_permission_hints
from xacct_assets.aws.errors import CredentialsProblem
from xacct_assets.aws.sessions import Sessions
from xacct_assets.iam_hints import grant_hint
from xacct_assets.operations.deployment.plan import Account
from xacct_assets.settings import Settings


class Accounts:
    """Clients with deployment rights in each account.

    Args:
        settings: XACCT_ACCOUNT_A_PROFILE and XACCT_ACCOUNT_B_PROFILE name the AWS profiles; without
            them the default credentials are used for both accounts.
    """

    def __init__(self, settings: Settings) -> None:
        set_permission_hints(grant_hint)
        self._settings = settings
        self.sessions: dict[Account, Sessions] = {
            "a": Sessions(settings.region, settings.account_a_profile),
            "b": Sessions(settings.region, settings.account_b_profile),
        }

    def id_of(self, account: Account) -> str:
        """The account id that the settings name."""
        return self._settings.account_a if account == "a" else self._settings.account_b

    def verify(self, account: Account) -> str:
        """Verify that the credentials are of the account.

        Returns:
            ARN of the principal.

        Raises:
            CredentialsProblem: they are of another account.
        """
        actual, arn = self.sessions[account].identity()
        expected = self.id_of(account)
        if actual != expected:
            variable = f"XACCT_ACCOUNT_{account.upper()}_PROFILE"
            profile = self.sessions[account].profile
            raise CredentialsProblem(
                f"the credentials for account {account.upper()} ({expected}) are of account "
                f"{actual}",
                principal=arn,
                fix=f"set {variable} to an AWS profile of account {expected}"
                + (f" (it is {profile!r} now)" if profile else ""),
            )
        return arn
