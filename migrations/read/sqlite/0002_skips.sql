-- How many of the events that a projection has passed the log had told it to skip by then: fewer than it was told, and
-- its tables show an event that was skipped later.
ALTER TABLE checkpoints ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;
