"""The demo province as tests and the demonstration get it."""


async def test_the_province_stands_in_every_copy(province_db, province):
    agencies = await province_db.admin.fetchval(
        "SELECT count(*) FROM agency WHERE kind = 'commune' AND valid_to IS NULL"
    )
    assert agencies == 99
    assert len(province.accounts.accounts) > 80
