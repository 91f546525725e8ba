-- Experiments, configs and runs: what was done, why, with which code, and how far it is.

-- name: add_experiment
INSERT INTO experiment (uid, name, purpose, project, kind, state, plan, spec_text, spec_name, command_line, cwd, host,
    user_name, git_commit, git_branch, git_dirty, git_diff_blob, script_name, script_hash, script_blob, environment,
    extra, created_at_ms, changed_at_ms, changed_by)
VALUES (:uid, :name, :purpose, :project, :kind, 'planned', :plan, :spec_text, :spec_name, :command_line, :cwd, :host,
    :user_name, :git_commit, :git_branch, :git_dirty, :git_diff_blob, :script_name, :script_hash, :script_blob,
    :environment, :extra, :now_ms, :now_ms, :user_name);

-- name: add_objective
INSERT INTO objective (experiment_id, position, metric, goal, value_from, aggregate)
VALUES (:experiment_id, :position, :metric, :goal, :value_from, :aggregate);

-- name: list_objectives
SELECT metric, goal, value_from, aggregate FROM objective WHERE experiment_id = :experiment_id ORDER BY position;

-- name: state_of_experiment
SELECT state FROM experiment WHERE id = :id;

-- name: set_open_state
-- From one open state to another: says nothing of columns that an index has, so none is written.
UPDATE experiment
SET state = :state,
    error = :error,
    started_at_ms = CASE :state WHEN 'running' THEN coalesce(started_at_ms, :now_ms) ELSE started_at_ms END,
    changed_at_ms = :now_ms,
    changed_by = :who
WHERE id = :id;

-- name: set_experiment_state
UPDATE experiment
SET state = :state,
    error = :error,
    started_at_ms = CASE :state WHEN 'running' THEN coalesce(started_at_ms, :now_ms) ELSE started_at_ms END,
    ended_at_ms = CASE WHEN :state IN ('complete', 'failed', 'cancelled') THEN :now_ms END,
    changed_at_ms = :now_ms,
    changed_by = :who
WHERE id = :id;

-- name: set_extra
UPDATE experiment SET extra = :extra, changed_at_ms = :now_ms, changed_by = :who WHERE id = :id;

-- name: set_deleted
UPDATE experiment SET deleted_at_ms = :deleted_at_ms, changed_at_ms = :now_ms, changed_by = :who
WHERE id = :id AND (deleted_at_ms IS NULL) <> (:deleted_at_ms IS NULL);

-- name: is_at_work
-- Programs do its jobs, or ask its strategy.
SELECT e.state IN ('running', 'paused') AND e.kind <> 'log'
   AND (EXISTS (SELECT 1 FROM job j INDEXED BY job_open WHERE j.experiment_id = e.id AND j.ended_at_ms IS NULL)
        OR EXISTS (SELECT 1 FROM study s WHERE s.experiment_id = e.id AND s.state <> 'closed'))
FROM experiment e WHERE e.id = :id;

-- name: experiment_by_id
SELECT id FROM experiment WHERE id = :id;

-- name: latest_by_name
SELECT id FROM experiment WHERE ended_at_ms IS NULL AND name = :name AND (:deleted OR deleted_at_ms IS NULL)
UNION ALL
SELECT id FROM experiment WHERE ended_at_ms IS NOT NULL AND name = :name AND (:deleted OR deleted_at_ms IS NULL)
ORDER BY id DESC LIMIT 1;

-- name: latest_deleted_by_name
-- Unless the one found by that word is not called so: then it was an id.
SELECT id FROM experiment WHERE ended_at_ms IS NULL AND name = :name AND +deleted_at_ms IS NOT NULL
    AND EXISTS (SELECT 1 FROM experiment f WHERE f.id = :id AND f.name = :name)
UNION ALL
SELECT id FROM experiment WHERE ended_at_ms IS NOT NULL AND name = :name AND deleted_at_ms IS NOT NULL
    AND EXISTS (SELECT 1 FROM experiment f WHERE f.id = :id AND f.name = :name)
ORDER BY id DESC LIMIT 1;

