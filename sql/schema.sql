-- The schema of a file: all migrations and the views. Written by `UPDATE=1 cargo test texts_are_sound`.

CREATE TABLE setting (
    -- Facts about this file.
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE blob (
    -- Bytes by content, stored once; the bytes are in blob_chunk.
    id         INTEGER PRIMARY KEY,
    hash       TEXT    NOT NULL UNIQUE,           -- BLAKE3, hex
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    codec      TEXT    NOT NULL CHECK (codec IN ('raw', 'zstd'))
) STRICT;

CREATE TABLE blob_chunk (
    -- Up to 1 MiB of a blob; with codec zstd each chunk is a frame of its own.
    blob_id INTEGER NOT NULL REFERENCES blob (id) ON DELETE CASCADE,
    seq     INTEGER NOT NULL CHECK (seq >= 0),
    bytes   BLOB    NOT NULL,
    PRIMARY KEY (blob_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE experiment (
    -- A purpose under one code version: the protocol's entry.
    id            INTEGER PRIMARY KEY,
    uid           TEXT    NOT NULL,
    name          TEXT    NOT NULL CHECK (name <> ''),
    purpose       TEXT    NOT NULL DEFAULT '',
    project       TEXT    NOT NULL DEFAULT 'default',
    kind          TEXT    NOT NULL CHECK (kind = 'command' OR kind = 'single-config' OR kind = 'multiple-configs' OR kind = 'hyperparameter-search' OR kind = 'log'),
    state         TEXT    NOT NULL CHECK (state = 'planned' OR state = 'running' OR state = 'complete' OR state = 'failed' OR state = 'cancelled' OR state = 'paused'),
    plan          TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(plan)),       -- the checked spec
    spec_text     TEXT,                           -- the spec as the user wrote it
    spec_name     TEXT,                           -- its file name
    planned       INTEGER NOT NULL DEFAULT 0 CHECK (planned IN (0, 1)),         -- 1 once the scheduler made its runs or its study
    command_line  TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(command_line)),
    cwd           TEXT    NOT NULL DEFAULT '',
    host          TEXT    NOT NULL DEFAULT '',
    user_name     TEXT    NOT NULL DEFAULT '',
    git_commit    TEXT,
    git_branch    TEXT,
    git_dirty     INTEGER CHECK (git_dirty IN (0, 1)),
    git_diff_blob INTEGER REFERENCES blob (id) ON DELETE SET NULL,
    script_name   TEXT,
    script_hash   TEXT,                           -- BLAKE3 of the script, hex
    script_blob   INTEGER REFERENCES blob (id) ON DELETE SET NULL,
    environment   TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(environment)), -- versions, and variables of an allow-list
    extra         TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(extra)),
    error         TEXT,
    created_at_ms INTEGER NOT NULL,
    started_at_ms INTEGER,
    ended_at_ms   INTEGER,
    deleted_at_ms INTEGER,                        -- soft: `mle protocol undelete`
    changed_at_ms INTEGER NOT NULL,
    changed_by    TEXT    NOT NULL DEFAULT '',
    CHECK ((state = 'complete' OR state = 'failed' OR state = 'cancelled') = (ended_at_ms IS NOT NULL)),
    CHECK (state <> 'running' OR started_at_ms IS NOT NULL)
) STRICT;

CREATE INDEX experiment_open ON experiment (id) WHERE ended_at_ms IS NULL;

CREATE UNIQUE INDEX experiment_for_uid ON experiment (uid) WHERE ended_at_ms IS NOT NULL;

CREATE INDEX experiment_ended ON experiment (state, id) WHERE state IN ('complete', 'failed', 'cancelled');

CREATE INDEX experiment_for_project ON experiment (project, id) WHERE project <> 'default' AND ended_at_ms IS NOT NULL;

CREATE INDEX experiment_for_kind ON experiment (kind, id) WHERE kind <> 'single-config' AND ended_at_ms IS NOT NULL;

CREATE INDEX experiment_deleted ON experiment (id) WHERE deleted_at_ms IS NOT NULL;

CREATE INDEX experiment_for_name ON experiment (name, id) WHERE ended_at_ms IS NOT NULL;

CREATE INDEX experiment_for_diff ON experiment (git_diff_blob) WHERE git_diff_blob IS NOT NULL;

CREATE INDEX experiment_for_script ON experiment (script_blob) WHERE script_blob IS NOT NULL;

