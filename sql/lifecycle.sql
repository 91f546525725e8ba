-- Where jobs, runs, trials and experiments meet: what one's end means for the others.

-- name: run_inputs
SELECT c.params, r.seed, r.name, r.extra, r.from_run_id FROM run r JOIN config c ON c.id = r.config_id
WHERE r.id = :run

-- name: reopen_trial
UPDATE trial SET state = 'waiting', ended_at_ms = NULL, vals = NULL, changed_at_ms = :now_ms, changed_by = :who
WHERE id = (SELECT trial_id FROM run WHERE id = :run) AND (state = 'failed' OR state = 'pruned')

-- name: spare_run
-- Whoever tries a pruned run again wants it to go on.
UPDATE run SET prune_why = NULL WHERE id = :run AND prune_why IS NOT NULL

-- name: leg_of_run
SELECT from_run_id, prune_why, epochs, epochs_before FROM run WHERE id = :run

-- name: reopen_study
UPDATE study SET state = 'open', changed_at_ms = :now_ms, changed_by = :who
WHERE experiment_id = :experiment AND state = 'closed'

-- name: reopen_experiment
UPDATE experiment SET state = 'running', ended_at_ms = NULL, error = NULL, changed_at_ms = :now_ms, changed_by = :who
WHERE id = :experiment AND state IN ('complete', 'failed', 'cancelled')

-- name: trial_runs
-- The first of its runs to start makes the trial run.
UPDATE trial SET state = 'running', changed_at_ms = :now_ms, changed_by = :who
WHERE id = (SELECT trial_id FROM run WHERE id = :run) AND state = 'waiting'

-- name: objectives_of_run
SELECT o.position, o.metric, o.goal, o.value_from FROM objective o
JOIN run r ON r.experiment_id = o.experiment_id
WHERE r.id = :run ORDER BY o.position

-- name: run_of
SELECT experiment_id, config_id, trial_id, state FROM run WHERE id = :run

-- name: peek_job
SELECT EXISTS (SELECT 1 FROM job WHERE state = 'queued' AND cores <= :cores AND gpus <= :gpus AND memory_mib <= :memory_mib
               AND (:only IS NULL OR experiment_id = :only))

-- name: any_cancel
SELECT EXISTS (SELECT 1 FROM job WHERE state = 'running' AND worker_id = :worker AND cancel_wanted = 1)

-- name: jobs_of_dead_worker
SELECT id, attempt FROM job WHERE state = 'running' AND worker_id = :worker

-- name: open_experiments
SELECT id, name, state, planned, plan, cwd FROM experiment
WHERE ended_at_ms IS NULL AND deleted_at_ms IS NULL AND kind <> 'log' ORDER BY id

-- name: mark_planned
UPDATE experiment SET planned = 1 WHERE id = :experiment AND planned = 0

-- name: open_runs
SELECT coalesce(sum(n), 0) FROM run_count WHERE experiment_id = :experiment AND state IN ('waiting', 'running')

-- name: run_counts
SELECT coalesce(sum(n), 0), coalesce(sum(n) FILTER (WHERE state = 'complete'), 0),
       coalesce(sum(n) FILTER (WHERE state = 'failed'), 0), coalesce(sum(n) FILTER (WHERE state = 'cancelled'), 0),
       coalesce(sum(n) FILTER (WHERE state = 'pruned'), 0)
FROM run_count WHERE experiment_id = :experiment

-- name: stage_jobs
-- Those before and after: the main ones may be any number.
SELECT id, state, error FROM job INDEXED BY job_beside
WHERE experiment_id = :experiment AND stage <> 'main' AND stage = :stage ORDER BY id

-- name: has_open_study
SELECT EXISTS (SELECT 1 FROM study WHERE experiment_id = :experiment AND state <> 'closed')

-- name: close_study
UPDATE study SET state = 'closed', changed_at_ms = :now_ms, changed_by = :who
WHERE experiment_id = :experiment AND state <> 'closed'

-- name: fail_open_trials
UPDATE trial SET state = 'failed', ended_at_ms = :now_ms, changed_at_ms = :now_ms, changed_by = :who
WHERE ended_at_ms IS NULL AND study_id = (SELECT id FROM study WHERE experiment_id = :experiment)


-- name: schedule_due
-- Whether the scheduler's turn could change anything.
SELECT EXISTS (SELECT 1 FROM job WHERE state = 'running' AND lease_until_ms < :now_ms)
    OR EXISTS (SELECT 1 FROM experiment e
               WHERE e.ended_at_ms IS NULL AND e.deleted_at_ms IS NULL AND e.kind <> 'log'
                 AND (e.planned = 0
                      OR NOT EXISTS (SELECT 1 FROM job j INDEXED BY job_open WHERE j.experiment_id = e.id
                                     AND j.ended_at_ms IS NULL)))

-- name: search_due
-- Whether the searcher's turn could change anything. Begins with the open studies, however many experiments there are;
-- trials that were asked for by hand have no runs, and are no concern of the searcher.
SELECT EXISTS (
    SELECT 1 FROM study s CROSS JOIN experiment e ON e.id = s.experiment_id
    WHERE s.state <> 'closed' AND e.state = 'running' AND e.deleted_at_ms IS NULL AND e.kind <> 'log'
      AND ((s.state = 'open' AND (SELECT count(*) FROM trial t WHERE t.study_id = s.id
                                  AND t.in_queue = 1
                                  AND EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id)) < s.trial_ahead)
           OR (s.state = 'exhausted' AND NOT EXISTS (SELECT 1 FROM trial t WHERE t.study_id = s.id
                                                     AND t.in_queue = 1
                                                     AND EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id)))
           OR EXISTS (SELECT 1 FROM trial t WHERE t.study_id = s.id AND t.in_queue = 1
                      AND EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id)
                      AND NOT EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id
                                      AND r.state IN ('waiting', 'running')))))

-- name: why_pruned
-- A rule that ends trials cancelled the job.
SELECT coalesce(r.error, 'pruned') FROM job j JOIN run r ON r.id = j.run_id
WHERE j.id = :job AND j.state = 'cancelled' AND r.state = 'pruned'

-- name: run_of_success
-- The run of a job that succeeded.
SELECT r.id, r.state, r.error FROM job j JOIN run r ON r.id = j.run_id WHERE j.id = :job AND j.state = 'succeeded'

-- name: last_stderr
-- The end of what a job's last attempt printed on its stderr, the last piece first.
SELECT o.bytes FROM job j JOIN output o ON o.job_id = j.id AND o.attempt = j.attempt AND o.stream = 'stderr'
WHERE j.id = :job ORDER BY o.offset DESC LIMIT 2