-- name: experiments_by_uid
SELECT id FROM experiment
WHERE ended_at_ms IS NULL AND uid >= :from AND uid < :until AND (:deleted OR deleted_at_ms IS NULL)
UNION ALL
SELECT id FROM experiment
WHERE ended_at_ms IS NOT NULL AND uid >= :from AND uid < :until AND (:deleted OR deleted_at_ms IS NULL)
LIMIT 2;

-- name: latest_experiment
SELECT id FROM experiment WHERE deleted_at_ms IS NULL ORDER BY id DESC LIMIT 1;

-- name: add_tag
INSERT INTO tag (experiment_id, name) VALUES (:experiment_id, :name) ON CONFLICT DO NOTHING;

-- name: remove_tag
DELETE FROM tag WHERE experiment_id = :experiment_id AND name = :name;

-- name: list_tags
SELECT name FROM tag WHERE experiment_id = :experiment_id ORDER BY name;

-- name: add_note
INSERT INTO note (experiment_id, text, at_ms, user_name) VALUES (:experiment_id, :text, :now_ms, :who);

-- name: list_notes
SELECT id, text, at_ms, user_name FROM note WHERE experiment_id = :experiment_id ORDER BY id;

-- The statements ids_… list a page of experiments, newest first, each by the index of its first condition; the other
-- conditions are checked on the way. An index of some of the rows is used where the statement says which.

-- name: ids_of_all
SELECT e.id FROM experiment e
WHERE e.deleted_at_ms IS NULL AND e.id < :before
  AND (:state IS NULL OR e.state = :state) AND (:project IS NULL OR e.project = :project)
  AND (:kind IS NULL OR e.kind = :kind)
  AND (:tag IS NULL OR EXISTS (SELECT 1 FROM tag t WHERE t.experiment_id = e.id AND t.name = :tag))
  AND (:text IS NULL OR instr(lower(e.name || char(10) || e.purpose), :text)
       OR EXISTS (SELECT 1 FROM note n WHERE n.experiment_id = e.id AND instr(lower(n.text), :text)))
ORDER BY e.id DESC LIMIT :limit;

-- name: ids_deleted
SELECT e.id FROM experiment e
WHERE e.deleted_at_ms IS NOT NULL AND e.id < :before
  AND (:state IS NULL OR e.state = :state) AND (:project IS NULL OR e.project = :project)
  AND (:kind IS NULL OR e.kind = :kind)
  AND (:tag IS NULL OR EXISTS (SELECT 1 FROM tag t WHERE t.experiment_id = e.id AND t.name = :tag))
  AND (:text IS NULL OR instr(lower(e.name || char(10) || e.purpose), :text)
       OR EXISTS (SELECT 1 FROM note n WHERE n.experiment_id = e.id AND instr(lower(n.text), :text)))
ORDER BY e.id DESC LIMIT :limit;

-- name: ids_by_tag
SELECT e.id FROM tag g CROSS JOIN experiment e ON e.id = g.experiment_id
WHERE g.name = :tag AND g.experiment_id < :before AND e.deleted_at_ms IS NULL
  AND (:state IS NULL OR e.state = :state) AND (:project IS NULL OR e.project = :project)
  AND (:kind IS NULL OR e.kind = :kind)
  AND (:text IS NULL OR instr(lower(e.name || char(10) || e.purpose), :text)
       OR EXISTS (SELECT 1 FROM note n WHERE n.experiment_id = e.id AND instr(lower(n.text), :text)))
ORDER BY g.experiment_id DESC LIMIT :limit;

-- name: ids_by_open_state
SELECT e.id FROM experiment e
WHERE e.ended_at_ms IS NULL AND e.state = :state AND e.deleted_at_ms IS NULL AND e.id < :before
  AND (:project IS NULL OR e.project = :project) AND (:kind IS NULL OR e.kind = :kind)
  AND (:tag IS NULL OR EXISTS (SELECT 1 FROM tag t WHERE t.experiment_id = e.id AND t.name = :tag))
  AND (:text IS NULL OR instr(lower(e.name || char(10) || e.purpose), :text)
       OR EXISTS (SELECT 1 FROM note n WHERE n.experiment_id = e.id AND instr(lower(n.text), :text)))
ORDER BY e.id DESC LIMIT :limit;

