-- An ask by hand writes two pages now, a tell three; both wrote four. What a page costs is most of what they cost.
-- One index instead of two finds a trial by its number and lists those at work: its changes are at one place of a study,
-- where the trials that ended meet those that have not. What the row of a trial and study_change say is no event as well.

CREATE TABLE trial_before AS SELECT * FROM trial;
CREATE TABLE study_change_before AS SELECT * FROM study_change;
DROP TABLE trial;
DROP TABLE study_change;

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
    pending       INTEGER NOT NULL GENERATED ALWAYS AS (ended_at_ms IS NULL) VIRTUAL, -- 1: waiting or running
    CHECK ((state = 'complete' OR state = 'pruned' OR state = 'failed') = (ended_at_ms IS NOT NULL)),
    CHECK (asked_by IS NULL OR source = 'asked')
) STRICT;

CREATE TABLE study_change (
    -- What a study's strategy knew, in order: how trials ended or went on, and what the study was made of from then on.
    -- A proposal follows from the trials numbered below its own and the changes up to its `seen`. Append only.
    study_id   INTEGER NOT NULL REFERENCES study (id) ON DELETE CASCADE,
    seq        INTEGER NOT NULL CHECK (seq > 0),
    number     INTEGER,                           -- of the trial; NULL: the study itself
    state      TEXT    CHECK (state = 'waiting' OR state = 'running' OR state = 'complete' OR state = 'pruned' OR state = 'failed'), -- waiting, running: it goes on
    vals       TEXT    CHECK (vals IS NULL OR json_valid(vals)),
    epochs     INTEGER,                           -- to reach
    reached    INTEGER,                           -- so much of the trial's curve was known
    setup      TEXT    CHECK (setup IS NULL OR json_valid(setup)),
    from_state TEXT,                              -- NULL: the trial came with its value
    at_ms      INTEGER,                           -- NULL: of an older file, whose events have it
    who        TEXT,
    PRIMARY KEY (study_id, seq),
    CHECK ((number IS NULL) = (setup IS NOT NULL) AND (number IS NULL) = (state IS NULL))
) STRICT, WITHOUT ROWID;

INSERT INTO trial (id, uid, study_id, number, config_id, source, params, state, vals, epochs, curve, seen, extra, asked_at_ms,
                   ended_at_ms, changed_at_ms, changed_by)
SELECT id, uid, study_id, number, config_id, source, params, state, vals, epochs, curve, seen, extra, asked_at_ms,
       ended_at_ms, changed_at_ms, changed_by FROM trial_before;
INSERT INTO study_change (study_id, seq, number, state, vals, epochs, reached, setup)
SELECT study_id, seq, number, state, vals, epochs, reached, setup FROM study_change_before;
DROP TABLE trial_before;
DROP TABLE study_change_before;

CREATE UNIQUE INDEX trial_by_number ON trial (study_id, pending, number);

-- The index refuses a number twice among those that ended, and among those that have not.
CREATE TRIGGER trial_number_is_free BEFORE INSERT ON trial
WHEN EXISTS (SELECT 1 FROM trial
             WHERE study_id = new.study_id AND pending = (new.ended_at_ms IS NOT NULL) AND number = new.number) BEGIN
    SELECT raise(ABORT, 'the study has a trial of this number');
END;

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

CREATE TRIGGER study_change_is_append_only BEFORE UPDATE ON study_change BEGIN
    SELECT raise(ABORT, 'what a strategy knew is append-only');
END;
