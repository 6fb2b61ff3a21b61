"""The demo province as data files, and the laying of it into an empty database."""

from api.embedded.province.data import certificates_wanted
from api.embedded.province.laying import Accounts, DemoAccount, lay_province, new_accounts

__all__ = ["Accounts", "DemoAccount", "certificates_wanted", "lay_province", "new_accounts"]
