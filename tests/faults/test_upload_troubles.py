"""The official's own token: what comes back is judged before it is used; each trouble ends in its own clear state."""

import pytest
import pytest_asyncio

from tests.paper import pdfsig_valid
from tests.upload_ground import TokenGround

pytestmark = pytest.mark.alone

FORMS = ("values", "prepared", "own")


@pytest_asyncio.fixture
async def ground(province_db, province):
    ground = await TokenGround(province_db, province).with_tokens()
    yield ground
    twice = "SELECT request_id FROM key_use GROUP BY request_id, attempt HAVING count(DISTINCT tbs_sha256) > 1"
    assert await ground.db.admin.fetch(twice) == []
    await ground.close()


async def test_each_form_is_taken_for_signature_and_seal(ground):
    async with ground.api() as api:
        for form in FORMS:
            initials, signatory, seal = await ground.submitted(form)
            assert await ground.sign("kynhay", initials) == ["recorded"]
            for who, request in (("chutich", signatory), ("vanthu", seal)):
                ticket = await ground.signed_by_token(api, who, request, form=form)
                assert await ground.outcomes(ticket) == ["recorded"], (form, who, await ground.details(ticket))
            head = await ground.db.admin.fetchval("SELECT recorded_sha256 FROM signature_request WHERE id = $1", seal)
            assert pdfsig_valid(await ground.blobs.local_path(head)) == 2
