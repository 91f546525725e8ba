-- Requests for work: added, claimed under a lease, ended once. The attempt number is the fence.

-- name: add_job
INSERT INTO job (uid, experiment_id, run_id, stage, state, command, settings, priority, cores, gpus, memory_mib,
                 time_limit_ms, try_max, unique_key, due_at_ms, needs, held, created_at_ms, changed_at_ms, changed_by)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?18, ?19)

-- name: find_open_job_by_key
SELECT id FROM job WHERE unique_key = :key AND ended_at_ms IS NULL

-- name: add_need
INSERT INTO job_need (needs_job_id, job_id, only_success, state) VALUES (:needs, :job, :only_success, :state)

-- name: job_state
SELECT state FROM job WHERE id = :id

-- name: due_jobs
-- Delayed jobs whose time has come join the queue.
UPDATE job SET state = 'queued', due_at_ms = NULL, changed_at_ms = :now_ms, changed_by = :who
WHERE state = 'waiting' AND needs = 0 AND held = 0 AND due_at_ms <= :now_ms

-- name: expired_jobs
-- Running jobs whose lease ran out: their worker is gone, stopped, or cut off.
SELECT id, attempt, worker_id FROM job WHERE state = 'running' AND lease_until_ms < :now_ms

-- name: jobs_of_worker
SELECT id, attempt, cancel_wanted FROM job WHERE state = 'running' AND worker_id = :worker

-- name: candidate_jobs
-- What fits, best first. The index holds all that is compared; the row is read of those that are taken.
SELECT id, cores, gpus, memory_mib, attempt, run_id, experiment_id, stage, command, settings, time_limit_ms FROM job
WHERE state = 'queued' AND cores <= :cores AND gpus <= :gpus AND memory_mib <= :memory_mib
  AND (:only IS NULL OR experiment_id = :only)
ORDER BY priority DESC, id
LIMIT :limit

-- name: claim_job
-- A candidate of the same transaction, so it is queued still. OR ROLLBACK, here and in end_job: else SQLite keeps a copy of
-- each page that the trigger might leave half changed, an eighth of what a claim and an end cost; a refused one is an error
-- of the whole transaction anyway.
UPDATE OR ROLLBACK job SET state = 'running', attempt = ?2, worker_id = ?3, lease_until_ms = ?4, changed_at_ms = ?5, changed_by = ?6
WHERE id = ?1

-- name: add_attempt
INSERT INTO attempt (job_id, number, worker_id, state, claimed_at_ms)
VALUES (?1, ?2, ?3, 'running', ?4)

-- name: start_attempt
-- No row changes when the lease was lost.
UPDATE attempt SET started_at_ms = :started_at_ms, pid = :pid
WHERE job_id = :job AND number = :number AND state = 'running'

-- name: keep_jobs
-- Renews every lease of a worker at once.
UPDATE job SET lease_until_ms = :lease_until_ms WHERE state = 'running' AND worker_id = :worker

-- name: release_job
-- Gives back a job that was claimed and never started.
UPDATE job SET state = 'queued', lease_until_ms = NULL, changed_at_ms = :now_ms, changed_by = :who
WHERE id = :id AND attempt = :attempt AND state = 'running'

-- name: running_job
-- What ending an attempt needs to know. No row when the lease was lost.
SELECT run_id, experiment_id, stage, failures, try_max, cancel_wanted,
       json_extract(settings, '$.retry_ms') AS retry_ms
FROM job WHERE id = :id AND attempt = :attempt AND state = 'running'

-- name: end_job
UPDATE OR ROLLBACK job SET state = :state, lease_until_ms = NULL, due_at_ms = :due_at_ms, failures = :failures, error = :error,
               ended_at_ms = :ended_at_ms, changed_at_ms = :now_ms, changed_by = :who
WHERE id = :id AND attempt = :attempt AND state = 'running'

-- name: end_attempt
UPDATE attempt SET state = :state, ended_at_ms = :ended_at_ms, started_at_ms = coalesce(:started_at_ms, started_at_ms),
                   pid = coalesce(:pid, pid), exit_code = :exit_code, signal = :signal, error = :error,
                   user_ms = :user_ms, system_ms = :system_ms, memory_peak_kib = :memory_peak_kib,
                   stdout_bytes = :stdout_bytes, stderr_bytes = :stderr_bytes
WHERE job_id = :job AND number = :number AND state = 'running'

-- name: attempt_started
SELECT started_at_ms FROM attempt WHERE job_id = :job AND number = :number

-- name: times_lost
SELECT count(*) FROM attempt WHERE job_id = :job AND state = 'lost' AND started_at_ms IS NOT NULL

-- name: waiting_on
-- Jobs that wait for one.
SELECT n.job_id, n.only_success FROM job_need n
JOIN job j ON j.id = n.job_id AND j.state = 'waiting'
WHERE n.needs_job_id = :job AND n.state = 'open'

-- name: cancelled_with
-- Jobs that were cancelled when one did not succeed.
SELECT n.job_id FROM job_need n
JOIN job j ON j.id = n.job_id AND j.state = 'cancelled'
WHERE n.needs_job_id = :job AND n.state = 'failed'

-- name: settle_need
UPDATE job_need SET state = :state WHERE needs_job_id = :needs AND job_id = :job

-- name: judge_needs
-- A job that is queued again waits for what is open now; what is over is for whoever queues it to judge.
UPDATE job_need SET state = CASE WHEN EXISTS (SELECT 1 FROM job j WHERE j.id = job_need.needs_job_id
                                              AND j.ended_at_ms IS NULL)
                                 THEN 'open' ELSE 'met' END
