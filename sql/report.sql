-- What reports and leaderboards show of one experiment.

-- name: best_configs_when_small_is_good
-- Configs with a value of which so many seeds ended, the best first, and how long they were trained where trials have
-- epochs. Read along an index, so that the first ten cost the same among any number.
SELECT s.config_id, s.mean, s.low95, s.high95, s.std, s.iqm, s.median, s.n, s.failed, c.params, s.n + s.failed + s.late AS ended,
       (SELECT r.name FROM run r WHERE r.experiment_id = s.experiment_id AND r.config_id = s.config_id LIMIT 1) AS name,
       (SELECT coalesce(nullif(json_array_length(t.curve), 0), t.epochs)
        FROM run r CROSS JOIN trial t ON t.id = r.trial_id CROSS JOIN study y ON y.id = t.study_id
        WHERE r.experiment_id = s.experiment_id AND r.config_id = s.config_id AND t.epochs IS NOT NULL
          AND y.strategy <> 'racing' LIMIT 1) AS epochs
FROM score s CROSS JOIN config c ON c.id = s.config_id
WHERE s.experiment_id = :experiment_id AND s.mean IS NOT NULL AND s.n + s.failed + s.late BETWEEN :least AND :most
ORDER BY s.mean LIMIT :limit;

-- name: best_configs_when_large_is_good
SELECT s.config_id, s.mean, s.low95, s.high95, s.std, s.iqm, s.median, s.n, s.failed, c.params, s.n + s.failed + s.late AS ended,
       (SELECT r.name FROM run r WHERE r.experiment_id = s.experiment_id AND r.config_id = s.config_id LIMIT 1) AS name,
       (SELECT coalesce(nullif(json_array_length(t.curve), 0), t.epochs)
        FROM run r CROSS JOIN trial t ON t.id = r.trial_id CROSS JOIN study y ON y.id = t.study_id
        WHERE r.experiment_id = s.experiment_id AND r.config_id = s.config_id AND t.epochs IS NOT NULL
          AND y.strategy <> 'racing' LIMIT 1) AS epochs
FROM score s CROSS JOIN config c ON c.id = s.config_id
WHERE s.experiment_id = :experiment_id AND s.mean IS NOT NULL AND s.n + s.failed + s.late BETWEEN :least AND :most
ORDER BY s.mean DESC LIMIT :limit;

-- name: seeds_of_plan
-- How many seeds each config is to have; none where nothing was planned.
SELECT coalesce(json_array_length(plan, '$.seeds'), 0) FROM experiment WHERE id = :experiment_id;

-- name: failed_configs
-- Configs without a value, whose runs failed or said what is no finite number, with a reason.
SELECT s.config_id, s.failed, c.params,
       (SELECT r.name FROM run r WHERE r.experiment_id = s.experiment_id AND r.config_id = s.config_id LIMIT 1) AS name,
       (SELECT r.error FROM run r WHERE r.experiment_id = s.experiment_id AND r.config_id = s.config_id
        AND r.error IS NOT NULL LIMIT 1) AS error,
       coalesce((SELECT max(r.state = 'failed') FROM run r WHERE r.experiment_id = s.experiment_id AND r.config_id = s.config_id
                 AND (r.state = 'failed' OR r.state = 'complete')), 1) AS is_failed,
       (SELECT max(r.value) FROM run r WHERE r.experiment_id = s.experiment_id AND r.config_id = s.config_id
        AND r.state = 'complete') AS value
FROM score s CROSS JOIN config c ON c.id = s.config_id
WHERE s.experiment_id = :experiment_id AND s.mean IS NULL AND s.failed > 0
ORDER BY s.config_id LIMIT :limit;

-- name: count_failed_configs
SELECT count(*) FROM score WHERE experiment_id = :experiment_id AND mean IS NULL AND failed > 0;

-- name: runs_of_commands
-- Of single commands with one name and one objective: all that ended.
SELECT e.id, r.config_id, r.seed, r.state, r.value, r.error, c.params
FROM experiment e CROSS JOIN objective o ON o.experiment_id = e.id AND o.position = 0
CROSS JOIN run r ON r.experiment_id = e.id CROSS JOIN config c ON c.id = r.config_id
WHERE e.name = :name AND e.ended_at_ms IS NOT NULL AND e.kind = 'command' AND e.deleted_at_ms IS NULL
  AND o.metric = :metric AND o.goal = :goal AND r.state IN ('complete', 'failed')
ORDER BY e.id;

-- name: count_pruned_runs
SELECT coalesce(sum(n), 0) FROM run_count WHERE experiment_id = :experiment_id AND state = 'pruned';

-- name: count_scores
SELECT count(*) FROM score WHERE experiment_id = :experiment_id AND mean IS NOT NULL;

-- name: first_configs
-- Of an experiment without a score.
SELECT r.config_id, c.params, min(r.name) FROM run r INDEXED BY run_for_experiment CROSS JOIN config c ON c.id = r.config_id
WHERE r.experiment_id = :experiment_id GROUP BY r.config_id ORDER BY r.config_id LIMIT :limit;

-- name: count_runs
SELECT count(*) FILTER (WHERE state = 'complete' AND value IS NULL),
       count(*) FILTER (WHERE state IN ('waiting', 'running')),
       count(*) FILTER (WHERE state = 'pruned'), count(*) FILTER (WHERE state = 'cancelled')
FROM run WHERE experiment_id = :experiment_id;

-- name: runs_of_config
SELECT id FROM run WHERE experiment_id = :experiment_id AND config_id = :config_id ORDER BY id LIMIT :limit;

-- name: metrics_of_first_runs
SELECT DISTINCT m.name FROM (SELECT id FROM run WHERE experiment_id = :experiment_id LIMIT 50) r
CROSS JOIN series s ON s.run_id = r.id CROSS JOIN metric m ON m.id = s.metric_id
WHERE s.kind = 'scalar' AND s.n > 1 ORDER BY m.name;

-- name: count_jobs
SELECT state, count(*) FROM job WHERE experiment_id = :experiment_id GROUP BY state ORDER BY state;

-- name: sum_attempts
SELECT count(*), count(*) FILTER (WHERE a.state = 'preempted'), count(*) FILTER (WHERE a.state = 'lost'),
       coalesce(sum(a.ended_at_ms - a.started_at_ms), 0), coalesce(sum(a.user_ms + a.system_ms), 0),
       max(a.memory_peak_kib)
FROM job j CROSS JOIN attempt a ON a.job_id = j.id WHERE j.experiment_id = :experiment_id;

-- name: failed_jobs
SELECT j.id, j.run_id, r.name, r.seed, j.attempt, a.exit_code, a.signal, coalesce(j.error, a.error)
FROM job j LEFT JOIN run r ON r.id = j.run_id LEFT JOIN attempt a ON a.job_id = j.id AND a.number = j.attempt
WHERE j.experiment_id = :experiment_id AND j.state = 'failed' ORDER BY j.id DESC LIMIT :limit;

-- name: last_output
SELECT bytes FROM output WHERE job_id = :job_id AND attempt = :attempt AND stream = :stream
ORDER BY offset DESC LIMIT 1;

-- name: reports_of_experiment
SELECT id FROM artifact WHERE experiment_id = :experiment_id AND kind = 'report' AND name = :name;
