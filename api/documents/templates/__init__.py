"""The templates, and the data each of them takes: checked when a draft is ordered, printed as data, never as markup."""