WHERE job_id = :job

-- name: count_open_needs
SELECT count(*) FROM job_need WHERE job_id = :job AND state = 'open'

-- name: need_met
-- One thing less to wait for; the last one queues the job.
UPDATE job SET needs = needs - 1,
               state = CASE WHEN needs = 1 AND held = 0 AND due_at_ms IS NULL THEN 'queued' ELSE 'waiting' END,
               changed_at_ms = :now_ms, changed_by = :who
WHERE id = :id AND state = 'waiting' AND needs > 0

-- name: cancel_open_job
-- Cancels a job that no worker holds.
UPDATE job SET state = 'cancelled', needs = 0, held = 0, due_at_ms = NULL, ended_at_ms = :now_ms, error = :error,
               changed_at_ms = :now_ms, changed_by = :who
WHERE id = :id AND state IN ('waiting', 'queued')

-- name: want_cancel
-- Asks the worker that holds it to stop it.
UPDATE job SET cancel_wanted = 1 WHERE id = :id AND state = 'running'

-- name: open_jobs_of_experiment
-- By the index of open jobs: an experiment may have any number that are over.
SELECT id, state FROM job INDEXED BY job_open
WHERE experiment_id = :experiment AND ended_at_ms IS NULL

-- name: hold_jobs
UPDATE job INDEXED BY job_open SET state = 'waiting', held = 1, changed_at_ms = :now_ms, changed_by = :who
WHERE experiment_id = :experiment AND ended_at_ms IS NULL AND state <> 'running' AND held = 0

-- name: resume_jobs
UPDATE job INDEXED BY job_open
SET held = 0, state = CASE WHEN needs = 0 AND due_at_ms IS NULL THEN 'queued' ELSE 'waiting' END,
    changed_at_ms = :now_ms, changed_by = :who
WHERE experiment_id = :experiment AND ended_at_ms IS NULL AND state = 'waiting' AND held = 1

-- name: retry_job
-- An ended job gets all its tries again.
UPDATE job SET state = iif(:needs > 0, 'waiting', 'queued'), needs = :needs, failures = 0, cancel_wanted = 0,
               ended_at_ms = NULL, error = NULL, changed_at_ms = :now_ms, changed_by = :who
WHERE id = :id AND state IN ('failed', 'cancelled')

-- name: count_open_jobs
SELECT count(*) FROM job INDEXED BY job_open WHERE experiment_id = :experiment AND ended_at_ms IS NULL

-- name: count_queued_or_running
SELECT EXISTS (SELECT 1 FROM job WHERE state = 'queued') OR EXISTS (SELECT 1 FROM job WHERE state = 'running')

-- name: next_due
SELECT min(due_at_ms) FROM job WHERE state = 'waiting' AND needs = 0 AND held = 0

-- name: is_waiting_for_time
SELECT EXISTS (SELECT 1 FROM job WHERE state = 'waiting' AND needs = 0 AND held = 0)

-- name: add_worker
INSERT INTO worker (uid, kind, state, host, pid, process_start, slots, cores, gpus, memory_mib, started_at_ms, seen_at_ms)
VALUES (:uid, :kind, 'live', :host, :pid, :process_start, :slots, :cores, :gpus, :memory_mib, :now_ms, :now_ms)

-- name: keep_worker
UPDATE worker SET seen_at_ms = :now_ms WHERE id = :id AND state = 'live'

-- name: end_worker
UPDATE worker SET state = :state, ended_at_ms = :now_ms WHERE id = :id AND state = 'live'

-- name: live_workers
SELECT id, uid, kind, pid, process_start, seen_at_ms FROM worker WHERE state = 'live' AND host = :host

-- name: silent_workers
SELECT w.id FROM worker w WHERE w.state = 'live' AND w.seen_at_ms < :since_ms
  AND NOT EXISTS (SELECT 1 FROM job j WHERE j.state = 'running' AND j.worker_id = w.id)

-- name: show_job
SELECT id, experiment_id, run_id, stage, state, command, settings, priority, cores, gpus, memory_mib, time_limit_ms,
       attempt, failures, try_max, worker_id, lease_until_ms, due_at_ms, needs, held, cancel_wanted, error
FROM job WHERE id = :id

-- name: needs_of_job
SELECT n.needs_job_id, j.state, n.only_success FROM job_need n JOIN job j ON j.id = n.needs_job_id
WHERE n.job_id = :job AND n.state <> 'met'

-- name: ahead_of_job
SELECT count(*) FROM job WHERE state = 'queued' AND (priority > :priority OR (priority = :priority AND id < :id))

-- name: live_room
-- The largest room any live worker offers.
SELECT count(*), max(cores), max(gpus), max(memory_mib), sum(slots) FROM worker WHERE state = 'live' AND slots > 0

-- name: jobs_of_experiment
SELECT id FROM job WHERE experiment_id = :experiment ORDER BY id

-- name: job_of_run
SELECT id FROM job WHERE run_id = :run ORDER BY id DESC LIMIT 1

-- name: add_output
INSERT OR IGNORE INTO output (job_id, attempt, stream, offset, at_ms, bytes)
VALUES (:job, :attempt, :stream, :offset, :now_ms, :bytes)

-- name: drop_output
-- The middle of a long output: after the head, before the tail.
DELETE FROM output WHERE job_id = :job AND attempt = :attempt AND stream = :stream AND offset >= :from
                     AND offset + length(bytes) <= :to
