"""One dossier and a small batch through the whole product for each key holder, with the outside server it needs."""