CREATE TABLE tag (
    experiment_id INTEGER NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
    name          TEXT    NOT NULL CHECK (name <> ''),
    PRIMARY KEY (experiment_id, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX tag_for_list ON tag (name, experiment_id);

CREATE TABLE note (
    id            INTEGER PRIMARY KEY,
    experiment_id INTEGER NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
    text          TEXT    NOT NULL,
    at_ms         INTEGER NOT NULL,
    user_name     TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX note_for_experiment ON note (experiment_id, id);

CREATE TABLE objective (
    -- What an experiment's runs are valued by; position 0 is the one lists are ordered by.
    experiment_id INTEGER NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
    position      INTEGER NOT NULL CHECK (position >= 0),
    metric        TEXT    NOT NULL,
    goal          TEXT    NOT NULL CHECK (goal IN ('min', 'max')),
    value_from    TEXT    NOT NULL CHECK (value_from = 'last' OR value_from = 'best' OR value_from = 'mean'),
    aggregate     TEXT    NOT NULL DEFAULT 'mean' CHECK (aggregate = 'mean' OR aggregate = 'p10' OR aggregate = 'p25' OR aggregate = 'p50' OR aggregate = 'p75' OR aggregate = 'p90'), -- over seeds
    PRIMARY KEY (experiment_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE config (
    -- All inputs of a run except the seed; immutable, found by content.
    id     INTEGER PRIMARY KEY,
    hash   TEXT    NOT NULL UNIQUE,               -- BLAKE3 of the canonical JSON, hex
    params TEXT    NOT NULL CHECK (json_valid(params))
) STRICT;

CREATE TABLE study (
    -- An adaptive search of an experiment. What its strategy was told, and each version of what it was made of, is in study_change.
    id            INTEGER PRIMARY KEY,
    uid           TEXT    NOT NULL,
    experiment_id INTEGER NOT NULL UNIQUE REFERENCES experiment (id) ON DELETE CASCADE,
    state         TEXT    NOT NULL CHECK (state = 'open' OR state = 'paused' OR state = 'exhausted' OR state = 'closed'), -- paused, exhausted: asks no more, trials may run
    strategy      TEXT    NOT NULL,
    settings      TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(settings)),
    space         TEXT    NOT NULL CHECK (json_valid(space)),
    constraints   TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(constraints)), -- expressions that each proposal meets
    targets       TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(targets)),    -- parameter -> key path in the config
    base          TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(base)),       -- config merged under each proposal
    seeds         TEXT    NOT NULL CHECK (json_valid(seeds)),                   -- each trial runs once with each
    seed          INTEGER NOT NULL,               -- of the strategy's random stream
    trial_max     INTEGER CHECK (trial_max > 0),  -- so many are asked for; NULL: until the space is exhausted
    trial_ahead   INTEGER NOT NULL DEFAULT 4 CHECK (trial_ahead > 0),           -- trials waiting or running at once
    epoch_max     INTEGER CHECK (epoch_max > 0),  -- the most a trial can train; NULL: trials have no epochs
    epoch_budget  INTEGER CHECK (epoch_budget > 0), -- of all trials together
    stop          TEXT    CHECK (stop IS NULL OR json_valid(stop)), -- the rule that ends trials at work: its name and settings
    changed_at_ms INTEGER NOT NULL,
    changed_by    TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX study_open ON study (id) WHERE state <> 'closed';

CREATE TABLE run (
    -- One execution of one config with one seed; owns metrics and artifacts.
    id            INTEGER PRIMARY KEY,
    uid           TEXT    NOT NULL,
    experiment_id INTEGER NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
    config_id     INTEGER NOT NULL REFERENCES config (id) ON DELETE RESTRICT,
    trial_id      INTEGER REFERENCES trial (id) ON DELETE CASCADE,
    name          TEXT    NOT NULL DEFAULT '',    -- of its config: a file's stem, or a trial's number
    seed          INTEGER NOT NULL,
    state         TEXT    NOT NULL CHECK (state = 'waiting' OR state = 'running' OR state = 'complete' OR state = 'failed' OR state = 'cancelled' OR state = 'pruned'),
    value         REAL,                           -- of objective 0; NULL in a complete run means NaN
    error         TEXT,
    epochs        INTEGER CHECK (epochs > 0),     -- to reach, counted from the beginning of its trial; NULL: it has none
    epochs_before INTEGER NOT NULL DEFAULT 0 CHECK (epochs_before >= 0),        -- which it does not train
    from_run_id   INTEGER REFERENCES run (id) ON DELETE SET NULL,               -- whose checkpoint it starts from
    extra         TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(extra)),      -- laid on its config: epochs, counters
    prune_why     TEXT,                           -- why it is to stop, or stopped, before its end
    created_at_ms INTEGER NOT NULL,
    started_at_ms INTEGER,
    ended_at_ms   INTEGER,
    changed_at_ms INTEGER NOT NULL,
    changed_by    TEXT    NOT NULL DEFAULT '',
    CHECK ((state = 'complete' OR state = 'failed' OR state = 'cancelled' OR state = 'pruned') = (ended_at_ms IS NOT NULL))
) STRICT;

CREATE INDEX run_for_from ON run (from_run_id) WHERE from_run_id IS NOT NULL;

CREATE INDEX run_for_experiment ON run (experiment_id, config_id);

CREATE INDEX run_for_trial ON run (trial_id) WHERE trial_id IS NOT NULL;

CREATE INDEX run_for_best ON run (experiment_id, value) WHERE value IS NOT NULL;

CREATE TABLE run_count (
    -- How many runs of an experiment are in a state; triggers keep it, so that a list costs the same with any number of runs.
    experiment_id INTEGER NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
    state         TEXT    NOT NULL,
    n             INTEGER NOT NULL CHECK (n >= 0),
    PRIMARY KEY (experiment_id, state)
) STRICT, WITHOUT ROWID;

CREATE TABLE score (
    -- A config's value over its seeds, kept by whoever ends a run: SQL alone has no square root and no bootstrap.
    experiment_id INTEGER NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
    config_id     INTEGER NOT NULL REFERENCES config (id) ON DELETE CASCADE,
    n             INTEGER NOT NULL CHECK (n >= 0),         -- seeds with a finite value
    failed        INTEGER NOT NULL CHECK (failed >= 0),    -- seeds that ended without one
    mean          REAL,
    std           REAL,                           -- population, as numpy's default
    low95         REAL,                           -- bootstrap over seeds, percentile method
    high95        REAL,
    iqm           REAL,                           -- mean of the middle half
    median        REAL,
    late          INTEGER NOT NULL DEFAULT 0 CHECK (late >= 0),                 -- ends since, which it does not know yet
    PRIMARY KEY (experiment_id, config_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX score_for_rank ON score (experiment_id, mean);

CREATE INDEX score_late ON score (experiment_id, config_id) WHERE late > 0;

CREATE TABLE worker (
    -- A process that leases jobs, or another of the programs at work on this file.
    id            INTEGER PRIMARY KEY,
    uid           TEXT    NOT NULL UNIQUE,
    kind          TEXT    NOT NULL CHECK (kind = 'worker' OR kind = 'scheduler' OR kind = 'searcher' OR kind = 'reporter' OR kind = 'run'),
    state         TEXT    NOT NULL CHECK (state = 'live' OR state = 'stopped' OR state = 'lost'),
    host          TEXT    NOT NULL,
    pid           INTEGER NOT NULL,
    process_start TEXT    NOT NULL,               -- boot id, pid namespace and start tick: tells a process from a later one of the same pid
    slots         INTEGER NOT NULL DEFAULT 0,
    cores         INTEGER NOT NULL DEFAULT 0,
    gpus          INTEGER NOT NULL DEFAULT 0,
    memory_mib    INTEGER NOT NULL DEFAULT 0,
    started_at_ms INTEGER NOT NULL,
    seen_at_ms    INTEGER NOT NULL,               -- heartbeat
    ended_at_ms   INTEGER,
    CHECK ((state = 'live') = (ended_at_ms IS NULL))
) STRICT;

CREATE INDEX worker_live ON worker (host) WHERE state = 'live';

CREATE TABLE job (
    -- One request for work; a worker leases it, one attempt at a time. A job is open while ended_at_ms is NULL. Words are
    -- compared one by one: SQLite builds a table for each IN list of each row it checks, a third of what a job costs.
    id             INTEGER PRIMARY KEY,
    uid            TEXT    NOT NULL,
    experiment_id  INTEGER REFERENCES experiment (id) ON DELETE CASCADE,
    run_id         INTEGER REFERENCES run (id) ON DELETE CASCADE,
    stage          TEXT    NOT NULL DEFAULT 'main' CHECK (stage = 'before' OR stage = 'main' OR stage = 'after'),
    state          TEXT    NOT NULL CHECK (state = 'waiting' OR state = 'queued' OR state = 'running' OR state = 'succeeded'
                                             OR state = 'failed' OR state = 'cancelled'),
    command        TEXT    NOT NULL CHECK (json_valid(command)),                -- words, never given to a shell
    settings       TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(settings)),  -- cwd, env, activate, grace …
    priority       INTEGER NOT NULL DEFAULT 0,    -- larger goes first
    cores          INTEGER NOT NULL DEFAULT 1 CHECK (cores >= 0),
    gpus           INTEGER NOT NULL DEFAULT 0 CHECK (gpus >= 0),
    memory_mib     INTEGER NOT NULL DEFAULT 0 CHECK (memory_mib >= 0),          -- 0: not limited
    time_limit_ms  INTEGER CHECK (time_limit_ms > 0),
    attempt        INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),             -- the fence: counts claims
    failures       INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),            -- tries spent; a preemption spends none
    try_max        INTEGER NOT NULL DEFAULT 1 CHECK (try_max >= 1),
    unique_key     TEXT,
    worker_id      INTEGER REFERENCES worker (id) ON DELETE RESTRICT DEFERRABLE INITIALLY DEFERRED, -- who holds or last held it; see claim_job
    lease_until_ms INTEGER,
    due_at_ms      INTEGER,                       -- waiting on a time
    needs          INTEGER NOT NULL DEFAULT 0 CHECK (needs >= 0),               -- waiting on so many jobs
    held           INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),           -- waiting on `mle resume`
    cancel_wanted  INTEGER NOT NULL DEFAULT 0 CHECK (cancel_wanted IN (0, 1)),
    error          TEXT,
    created_at_ms  INTEGER NOT NULL,
    ended_at_ms    INTEGER,
    changed_at_ms  INTEGER NOT NULL,
    changed_by     TEXT    NOT NULL DEFAULT '',
    CHECK ((state = 'running') = (lease_until_ms IS NOT NULL)),
    CHECK (state <> 'running' OR worker_id IS NOT NULL),
    CHECK ((state = 'succeeded' OR state = 'failed' OR state = 'cancelled') = (ended_at_ms IS NOT NULL)),
    CHECK ((state = 'waiting') = (needs > 0 OR held = 1 OR due_at_ms IS NOT NULL))
) STRICT;