-- name: ids_by_ended_state
SELECT e.id FROM experiment e
WHERE e.state IN ('complete', 'failed', 'cancelled') AND e.state = :state AND e.deleted_at_ms IS NULL AND e.id < :before
  AND (:project IS NULL OR e.project = :project) AND (:kind IS NULL OR e.kind = :kind)
  AND (:tag IS NULL OR EXISTS (SELECT 1 FROM tag t WHERE t.experiment_id = e.id AND t.name = :tag))
  AND (:text IS NULL OR instr(lower(e.name || char(10) || e.purpose), :text)
       OR EXISTS (SELECT 1 FROM note n WHERE n.experiment_id = e.id AND instr(lower(n.text), :text)))
ORDER BY e.id DESC LIMIT :limit;

-- name: ids_by_project
SELECT e.id FROM experiment e
WHERE e.project <> 'default' AND e.project = :project AND e.ended_at_ms IS NULL AND e.deleted_at_ms IS NULL
  AND e.id < :before
  AND (:state IS NULL OR e.state = :state) AND (:kind IS NULL OR e.kind = :kind)
  AND (:tag IS NULL OR EXISTS (SELECT 1 FROM tag t WHERE t.experiment_id = e.id AND t.name = :tag))
  AND (:text IS NULL OR instr(lower(e.name || char(10) || e.purpose), :text)
       OR EXISTS (SELECT 1 FROM note n WHERE n.experiment_id = e.id AND instr(lower(n.text), :text)))
UNION ALL
SELECT e.id FROM experiment e
WHERE e.project <> 'default' AND e.project = :project AND e.ended_at_ms IS NOT NULL AND e.deleted_at_ms IS NULL
  AND e.id < :before
  AND (:state IS NULL OR e.state = :state) AND (:kind IS NULL OR e.kind = :kind)
  AND (:tag IS NULL OR EXISTS (SELECT 1 FROM tag t WHERE t.experiment_id = e.id AND t.name = :tag))
  AND (:text IS NULL OR instr(lower(e.name || char(10) || e.purpose), :text)
       OR EXISTS (SELECT 1 FROM note n WHERE n.experiment_id = e.id AND instr(lower(n.text), :text)))
ORDER BY e.id DESC LIMIT :limit;

-- name: ids_by_kind
SELECT e.id FROM experiment e
WHERE e.kind <> 'single-config' AND e.kind = :kind AND e.ended_at_ms IS NULL AND e.deleted_at_ms IS NULL
  AND e.id < :before
  AND (:state IS NULL OR e.state = :state) AND (:project IS NULL OR e.project = :project)
  AND (:tag IS NULL OR EXISTS (SELECT 1 FROM tag t WHERE t.experiment_id = e.id AND t.name = :tag))
  AND (:text IS NULL OR instr(lower(e.name || char(10) || e.purpose), :text)
       OR EXISTS (SELECT 1 FROM note n WHERE n.experiment_id = e.id AND instr(lower(n.text), :text)))
UNION ALL
SELECT e.id FROM experiment e
WHERE e.kind <> 'single-config' AND e.kind = :kind AND e.ended_at_ms IS NOT NULL AND e.deleted_at_ms IS NULL
  AND e.id < :before
  AND (:state IS NULL OR e.state = :state) AND (:project IS NULL OR e.project = :project)
  AND (:tag IS NULL OR EXISTS (SELECT 1 FROM tag t WHERE t.experiment_id = e.id AND t.name = :tag))
  AND (:text IS NULL OR instr(lower(e.name || char(10) || e.purpose), :text)
       OR EXISTS (SELECT 1 FROM note n WHERE n.experiment_id = e.id AND instr(lower(n.text), :text)))
ORDER BY e.id DESC LIMIT :limit;

