"""Agencies, persons, accounts, posts, mandates, certificates, procedures, competence, calendar."""