CREATE INDEX job_for_claim ON job (priority DESC, id, cores, gpus, memory_mib) WHERE state = 'queued';

CREATE INDEX job_leased ON job (lease_until_ms, worker_id) WHERE state = 'running';

CREATE INDEX job_due ON job (due_at_ms) WHERE state = 'waiting' AND needs = 0 AND held = 0;

CREATE INDEX job_open ON job (experiment_id) WHERE experiment_id IS NOT NULL AND ended_at_ms IS NULL;

CREATE INDEX job_for_experiment ON job (experiment_id) WHERE experiment_id IS NOT NULL;

CREATE INDEX job_beside ON job (experiment_id, id) WHERE stage <> 'main';

CREATE INDEX job_for_run ON job (run_id) WHERE run_id IS NOT NULL;

CREATE UNIQUE INDEX job_unique_key ON job (unique_key)
    WHERE unique_key IS NOT NULL AND ended_at_ms IS NULL;

CREATE TABLE job_need (
    -- `job_id` waits until `needs_job_id` ended; with only_success it is cancelled when that one did not succeed.
    -- open: it is waited for (job.needs counts these); met: no longer; failed: `job_id` was cancelled with it.
    needs_job_id INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    job_id       INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    only_success INTEGER NOT NULL DEFAULT 1 CHECK (only_success IN (0, 1)),
    state        TEXT    NOT NULL CHECK (state IN ('open', 'met', 'failed')),
    PRIMARY KEY (needs_job_id, job_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_need_of ON job_need (job_id);

CREATE TABLE attempt (
    -- One try at a job.
    job_id          INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    number          INTEGER NOT NULL CHECK (number >= 1),
    worker_id       INTEGER NOT NULL REFERENCES worker (id) ON DELETE RESTRICT,
    state           TEXT    NOT NULL CHECK (state = 'running' OR state = 'succeeded' OR state = 'failed' OR state = 'cancelled'
                                              OR state = 'preempted' OR state = 'lost'),
    claimed_at_ms   INTEGER NOT NULL,
    started_at_ms   INTEGER,                      -- NULL: claimed, never started
    ended_at_ms     INTEGER,
    pid             INTEGER,
    exit_code       INTEGER,
    signal          INTEGER,
    error           TEXT,
    user_ms         INTEGER,                      -- CPU of the job and what it waited for
    system_ms       INTEGER,
    memory_peak_kib INTEGER,
    stdout_bytes    INTEGER NOT NULL DEFAULT 0,   -- written by the job; kept is a head and a tail
    stderr_bytes    INTEGER NOT NULL DEFAULT 0,
    resume_artifact INTEGER,                      -- the checkpoint it was offered
    PRIMARY KEY (job_id, number),
    CHECK ((state = 'running') = (ended_at_ms IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE output (
    -- What an attempt printed, in pieces; a gap between pieces is where the middle was dropped.
    job_id  INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    stream  TEXT    NOT NULL CHECK (stream IN ('stdout', 'stderr')),
    offset  INTEGER NOT NULL CHECK (offset >= 0), -- in bytes, from the start of the stream
    at_ms   INTEGER NOT NULL,
    bytes   BLOB    NOT NULL,                     -- as written: any encoding, control codes and all
    PRIMARY KEY (job_id, attempt, stream, offset)
) STRICT, WITHOUT ROWID;

CREATE TABLE metric (
    -- A name points are logged under.
    id   INTEGER PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE CHECK (name <> '')
) STRICT;

CREATE TABLE stream (
    -- What one attempt logged for a run. `visible_to_step` cuts it off where a later attempt took over.
    id              INTEGER PRIMARY KEY,
    run_id          INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    attempt         INTEGER NOT NULL CHECK (attempt >= 0),        -- 0: logged without a job
    origin_ms       INTEGER NOT NULL,             -- ticks count from here
    n               INTEGER NOT NULL DEFAULT 0,   -- ticks
    step_first      INTEGER NOT NULL DEFAULT 0,
    step_last       INTEGER NOT NULL DEFAULT 0,
    step_stride     INTEGER,                      -- step of tick i is step_first + i * step_stride; NULL: irregular, see tick
    visible_to_step INTEGER,                      -- NULL: all of it; very small: none of it
    UNIQUE (run_id, attempt)
) STRICT;

CREATE TABLE tick (
    -- One update of a stream: its place on the step axis and in time.
    stream_id  INTEGER NOT NULL REFERENCES stream (id) ON DELETE CASCADE,
    seq        INTEGER NOT NULL,                  -- from 0
    step       INTEGER NOT NULL,
    elapsed_ms INTEGER NOT NULL,                  -- since the stream's origin
    PRIMARY KEY (stream_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE series (
    -- A metric of a run, with what lists need to know of it. NaN points count in n and nan only.
    id        INTEGER PRIMARY KEY,
    run_id    INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    metric_id INTEGER NOT NULL REFERENCES metric (id) ON DELETE RESTRICT,
    kind      TEXT    NOT NULL CHECK (kind = 'scalar' OR kind = 'clock' OR kind = 'vector' OR kind = 'text'),
    n         INTEGER NOT NULL DEFAULT 0,
    nan       INTEGER NOT NULL DEFAULT 0,
    first     REAL,
    last      REAL,
    last_step INTEGER,
    min       REAL,
    max       REAL,
    sum       REAL    NOT NULL DEFAULT 0,         -- of the points that are numbers
    UNIQUE (run_id, metric_id)
) STRICT;

CREATE INDEX series_for_best ON series (metric_id, last);

CREATE TABLE bucket (
    -- 1,024 consecutive ticks of a series; its points have the ids from id * 1024 to id * 1024 + 1023.
    id        INTEGER PRIMARY KEY,
    series_id INTEGER NOT NULL REFERENCES series (id) ON DELETE CASCADE,
    stream_id INTEGER NOT NULL REFERENCES stream (id) ON DELETE CASCADE,
    page      INTEGER NOT NULL,                   -- seq / 1024
    n         INTEGER NOT NULL DEFAULT 0,
    min       REAL,
    max       REAL,
    sum       REAL    NOT NULL DEFAULT 0,
    UNIQUE (series_id, stream_id, page)
) STRICT;

CREATE INDEX bucket_for_stream ON bucket (stream_id);

CREATE TABLE point (
    -- One value. Bucket = id / 1024, tick seq = page * 1024 + id % 1024. NULL means NaN. The view points joins it all.
    id    INTEGER PRIMARY KEY,
    value REAL
) STRICT;

CREATE TRIGGER bucket_removed AFTER DELETE ON bucket BEGIN
    DELETE FROM point WHERE id BETWEEN old.id * 1024 AND old.id * 1024 + 1023;
END;

CREATE TABLE vector_point (
    series_id INTEGER NOT NULL REFERENCES series (id) ON DELETE CASCADE,
    stream_id INTEGER NOT NULL REFERENCES stream (id) ON DELETE CASCADE,
    seq       INTEGER NOT NULL,
    value     TEXT    NOT NULL CHECK (json_valid(value)),       -- nested arrays; null is NaN, "inf" and "-inf" are text
    PRIMARY KEY (series_id, stream_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE text_point (
    series_id INTEGER NOT NULL REFERENCES series (id) ON DELETE CASCADE,
    stream_id INTEGER NOT NULL REFERENCES stream (id) ON DELETE CASCADE,
    seq       INTEGER NOT NULL,
    value     TEXT    NOT NULL,
    PRIMARY KEY (series_id, stream_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifact (
    -- Named bytes of a run or of an experiment.
    id            INTEGER PRIMARY KEY,
    uid           TEXT    NOT NULL,
    experiment_id INTEGER REFERENCES experiment (id) ON DELETE CASCADE,
    run_id        INTEGER REFERENCES run (id) ON DELETE CASCADE,
    attempt       INTEGER,
    name          TEXT    NOT NULL CHECK (name <> ''),
    kind          TEXT    NOT NULL CHECK (kind = 'file' OR kind = 'figure' OR kind = 'checkpoint' OR kind = 'extra' OR kind = 'report' OR kind = 'code' OR kind = 'config'),
    role          TEXT    CHECK (role = 'init' OR role = 'final' OR role = 'every_k' OR role = 'top_k'),        -- of a checkpoint
    step          INTEGER,
    value         REAL,                           -- the metric a top_k checkpoint is kept for
    blob_id       INTEGER REFERENCES blob (id) ON DELETE RESTRICT,
    path          TEXT,                           -- where the bytes are when they are too large for the file
    size_bytes    INTEGER NOT NULL,
    hash          TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL,
    CHECK ((blob_id IS NULL) <> (path IS NULL)),
    CHECK (experiment_id IS NOT NULL OR run_id IS NOT NULL)
) STRICT;

CREATE INDEX artifact_for_run ON artifact (run_id, kind, id) WHERE run_id IS NOT NULL;

CREATE INDEX artifact_for_experiment ON artifact (experiment_id, kind, id) WHERE experiment_id IS NOT NULL;

CREATE INDEX artifact_for_name ON artifact (name, id);

CREATE INDEX artifact_for_blob ON artifact (blob_id) WHERE blob_id IS NOT NULL;

CREATE TABLE event (
    -- Every change of state: append only.
    id         INTEGER PRIMARY KEY,
    at_ms      INTEGER NOT NULL,
    what       TEXT    NOT NULL,                  -- experiment, study, trial, run, job
    what_id    INTEGER NOT NULL,
    from_state TEXT,                              -- NULL: created
    to_state   TEXT    NOT NULL,
    who        TEXT    NOT NULL,
    detail     TEXT
) STRICT;

CREATE TRIGGER event_is_append_only BEFORE UPDATE ON event BEGIN
    SELECT raise(ABORT, 'events are append-only');
END;

CREATE TRIGGER experiment_added AFTER INSERT ON experiment BEGIN
    INSERT INTO event (at_ms, what, what_id, to_state, who)
    VALUES (new.changed_at_ms, 'experiment', new.id, new.state, new.changed_by);
END;

CREATE TRIGGER experiment_changed AFTER UPDATE OF state ON experiment WHEN old.state <> new.state BEGIN
    INSERT INTO event (at_ms, what, what_id, from_state, to_state, who, detail)
    VALUES (new.changed_at_ms, 'experiment', new.id, old.state, new.state, new.changed_by, new.error);
END;

CREATE TRIGGER study_added AFTER INSERT ON study BEGIN
    INSERT INTO event (at_ms, what, what_id, to_state, who)
    VALUES (new.changed_at_ms, 'study', new.id, new.state, new.changed_by);
END;

CREATE TRIGGER study_changed AFTER UPDATE OF state ON study WHEN old.state <> new.state BEGIN
    INSERT INTO event (at_ms, what, what_id, from_state, to_state, who)
    VALUES (new.changed_at_ms, 'study', new.id, old.state, new.state, new.changed_by);
END;

CREATE TRIGGER study_made AFTER INSERT ON study BEGIN
    INSERT INTO study_change (study_id, seq, setup)
    VALUES (new.id, (SELECT coalesce(max(seq), 0) + 1 FROM study_change WHERE study_id = new.id),
            json_object('strategy', new.strategy, 'settings', json(new.settings), 'space', json(new.space), 'constraints', json(new.constraints),
                        'seed', new.seed, 'trials', new.trial_max, 'workers', new.trial_ahead, 'epochs', new.epoch_max,
                        'epoch_budget', new.epoch_budget, 'goals', json((SELECT json_group_array(o.goal) FROM
                            (SELECT goal FROM objective WHERE experiment_id = new.experiment_id ORDER BY position) o))));
END;

CREATE TRIGGER study_edited
AFTER UPDATE OF strategy, settings, space, constraints, seed, trial_max, trial_ahead, epoch_max, epoch_budget ON study BEGIN
    INSERT INTO study_change (study_id, seq, setup)
    VALUES (new.id, (SELECT coalesce(max(seq), 0) + 1 FROM study_change WHERE study_id = new.id),
            json_object('strategy', new.strategy, 'settings', json(new.settings), 'space', json(new.space), 'constraints', json(new.constraints),
                        'seed', new.seed, 'trials', new.trial_max, 'workers', new.trial_ahead, 'epochs', new.epoch_max,
                        'epoch_budget', new.epoch_budget, 'goals', json((SELECT json_group_array(o.goal) FROM
                            (SELECT goal FROM objective WHERE experiment_id = new.experiment_id ORDER BY position) o))));
END;

CREATE TRIGGER run_added AFTER INSERT ON run BEGIN
    INSERT INTO event (at_ms, what, what_id, to_state, who)
    VALUES (new.changed_at_ms, 'run', new.id, new.state, new.changed_by);
    INSERT INTO run_count (experiment_id, state, n) VALUES (new.experiment_id, new.state, 1)
    ON CONFLICT (experiment_id, state) DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER run_changed AFTER UPDATE OF state ON run WHEN old.state <> new.state BEGIN
    INSERT INTO event (at_ms, what, what_id, from_state, to_state, who, detail)
    VALUES (new.changed_at_ms, 'run', new.id, old.state, new.state, new.changed_by, new.error);
    UPDATE run_count SET n = n - 1 WHERE experiment_id = old.experiment_id AND state = old.state;
    INSERT INTO run_count (experiment_id, state, n) VALUES (new.experiment_id, new.state, 1)
    ON CONFLICT (experiment_id, state) DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER run_removed AFTER DELETE ON run BEGIN
    UPDATE run_count SET n = n - 1 WHERE experiment_id = old.experiment_id AND state = old.state;
END;

CREATE TRIGGER job_added AFTER INSERT ON job BEGIN
    INSERT INTO event (at_ms, what, what_id, to_state, who)
    VALUES (new.changed_at_ms, 'job', new.id, new.state, new.changed_by);
END;

CREATE TRIGGER job_changed AFTER UPDATE OF state ON job WHEN old.state <> new.state BEGIN
    INSERT INTO event (at_ms, what, what_id, from_state, to_state, who, detail)
    VALUES (new.changed_at_ms, 'job', new.id, old.state, new.state, new.changed_by, new.error);
END;

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

CREATE TRIGGER study_change_is_append_only BEFORE UPDATE ON study_change BEGIN
    SELECT raise(ABORT, 'what a strategy knew is append-only');
END;

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

CREATE INDEX held_run_for_process ON held_run (process_id);

CREATE TABLE held_trial (
    -- Who tries a point that was asked for without a job, and how many did so.
    trial_id   INTEGER PRIMARY KEY REFERENCES trial (id) ON DELETE CASCADE,
    process_id INTEGER NOT NULL REFERENCES process (id) ON DELETE CASCADE,
    take       INTEGER NOT NULL DEFAULT 1 CHECK (take > 0)
) STRICT;

CREATE INDEX held_trial_for_process ON held_trial (process_id);

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

CREATE UNIQUE INDEX trial_by_number ON trial (study_id, number);

CREATE INDEX trial_in_queue ON trial (study_id, number) WHERE in_queue = 1;

CREATE TRIGGER trial_number_stays BEFORE UPDATE OF study_id, number ON trial
WHEN new.study_id <> old.study_id OR new.number <> old.number BEGIN
    SELECT raise(ABORT, 'a trial keeps its number');
END;

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

CREATE VIEW experiments AS
-- One row an experiment: what was done, why, with which code, and how far it is.
SELECT e.id, e.uid, e.name, e.purpose, e.project, e.kind, e.state,
       (SELECT coalesce(sum(n.n), 0) FROM run_count n WHERE n.experiment_id = e.id) AS runs,
       (SELECT coalesce(sum(n.n), 0) FROM run_count n WHERE n.experiment_id = e.id AND n.state = 'complete') AS runs_complete,
       (SELECT coalesce(sum(n.n), 0) FROM run_count n WHERE n.experiment_id = e.id AND n.state = 'failed') AS runs_failed,
       (SELECT coalesce(sum(n.n), 0) FROM run_count n WHERE n.experiment_id = e.id AND n.state = 'pruned') AS runs_pruned,
       o.metric, o.goal,
       CASE WHEN e.kind = 'log' AND EXISTS (SELECT 1 FROM study s WHERE s.experiment_id = e.id)
            THEN (SELECT CASE o.goal WHEN 'max' THEN max(v.value) ELSE min(v.value) END
                  FROM (SELECT CASE json_extract(t.vals, '$[0]') WHEN 'inf' THEN 9e999 WHEN '-inf' THEN -9e999
                                    ELSE json_extract(t.vals, '$[0]') END AS value
                        FROM study s JOIN trial t ON t.study_id = s.id
                        WHERE s.experiment_id = e.id AND t.state = 'complete') v)
            WHEN o.goal = 'max' THEN (SELECT max(s.mean) FROM score s WHERE s.experiment_id = e.id)
            ELSE (SELECT min(s.mean) FROM score s WHERE s.experiment_id = e.id) END AS best,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.created_at_ms / 1000.0, 'unixepoch') AS created_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.started_at_ms / 1000.0, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.ended_at_ms / 1000.0, 'unixepoch') AS ended_at,
       (e.ended_at_ms - e.started_at_ms) / 1000.0 AS duration_s,
       e.host, e.user_name, e.cwd, e.command_line, e.git_commit, e.git_branch, e.git_dirty,
       e.script_name, e.script_hash, e.environment, e.spec_name, e.spec_text, e.error,
       (SELECT group_concat(t.name, ', ') FROM tag t WHERE t.experiment_id = e.id) AS tags
FROM experiment e
LEFT JOIN objective o ON o.experiment_id = e.id AND o.position = 0
WHERE e.deleted_at_ms IS NULL;

CREATE VIEW configs AS
-- One row a config: all inputs of its runs except the seed.
SELECT c.id, c.hash, c.params,
       (SELECT count(*) FROM run r WHERE r.config_id = c.id) AS runs
FROM config c;

CREATE VIEW studies AS
-- One row an adaptive search.
SELECT s.id, s.uid, s.experiment_id, e.name AS experiment, s.state, s.strategy, s.settings, s.space, s.constraints, s.seed,
       s.seeds, s.trial_max, s.epoch_max, s.epoch_budget, s.stop,
       (SELECT count(*) FROM trial t WHERE t.study_id = s.id) AS trials,
       (SELECT count(*) FROM trial t WHERE t.study_id = s.id AND t.state = 'complete') AS trials_complete,
       (SELECT count(*) FROM trial t WHERE t.study_id = s.id AND t.state = 'failed') AS trials_failed
FROM study s
JOIN experiment e ON e.id = s.experiment_id AND e.deleted_at_ms IS NULL;

CREATE VIEW trials AS
-- One row a point a study asked for or was given; `value` is its first objective over its seeds. `seen` says how many
-- changes of its study were known when it was asked for.
SELECT t.id, t.uid, t.study_id, s.experiment_id, e.name AS experiment, t.number, t.source, t.state, t.params,
       json_extract(t.vals, '$[0]') AS value, t.vals AS "values", t.config_id,
       strftime('%Y-%m-%dT%H:%M:%fZ', t.asked_at_ms / 1000.0, 'unixepoch') AS asked_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', t.ended_at_ms / 1000.0, 'unixepoch') AS ended_at,
       (t.ended_at_ms - t.asked_at_ms) / 1000.0 AS duration_s, t.epochs, json_array_length(t.curve) AS epochs_reached, t.curve, t.seen, t.extra
FROM trial t
JOIN study s ON s.id = t.study_id
JOIN experiment e ON e.id = s.experiment_id AND e.deleted_at_ms IS NULL;

CREATE VIEW runs AS
-- One row an execution of one config with one seed.
SELECT r.id, r.uid, r.experiment_id, e.name AS experiment, r.config_id, r.trial_id, r.name, r.seed, r.state, r.value,
       c.params,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.started_at_ms / 1000.0, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.ended_at_ms / 1000.0, 'unixepoch') AS ended_at,
       (r.ended_at_ms - r.started_at_ms) / 1000.0 AS duration_s, r.error, r.epochs, r.epochs_before, r.from_run_id, r.extra
FROM run r
JOIN experiment e ON e.id = r.experiment_id AND e.deleted_at_ms IS NULL
JOIN config c ON c.id = r.config_id;

CREATE VIEW metrics AS
-- One row a metric of a run, with its summary: lists need no points.
SELECT s.run_id, r.experiment_id, e.name AS experiment, r.config_id, r.seed, m.name AS metric, s.kind, s.n, s.nan,
       s.first, s.last, s.last_step, s.min, s.max,
       CASE WHEN s.n > s.nan THEN s.sum / (s.n - s.nan) END AS mean
FROM series s
JOIN metric m ON m.id = s.metric_id
JOIN run r ON r.id = s.run_id
JOIN experiment e ON e.id = r.experiment_id AND e.deleted_at_ms IS NULL;

CREATE VIEW points_of_all_attempts AS
-- One row a logged number. A NULL value is NaN; `visible` is 0 for those of attempts that a later one replaced.
SELECT s.run_id, r.experiment_id, r.seed, m.name AS metric, t.step, p.value,
       strftime('%Y-%m-%dT%H:%M:%fZ', (st.origin_ms + t.elapsed_ms) / 1000.0, 'unixepoch') AS at,
       t.elapsed_ms / 1000.0 AS elapsed_s, st.attempt,
       st.visible_to_step IS NULL OR t.step <= st.visible_to_step AS visible
FROM series s
JOIN metric m ON m.id = s.metric_id
JOIN run r ON r.id = s.run_id
JOIN experiment e ON e.id = r.experiment_id AND e.deleted_at_ms IS NULL
JOIN bucket b ON b.series_id = s.id
JOIN stream st ON st.id = b.stream_id
JOIN point p ON p.id BETWEEN b.id * 1024 AND b.id * 1024 + 1023
JOIN tick t ON t.stream_id = b.stream_id AND t.seq = b.page * 1024 + p.id % 1024;

CREATE VIEW points AS
-- The numbers that count.
SELECT run_id, experiment_id, seed, metric, step, value, at, elapsed_s, attempt FROM points_of_all_attempts WHERE visible;

CREATE VIEW vectors AS
-- One row a logged array, as JSON.
SELECT s.run_id, r.experiment_id, r.seed, m.name AS metric, t.step, p.value
FROM series s
JOIN metric m ON m.id = s.metric_id
JOIN run r ON r.id = s.run_id
JOIN experiment e ON e.id = r.experiment_id AND e.deleted_at_ms IS NULL
JOIN vector_point p ON p.series_id = s.id
JOIN stream st ON st.id = p.stream_id
JOIN tick t ON t.stream_id = p.stream_id AND t.seq = p.seq
WHERE st.visible_to_step IS NULL OR t.step <= st.visible_to_step;

CREATE VIEW texts AS
-- One row a logged text.
SELECT s.run_id, r.experiment_id, r.seed, m.name AS metric, t.step, p.value
FROM series s
JOIN metric m ON m.id = s.metric_id
JOIN run r ON r.id = s.run_id
JOIN experiment e ON e.id = r.experiment_id AND e.deleted_at_ms IS NULL
JOIN text_point p ON p.series_id = s.id
JOIN stream st ON st.id = p.stream_id
JOIN tick t ON t.stream_id = p.stream_id AND t.seq = p.seq
WHERE st.visible_to_step IS NULL OR t.step <= st.visible_to_step;

CREATE VIEW jobs AS
-- One row a request for work.
SELECT j.id, j.uid, j.experiment_id, e.name AS experiment, j.run_id, j.stage, j.state, j.command, j.priority,
       j.cores, j.gpus, j.memory_mib, j.time_limit_ms / 1000.0 AS time_limit_s,
       j.attempt, j.failures, j.try_max, j.unique_key, j.worker_id, w.host,
       a.exit_code, a.signal, coalesce(j.error, a.error) AS error,
       (a.ended_at_ms - a.started_at_ms) / 1000.0 AS duration_s,
       a.user_ms / 1000.0 AS user_s, a.system_ms / 1000.0 AS system_s, a.memory_peak_kib,
       strftime('%Y-%m-%dT%H:%M:%fZ', j.created_at_ms / 1000.0, 'unixepoch') AS created_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.started_at_ms / 1000.0, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', j.ended_at_ms / 1000.0, 'unixepoch') AS ended_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', j.lease_until_ms / 1000.0, 'unixepoch') AS lease_until,
       strftime('%Y-%m-%dT%H:%M:%fZ', j.due_at_ms / 1000.0, 'unixepoch') AS due_at,
       j.needs, j.held, j.cancel_wanted
FROM job j
LEFT JOIN experiment e ON e.id = j.experiment_id
LEFT JOIN worker w ON w.id = j.worker_id
LEFT JOIN attempt a ON a.job_id = j.id AND a.number = j.attempt;

CREATE VIEW attempts AS
-- One row a try at a job.
SELECT a.job_id, a.number, j.experiment_id, j.run_id, a.state, a.worker_id, w.host, a.pid, a.exit_code, a.signal, a.error,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.claimed_at_ms / 1000.0, 'unixepoch') AS claimed_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.started_at_ms / 1000.0, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.ended_at_ms / 1000.0, 'unixepoch') AS ended_at,
       (a.ended_at_ms - a.started_at_ms) / 1000.0 AS duration_s,
       a.user_ms / 1000.0 AS user_s, a.system_ms / 1000.0 AS system_s, a.memory_peak_kib,
       a.stdout_bytes, a.stderr_bytes
FROM attempt a
JOIN job j ON j.id = a.job_id
LEFT JOIN worker w ON w.id = a.worker_id;

CREATE VIEW outputs AS
-- What attempts printed, in pieces as text; a jump in `offset` is where the middle was dropped.
SELECT o.job_id, o.attempt, o.stream, o.offset, length(o.bytes) AS size_bytes, CAST(o.bytes AS TEXT) AS text,
       strftime('%Y-%m-%dT%H:%M:%fZ', o.at_ms / 1000.0, 'unixepoch') AS at
FROM output o;

CREATE VIEW workers AS
-- One row a program that is or was at work on this file.
SELECT w.id, w.uid, w.kind, w.state, w.host, w.pid, w.slots, w.cores, w.gpus, w.memory_mib,
       strftime('%Y-%m-%dT%H:%M:%fZ', w.started_at_ms / 1000.0, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', w.seen_at_ms / 1000.0, 'unixepoch') AS seen_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', w.ended_at_ms / 1000.0, 'unixepoch') AS ended_at
FROM worker w;

CREATE VIEW artifacts AS
-- One row a named file; where its bytes are.
SELECT a.id, a.uid, coalesce(a.experiment_id, r.experiment_id) AS experiment_id, a.run_id, a.attempt, a.name, a.kind,
       a.role, a.step, a.value, a.size_bytes, a.hash, a.path,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.created_at_ms / 1000.0, 'unixepoch') AS created_at
FROM artifact a
LEFT JOIN run r ON r.id = a.run_id;

CREATE VIEW events AS
-- Every change of state. Those of trials that their rows or study_change tell have no `id`.
SELECT v.id, strftime('%Y-%m-%dT%H:%M:%fZ', v.at_ms / 1000.0, 'unixepoch') AS at, v.what, v.what_id, v.from_state,
       v.to_state, v.who, v.detail
FROM event v
UNION ALL
SELECT NULL, strftime('%Y-%m-%dT%H:%M:%fZ', t.asked_at_ms / 1000.0, 'unixepoch'), 'trial', t.id, NULL, 'running', t.asked_by,
       NULL
FROM trial t WHERE t.asked_by IS NOT NULL
UNION ALL
SELECT NULL, strftime('%Y-%m-%dT%H:%M:%fZ', c.at_ms / 1000.0, 'unixepoch'), 'trial', t.id, c.from_state, c.state, c.who, NULL
FROM study_change c JOIN trial t ON t.study_id = c.study_id AND t.number = c.number
WHERE c.at_ms IS NOT NULL AND c.from_state IS NOT c.state;

CREATE VIEW notes AS
SELECT n.id, n.experiment_id, n.text, n.user_name,
       strftime('%Y-%m-%dT%H:%M:%fZ', n.at_ms / 1000.0, 'unixepoch') AS at
FROM note n;

CREATE VIEW objectives AS
SELECT o.experiment_id, o.position, o.metric, o.goal, o.value_from, o.aggregate
FROM objective o;

CREATE VIEW leaderboard AS
-- One row a config that has a value: its place, and its value over seeds with a 95 % bootstrap interval.
SELECT s.experiment_id, e.name AS experiment,
       rank() OVER (PARTITION BY s.experiment_id
                    ORDER BY CASE o.goal WHEN 'max' THEN -s.mean ELSE s.mean END) AS place,
       o.metric, o.goal, s.mean, s.low95, s.high95, s.std, s.iqm, s.median, s.n AS seeds, s.failed, s.config_id,
       (SELECT min(r.name) FROM run r WHERE r.experiment_id = s.experiment_id AND r.config_id = s.config_id) AS name,
       c.params
FROM score s
JOIN experiment e ON e.id = s.experiment_id AND e.deleted_at_ms IS NULL
JOIN config c ON c.id = s.config_id
LEFT JOIN objective o ON o.experiment_id = s.experiment_id AND o.position = 0
WHERE s.mean IS NOT NULL
ORDER BY s.experiment_id, place;

CREATE VIEW best_so_far AS
-- One row a trial that ended, in the order in which they ended: its value, and the best one by then.
SELECT t.study_id, s.experiment_id, e.name AS experiment, t.number,
       row_number() OVER by_end AS ended, t.value,
       CASE coalesce(o.goal, 'min')
           WHEN 'max' THEN max(t.value) OVER by_end
           ELSE min(t.value) OVER by_end END AS best,
       strftime('%Y-%m-%dT%H:%M:%fZ', t.ended_at_ms / 1000.0, 'unixepoch') AS ended_at
FROM (SELECT study_id, number, ended_at_ms,
             CASE WHEN state <> 'complete' THEN NULL
                  ELSE CASE json_extract(vals, '$[0]') WHEN 'inf' THEN 9e999 WHEN '-inf' THEN -9e999
                            ELSE json_extract(vals, '$[0]') END END AS value
      FROM trial WHERE ended_at_ms IS NOT NULL) t
JOIN study s ON s.id = t.study_id
JOIN experiment e ON e.id = s.experiment_id AND e.deleted_at_ms IS NULL
LEFT JOIN objective o ON o.experiment_id = s.experiment_id AND o.position = 0
WINDOW by_end AS (PARTITION BY t.study_id ORDER BY t.ended_at_ms, t.number ROWS UNBOUNDED PRECEDING);

CREATE VIEW ranking AS
-- One row a trial that has a value: its place by the first objective. Where trials race over seeds, those with fewer seeds
-- than the most come last. A trial that goes on keeps the value it had until it ends again.
SELECT t.study_id, s.experiment_id, e.name AS experiment,
       rank() OVER (PARTITION BY t.study_id
                    ORDER BY CASE s.strategy WHEN 'racing' THEN t.dropped ELSE 0 END,
                             CASE o.goal WHEN 'max' THEN -t.value ELSE t.value END) AS place,
       t.number, o.metric, t.value, t.vals AS "values", t.params
FROM (SELECT study_id, number, vals, params,
             coalesce(json_array_length(curve), 0)
                 < max(coalesce(json_array_length(curve), 0)) OVER (PARTITION BY study_id) AS dropped,
             CASE json_extract(vals, '$[0]') WHEN 'inf' THEN 9e999 WHEN '-inf' THEN -9e999
                  ELSE json_extract(vals, '$[0]') END AS value
      FROM (SELECT study_id, number, params, curve,
                   CASE state WHEN 'complete' THEN vals
                        ELSE (SELECT c.vals FROM study_change c
                              WHERE c.study_id = u.study_id AND c.number = u.number AND c.state = 'complete'
                              ORDER BY c.seq DESC LIMIT 1) END AS vals
            FROM trial u
            WHERE state = 'complete' OR epochs IS NOT NULL AND (state = 'waiting' OR state = 'running'))) t
JOIN study s ON s.id = t.study_id
JOIN experiment e ON e.id = s.experiment_id AND e.deleted_at_ms IS NULL
LEFT JOIN objective o ON o.experiment_id = s.experiment_id AND o.position = 0
WHERE t.value IS NOT NULL
ORDER BY t.study_id, place;

CREATE VIEW pareto AS
-- One row a trial that no other of its study is better than in one objective and as good in all. A trial that goes on keeps
-- the values it had until it ends again.
WITH standing AS (
    SELECT id, study_id, number, params,
           CASE state WHEN 'complete' THEN vals
                ELSE (SELECT c.vals FROM study_change c
                      WHERE c.study_id = u.study_id AND c.number = u.number AND c.state = 'complete'
                      ORDER BY c.seq DESC LIMIT 1) END AS vals
    FROM trial u
    WHERE state = 'complete' OR epochs IS NOT NULL AND (state = 'waiting' OR state = 'running')
), loss AS (
    SELECT t.id AS trial_id, t.study_id, j.key AS position,
           CASE o.goal WHEN 'max' THEN -1 ELSE 1 END
           * CASE j.value WHEN 'inf' THEN 9e999 WHEN '-inf' THEN -9e999 ELSE j.value END AS loss
    FROM standing t
    JOIN study s ON s.id = t.study_id
    JOIN json_each(t.vals) j
    LEFT JOIN objective o ON o.experiment_id = s.experiment_id AND o.position = j.key
), valued AS (
    SELECT trial_id, study_id FROM loss GROUP BY trial_id HAVING count(*) = count(loss)
)
SELECT t.study_id, s.experiment_id, e.name AS experiment, t.number, t.vals AS "values", t.params
FROM valued v
JOIN standing t ON t.id = v.trial_id
JOIN study s ON s.id = t.study_id
JOIN experiment e ON e.id = s.experiment_id AND e.deleted_at_ms IS NULL
WHERE NOT EXISTS (
    SELECT 1 FROM valued w
    WHERE w.study_id = v.study_id AND w.trial_id <> v.trial_id
      AND (SELECT max(b.loss > a.loss) = 0 AND max(b.loss < a.loss) = 1
           FROM loss a JOIN loss b ON b.trial_id = w.trial_id AND b.position = a.position
           WHERE a.trial_id = v.trial_id))
ORDER BY t.study_id, t.number;