-- name: list_experiment
-- What a list shows of one experiment.
SELECT e.id, e.uid, e.name, e.purpose, e.project, e.kind, e.state, e.host, e.user_name, e.error,
       e.created_at_ms, e.started_at_ms, e.ended_at_ms, e.deleted_at_ms,
       (SELECT coalesce(sum(n.n), 0) FROM run_count n WHERE n.experiment_id = e.id) AS runs,
       (SELECT coalesce(sum(n.n), 0) FROM run_count n WHERE n.experiment_id = e.id AND n.state = 'complete') AS runs_complete,
       (SELECT coalesce(sum(n.n), 0) FROM run_count n WHERE n.experiment_id = e.id AND n.state = 'failed') AS runs_failed,
       o.metric, o.goal,
       CASE WHEN e.kind = 'log' AND EXISTS (SELECT 1 FROM study s WHERE s.experiment_id = e.id)
            THEN (SELECT CASE o.goal WHEN 'max' THEN max(v.value) ELSE min(v.value) END
                  FROM (SELECT CASE json_extract(t.vals, '$[0]') WHEN 'inf' THEN 9e999 WHEN '-inf' THEN -9e999
                                    ELSE json_extract(t.vals, '$[0]') END AS value
                        FROM study s JOIN trial t ON t.study_id = s.id
                        WHERE s.experiment_id = e.id AND t.state = 'complete') v)
            WHEN o.goal = 'max' THEN (SELECT max(s.mean) FROM score s WHERE s.experiment_id = e.id)
            ELSE (SELECT min(s.mean) FROM score s WHERE s.experiment_id = e.id) END AS best,
       (SELECT group_concat(t.name, char(31)) FROM tag t WHERE t.experiment_id = e.id) AS tags
FROM experiment e
LEFT JOIN objective o ON o.experiment_id = e.id AND o.position = 0
WHERE e.id = :id;

-- name: show_experiment
-- What list_experiment leaves out.
SELECT plan, spec_text, spec_name, command_line, cwd, git_commit, git_branch, git_dirty, git_diff_blob, script_name,
       script_hash, script_blob, environment, extra
FROM experiment WHERE id = :id;

-- name: find_config
SELECT id FROM config WHERE hash = :hash;

-- name: add_config
INSERT INTO config (hash, params) VALUES (:hash, :params);

-- name: params_of_config
SELECT params FROM config WHERE id = :id;

-- name: add_run
INSERT INTO run (uid, experiment_id, config_id, trial_id, name, seed, state, created_at_ms, changed_at_ms, changed_by)
VALUES (:uid, :experiment_id, :config_id, :trial_id, :name, :seed, 'waiting', :now_ms, :now_ms, :who);

-- name: state_of_run
SELECT state FROM run WHERE id = :id;

-- name: start_run
UPDATE run
SET state = 'running', started_at_ms = coalesce(started_at_ms, :now_ms), changed_at_ms = :now_ms, changed_by = :who
WHERE id = :id AND state = 'waiting';

-- name: end_run
UPDATE run
SET state = :state, value = :value, error = :error, ended_at_ms = :now_ms, changed_at_ms = :now_ms, changed_by = :who
WHERE id = :id AND state IN ('waiting', 'running');

-- name: reopen_run
UPDATE run
SET state = 'waiting', value = NULL, error = NULL, started_at_ms = NULL, ended_at_ms = NULL, changed_at_ms = :now_ms,
    changed_by = :who
WHERE id = :id AND state IN ('running', 'failed', 'cancelled', 'pruned');

-- name: count_open_runs
SELECT coalesce(sum(n), 0) FROM run_count WHERE experiment_id = :experiment_id AND state IN ('waiting', 'running');

-- name: list_runs
-- A page of runs after the run given, the runs of a config together.
SELECT id, config_id, trial_id, name, seed, state, value, error, started_at_ms, ended_at_ms
FROM run
WHERE experiment_id = :experiment_id AND config_id >= :config_id AND (config_id > :config_id OR id > :run_id)
ORDER BY config_id, id LIMIT :limit;

-- name: values_of_config
-- What became of each run of a config that ended by itself. In order, so that the latest of a seed is its last.
SELECT seed, state, value FROM run INDEXED BY run_for_experiment
WHERE experiment_id = :experiment_id AND config_id = :config_id AND state IN ('complete', 'failed')
ORDER BY id;

-- name: set_score
INSERT INTO score (experiment_id, config_id, n, failed, mean, std, low95, high95, iqm, median)
VALUES (:experiment_id, :config_id, :n, :failed, :mean, :std, :low95, :high95, :iqm, :median)
ON CONFLICT DO UPDATE SET n = excluded.n, failed = excluded.failed, mean = excluded.mean, std = excluded.std,
    low95 = excluded.low95, high95 = excluded.high95, iqm = excluded.iqm, median = excluded.median, late = 0;

