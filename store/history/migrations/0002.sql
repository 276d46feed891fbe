ALTER TABLE requests ADD COLUMN credential TEXT /* name of what admitted the caller; NULL none was asked for */;
