"""Work lists (danh sách việc) of officer, signatory, clerk and head of centre: the hot read path."""
