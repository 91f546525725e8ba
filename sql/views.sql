-- The public interface. Plain SQL that any SQLite from 3.38 on reads, with no extension and no math functions.
-- Each view says ids, names and ISO times (UTC), so that a first look needs no join. Deleted experiments, their runs, trials
-- and points are left out; jobs, attempts and outputs show all that the queue has.

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