-- name: ends_of_score
-- How many ends a score knows, and how many came since; none where the experiment does not run, so that no end is to come.
SELECT s.n + s.failed, s.late
FROM score s JOIN experiment e ON e.id = s.experiment_id
WHERE s.experiment_id = :experiment_id AND s.config_id = :config_id AND e.state = 'running';

-- name: leave_score
UPDATE score SET late = late + 1 WHERE experiment_id = :experiment_id AND config_id = :config_id;

-- name: late_scores
SELECT config_id FROM score INDEXED BY score_late WHERE experiment_id = :experiment_id AND late > 0;

-- name: remove_score
DELETE FROM score WHERE experiment_id = :experiment_id AND config_id = :config_id;

-- name: configs_of_experiment
SELECT DISTINCT r.config_id, c.params FROM run r INDEXED BY run_for_experiment JOIN config c ON c.id = r.config_id
WHERE r.experiment_id = :experiment_id ORDER BY r.config_id;

-- name: scalars_of_experiment
-- The metrics of the first runs of an experiment: the others log the same, and a look at all of them takes long.
SELECT DISTINCT m.id, m.name FROM (SELECT id FROM run WHERE experiment_id = :experiment_id ORDER BY id LIMIT :runs) r
JOIN series s ON s.run_id = r.id AND s.kind = 'scalar'
JOIN metric m ON m.id = s.metric_id
ORDER BY m.id;

-- name: text_of_view
SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = :name;

-- name: wide_views
-- In the order they were made.
SELECT name FROM sqlite_schema WHERE type = 'view' AND name GLOB 'wide_[0-9]*' ORDER BY rowid;

-- name: keep_process
-- Its row is written anew every 10 s at most.
INSERT INTO process (host, pid, process_start, seen_at_ms) VALUES (:host, :pid, :process_start, :now_ms)
ON CONFLICT DO UPDATE SET seen_at_ms = excluded.seen_at_ms WHERE excluded.seen_at_ms >= seen_at_ms + 10000;

-- name: process_by_start
SELECT id FROM process WHERE host = :host AND pid = :pid AND process_start = :process_start;

-- name: list_processes
-- Those that hold something: few.
SELECT id, host, pid, process_start, seen_at_ms FROM process ORDER BY id;

-- name: hold_run
INSERT INTO held_run (run_id, process_id) VALUES (:run, :process) ON CONFLICT DO NOTHING;

-- name: go_on_with_run
-- It began when it began, and has no end and no value until it ends again.
UPDATE run SET state = 'running', value = NULL, error = NULL, started_at_ms = coalesce(started_at_ms, :now_ms), ended_at_ms = NULL,
               changed_at_ms = :now_ms, changed_by = :who
WHERE id = :id AND ended_at_ms IS NOT NULL;

-- name: holders_of_run
SELECT p.id, p.host, p.pid, p.process_start, p.seen_at_ms FROM held_run h JOIN process p ON p.id = h.process_id
WHERE h.run_id = :run;

-- name: is_run_held
SELECT EXISTS (SELECT 1 FROM held_run WHERE run_id = :run);

-- name: let_run_go
DELETE FROM held_run WHERE run_id = :run AND (:process IS NULL OR process_id = :process);

-- name: runs_held_by
SELECT run_id FROM held_run WHERE process_id = :process ORDER BY run_id;

-- name: remove_idle_process
DELETE FROM process WHERE id = :process AND NOT EXISTS (SELECT 1 FROM held_run h WHERE h.process_id = :process)
    AND NOT EXISTS (SELECT 1 FROM held_trial h JOIN trial t ON t.id = h.trial_id
                    WHERE h.process_id = :process AND t.state = 'running');

-- name: ids_by_name
SELECT id FROM experiment WHERE ended_at_ms IS NULL AND name = :name AND deleted_at_ms IS NULL
UNION ALL
SELECT id FROM experiment WHERE ended_at_ms IS NOT NULL AND name = :name AND deleted_at_ms IS NULL
ORDER BY id DESC;
