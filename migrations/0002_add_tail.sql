CREATE TABLE tail (
    -- Updates of loggers that commit each one by itself, until they stand among the points: within 50 ms, or when a
    -- program of ours opens the file that such a logger was killed on. Usually empty.
    id      INTEGER PRIMARY KEY,                  -- they were logged in this order
    run_id  INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL CHECK (attempt >= 0),
    step    INTEGER,                              -- NULL: one after the update before
    at_ms   INTEGER NOT NULL,
    clock   TEXT,                                 -- JSON, places on axes by metric
    stats   TEXT    NOT NULL                      -- JSON, numbers by metric; null is NaN, "inf" and "-inf" are text
) STRICT;
