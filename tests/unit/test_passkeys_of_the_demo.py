"""Passkeys in the demonstration: its address is a name that browsers and the signer take."""

import pytest

from api.embedded.demo_settings import browser_url, environments, layout
from api.settings import Address
from api.signatures.engine.passkeys import NotVerified, RelyingParty, verify_registration
from tests.authenticator import Authenticator, unpadded

LISTEN = (Address("127.0.0.1", 8080), Address("127.0.0.1", 8081), Address("127.0.0.1", 8082))


def registered(party: RelyingParty, key: Authenticator) -> bytes:
    made = key.register(b"challenge")
    parts = {name: unpadded(made[name]) for name in ("attestationObject", "clientDataJSON")}
    return verify_registration(
        party,
        attestation_object=parts["attestationObject"],
        client_data=parts["clientDataJSON"],
        challenge=b"challenge",
    ).credential_id


def test_a_passkey_is_made_for_localhost_and_for_its_port_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTCUA_VAR", str(tmp_path))
    told = environments(layout(), lambda role: f"postgresql:///{role}", LISTEN)
    assert {told[name]["MOTCUA_PUBLIC_URL"] for name in ("api", "signer", "worker")} == {"http://localhost:8080"}
    party = RelyingParty.of(told["signer"]["MOTCUA_PUBLIC_URL"])
    assert (party.id, party.origin) == ("localhost", "http://localhost:8080")
    key = Authenticator("http://localhost:8080", "localhost")
    assert registered(party, key) == key.credential_id
    for stranger in (Authenticator("http://localhost:8081", "localhost"), Authenticator(party.origin, "127.0.0.1")):
        with pytest.raises(NotVerified):
            registered(party, stranger)


def test_an_address_that_others_reach_stays_as_it_is():
    assert browser_url(Address("192.0.2.7", 80)) == "http://192.0.2.7:80"
