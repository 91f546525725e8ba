-- A pair of an ask and a tell by hand writes four pages now, not five: the index that finds a trial by its number does not
-- change when the trial ends, and those at work by hand are in no other.

CREATE TABLE trial_before AS SELECT * FROM trial;
DROP TABLE trial;

CREATE TABLE trial (
    -- One point a study asked for, or was given.
    id            INTEGER PRIMARY KEY,
    uid           TEXT    NOT NULL,
    study_id      INTEGER NOT NULL REFERENCES study (id) ON DELETE CASCADE,
    number        INTEGER NOT NULL CHECK (number >= 0),                         -- of one trial of its study
    config_id     INTEGER REFERENCES config (id) ON DELETE RESTRICT,            -- of its runs; NULL: it has none
    source        TEXT    NOT NULL DEFAULT 'asked' CHECK (source = 'asked' OR source = 'added'), -- added: by a person, not by the strategy
    params        TEXT    NOT NULL CHECK (json_valid(params)),                  -- the searched parameters alone
    state         TEXT    NOT NULL CHECK (state = 'waiting' OR state = 'running' OR state = 'complete' OR state = 'pruned' OR state = 'failed'),
    vals          TEXT    CHECK (vals IS NULL OR json_valid(vals)),                             -- one number an objective, null for NaN
    epochs        INTEGER CHECK (epochs > 0),     -- to reach, counted from its beginning, where the study has epochs
    curve         TEXT    CHECK (curve IS NULL OR json_valid(curve)),                            -- the first objective after each epoch
    seen          INTEGER NOT NULL DEFAULT 0 CHECK (seen >= 0),                 -- so many changes of its study were known when it was asked for
    extra         TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(extra)),
    asked_at_ms   INTEGER NOT NULL,
    asked_by      TEXT,                           -- who asked and took it at once; NULL: it waited first, or was added
    ended_at_ms   INTEGER,
    changed_at_ms INTEGER NOT NULL,
    changed_by    TEXT    NOT NULL DEFAULT '',
    in_queue      INTEGER GENERATED ALWAYS AS (ended_at_ms IS NULL AND (state = 'waiting' OR config_id IS NOT NULL)) VIRTUAL, -- 1: it waits, or jobs do its runs
    CHECK ((state = 'complete' OR state = 'pruned' OR state = 'failed') = (ended_at_ms IS NOT NULL)),
    CHECK (asked_by IS NULL OR source = 'asked')
) STRICT;

-- Jobs did runs of trials that did not say so: points added by hand to a search of `mle run`.
INSERT INTO trial (id, uid, study_id, number, config_id, source, params, state, vals, epochs, curve, seen, extra, asked_at_ms,
                   asked_by, ended_at_ms, changed_at_ms, changed_by)
SELECT id, uid, study_id, number, coalesce(config_id, (SELECT r.config_id FROM run r WHERE r.trial_id = t.id LIMIT 1)), source,
       params, state, vals, epochs, curve, seen, extra, asked_at_ms, asked_by, ended_at_ms, changed_at_ms, changed_by
FROM trial_before t;
DROP TABLE trial_before;

CREATE UNIQUE INDEX trial_by_number ON trial (study_id, number);

-- Serves search.sql: pending_trials, settled_trials, points_to_try, runs_at_work; lifecycle.sql: search_due.
CREATE INDEX trial_in_queue ON trial (study_id, number) WHERE in_queue = 1;

CREATE TRIGGER trial_number_stays BEFORE UPDATE OF study_id, number ON trial
WHEN new.study_id <> old.study_id OR new.number <> old.number BEGIN
    SELECT raise(ABORT, 'a trial keeps its number');
END;

-- The row itself says who asked for it and took it at once, and study_change how it ended or went on.
CREATE TRIGGER trial_added AFTER INSERT ON trial WHEN new.asked_by IS NULL AND new.ended_at_ms IS NULL BEGIN
    INSERT INTO event (at_ms, what, what_id, to_state, who)
    VALUES (new.changed_at_ms, 'trial', new.id, new.state, new.changed_by);
END;

CREATE TRIGGER trial_changed AFTER UPDATE OF state ON trial
WHEN old.state <> new.state AND old.ended_at_ms IS NULL AND new.ended_at_ms IS NULL BEGIN
    INSERT INTO event (at_ms, what, what_id, from_state, to_state, who)
    VALUES (new.changed_at_ms, 'trial', new.id, old.state, new.state, new.changed_by);
END;

CREATE TRIGGER trial_given AFTER INSERT ON trial WHEN new.ended_at_ms IS NOT NULL BEGIN
    INSERT INTO study_change (study_id, seq, number, state, vals, epochs, reached, at_ms, who)
    VALUES (new.study_id, (SELECT coalesce(max(seq), 0) + 1 FROM study_change WHERE study_id = new.study_id),
            new.number, new.state, new.vals, new.epochs, json_array_length(new.curve), new.changed_at_ms, new.changed_by);
END;

CREATE TRIGGER trial_told AFTER UPDATE OF state, vals, epochs, curve ON trial
WHEN new.ended_at_ms IS NOT NULL OR old.ended_at_ms IS NOT NULL BEGIN
    INSERT INTO study_change (study_id, seq, number, state, vals, epochs, reached, from_state, at_ms, who)
    VALUES (new.study_id, (SELECT coalesce(max(seq), 0) + 1 FROM study_change WHERE study_id = new.study_id),
            new.number, new.state, new.vals, new.epochs, json_array_length(new.curve), old.state, new.changed_at_ms,
            new.changed_by);
END;
