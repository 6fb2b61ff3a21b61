"""The database: pools, named queries, migrations. The only package besides the stores that touches asyncpg."""
