CREATE TABLE process (
    -- A program of the user's at work on this file: a script that logs a run, or one that tries the points of a study.
    -- A row goes once nothing is held by it.
    id            INTEGER PRIMARY KEY,
    host          TEXT    NOT NULL,
    pid           INTEGER NOT NULL,
    process_start TEXT    NOT NULL,               -- boot id, pid namespace and start tick: tells a process from a later one of the same pid
    seen_at_ms    INTEGER NOT NULL,               -- heartbeat
    UNIQUE (host, pid, process_start)
) STRICT;

CREATE TABLE held_run (
    -- Who logs a run without a job: it ends with the last of them.
    run_id     INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    process_id INTEGER NOT NULL REFERENCES process (id) ON DELETE CASCADE,
    PRIMARY KEY (run_id, process_id)
) STRICT, WITHOUT ROWID;
-- Serves protocol.sql: runs_held_by.
CREATE INDEX held_run_for_process ON held_run (process_id);

CREATE TABLE held_trial (
    -- Who tries a point that was asked for without a job, and how many did so.
    trial_id   INTEGER PRIMARY KEY REFERENCES trial (id) ON DELETE CASCADE,
    process_id INTEGER NOT NULL REFERENCES process (id) ON DELETE CASCADE,
    take       INTEGER NOT NULL DEFAULT 1 CHECK (take > 0)
) STRICT;
-- Serves search.sql: held_trials.
CREATE INDEX held_trial_for_process ON held_trial (process_id);
