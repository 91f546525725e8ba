-- Studies, their trials, and what their strategies were told.

-- name: add_study
INSERT INTO study (uid, experiment_id, state, strategy, settings, space, constraints, targets, base, seeds, seed, trial_max,
                   trial_ahead, epoch_max, epoch_budget, stop, changed_at_ms, changed_by)
VALUES (:uid, :experiment, 'open', :strategy, :settings, :space, :constraints, :targets, :base, :seeds, :seed, :trial_max,
        :trial_ahead, :epoch_max, :epoch_budget, :stop, :now_ms, :who)

-- name: open_studies
-- Of experiments that are at work, with jobs.
SELECT s.id, s.experiment_id, s.state, s.trial_ahead, s.epoch_budget, s.stop, s.strategy, s.trial_max
FROM study s CROSS JOIN experiment e ON e.id = s.experiment_id
WHERE s.state <> 'closed' AND e.state = 'running' AND e.deleted_at_ms IS NULL AND e.kind <> 'log' ORDER BY s.id

-- name: plan_of_study
SELECT e.plan, e.cwd, s.seeds FROM study s JOIN experiment e ON e.id = s.experiment_id WHERE s.id = :study

-- name: study_of_experiment
SELECT s.id, s.state, e.name, e.kind FROM study s JOIN experiment e ON e.id = s.experiment_id
WHERE s.experiment_id = :experiment

-- name: state_of_study
SELECT s.state, s.experiment_id, e.kind,
       EXISTS (SELECT 1 FROM trial t WHERE t.study_id = s.id AND t.in_queue = 1 AND t.state = 'waiting'
               AND NOT EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id)),
       1 + coalesce((SELECT max(number) FROM trial WHERE study_id = s.id), -1)
FROM study s JOIN experiment e ON e.id = s.experiment_id WHERE s.id = :study

-- name: base_of_study
SELECT base, targets FROM study WHERE id = :study

-- name: asked_epochs
SELECT coalesce(sum(epochs - coalesce(json_extract(extra, '$.from.epochs'), 0)), 0)
FROM trial WHERE study_id = :study AND source = 'asked'

-- name: any_at_work
SELECT EXISTS (SELECT 1 FROM trial WHERE study_id = :study AND ended_at_ms IS NULL)

-- name: count_given
-- Trials that came with their value, so that no run has it.
SELECT count(*) FROM trial t WHERE t.study_id = :study AND t.source = 'added' AND t.state = 'complete'
  AND NOT EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id)

-- name: list_studies
SELECT s.id, s.uid, s.experiment_id, e.name, s.state, s.strategy, s.trial_max, s.seed,
       (SELECT count(*) FROM trial t WHERE t.study_id = s.id) AS trials,
       (SELECT count(*) FROM trial t WHERE t.study_id = s.id AND t.state = 'complete') AS complete,
       (SELECT count(*) FROM trial t WHERE t.study_id = s.id AND t.ended_at_ms IS NULL) AS pending,
       (SELECT count(*) FROM trial t WHERE t.study_id = s.id AND t.source = 'asked') AS asked
FROM study s JOIN experiment e ON e.id = s.experiment_id
WHERE e.deleted_at_ms IS NULL ORDER BY s.id

-- name: summary_of_study
SELECT s.id, s.uid, s.experiment_id, e.name, s.state, s.strategy, s.trial_max, s.seed,
       (SELECT count(*) FROM trial t WHERE t.study_id = s.id) AS trials,
       (SELECT count(*) FROM trial t WHERE t.study_id = s.id AND t.state = 'complete') AS complete,
       (SELECT count(*) FROM trial t WHERE t.study_id = s.id AND t.ended_at_ms IS NULL) AS pending,
       (SELECT count(*) FROM trial t WHERE t.study_id = s.id AND t.source = 'asked') AS asked
FROM study s JOIN experiment e ON e.id = s.experiment_id
WHERE s.id = :study

-- name: setup_of_study
SELECT strategy, settings, space, constraints, seed, trial_max, trial_ahead, epoch_max, epoch_budget, stop
FROM study WHERE id = :study

-- name: pending_trials
-- Those whose runs jobs do; whoever asked by hand has the others.
SELECT t.id, t.number FROM trial t
WHERE t.study_id = :study AND t.in_queue = 1 AND EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id)
ORDER BY t.number

-- name: settled_trials
-- Pending ones all of whose runs have ended.
SELECT t.id, t.curve FROM trial t
WHERE t.study_id = :study AND t.in_queue = 1
  AND EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id)
  AND NOT EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id AND (r.state = 'waiting' OR r.state = 'running'))
ORDER BY t.number

-- name: runs_of_trial
-- Those that are at work, or were last: a trial that goes on gets one more for each seed.
SELECT r.id, r.state, r.epochs, r.epochs_before FROM run r
WHERE r.trial_id = :trial
  AND r.epochs IS (SELECT l.epochs FROM run l WHERE l.trial_id = :trial ORDER BY l.id DESC LIMIT 1)
ORDER BY r.id

-- name: last_complete_runs_of_trial
-- Those that ended well with the most epochs: what is left of a trial that failed as it went on.
SELECT r.id FROM run r
WHERE r.trial_id = :trial AND r.state = 'complete'
  AND r.epochs = (SELECT max(l.epochs) FROM run l WHERE l.trial_id = :trial AND l.state = 'complete')
ORDER BY r.id

-- name: last_run_of_trial
-- With how many epochs it was to reach, and how many runs of that seed there are.
SELECT r.id, r.epochs, (SELECT count(*) FROM run o WHERE o.trial_id = :trial AND o.seed = :seed) FROM run r
WHERE r.trial_id = :trial AND r.seed = :seed ORDER BY r.id DESC LIMIT 1

-- name: count_runs_of_trial
SELECT count(*) FROM run WHERE trial_id = :trial

-- name: count_runs_of_study
SELECT count(*) FROM trial t JOIN run r ON r.trial_id = t.id WHERE t.study_id = :study

-- name: run_at_epochs
-- The run of a trial that ended with a checkpoint after so many epochs.
SELECT r.id FROM run r
WHERE r.trial_id = (SELECT t.id FROM trial t WHERE t.study_id = :study AND t.number = :number)
  AND r.seed = :seed AND r.epochs = :epochs ORDER BY r.id DESC LIMIT 1

-- name: begin_leg
UPDATE run SET epochs = :epochs, epochs_before = :before, from_run_id = :from, extra = :extra WHERE id = :run

-- name: epochs_spent
-- What all trials have trained and were asked to, for one seed.
SELECT coalesce(sum(max(0, CASE WHEN r.state = 'pruned' OR r.state = 'failed' THEN coalesce(json_array_length(t.curve), 0)
                                ELSE r.epochs END - r.epochs_before)), 0)
FROM trial t JOIN run r ON r.trial_id = t.id AND r.seed = :seed AND r.epochs IS NOT NULL
WHERE t.study_id = :study

-- name: runs_at_work
-- How much the runs at work of a study with a rule to stop them have said of a metric.
SELECT t.id, t.number, r.id, coalesce(s.n, 0) FROM trial t
JOIN run r ON r.trial_id = t.id AND r.state = 'running' AND r.prune_why IS NULL
LEFT JOIN metric m ON m.name = :metric
LEFT JOIN series s ON s.run_id = r.id AND s.metric_id = m.id
WHERE t.study_id = :study AND t.in_queue = 1
ORDER BY t.number

-- name: told_of_trial
SELECT curve, seen FROM trial WHERE id = :trial

-- name: prune_trial
UPDATE trial SET extra = json_set(extra, '$.pruned', json(:why)) WHERE id = :trial

-- name: prune_runs
UPDATE run SET prune_why = :why WHERE trial_id = :trial AND (state = 'waiting' OR state = 'running')

-- name: jobs_of_pruned_runs
SELECT j.id FROM run r JOIN job j ON j.run_id = r.id AND j.ended_at_ms IS NULL
WHERE r.trial_id = :trial AND r.prune_why IS NOT NULL AND (r.state = 'waiting' OR r.state = 'running')

-- name: studies_that_stop
SELECT s.id, s.experiment_id FROM study s CROSS JOIN experiment e ON e.id = s.experiment_id
WHERE s.state <> 'closed' AND s.stop IS NOT NULL AND e.state = 'running' AND e.deleted_at_ms IS NULL AND e.kind <> 'log'

-- name: trials_since
SELECT number, params, source, seen, epochs, json_extract(extra, '$.from.number'), json_extract(extra, '$.from.epochs')
FROM trial WHERE study_id = :study AND number >= :number ORDER BY number

-- name: changes_since
SELECT c.seq, c.number, c.state, c.vals, c.epochs, c.reached, c.setup,
       CASE WHEN c.reached > 0 THEN (SELECT t.curve FROM trial t
                                   WHERE t.study_id = c.study_id AND t.number = c.number) END AS curve
FROM study_change c WHERE c.study_id = :study AND c.seq > :seq ORDER BY c.seq

-- name: curve_of_trial
SELECT curve FROM trial WHERE study_id = :study AND number = :number

-- name: legs_of_trial
SELECT t.epochs, s.strategy, coalesce(json_array_length(t.curve), 0)
FROM trial t JOIN study s ON s.id = t.study_id WHERE t.study_id = :study AND t.number = :number

-- name: stops_of_study
-- Trials that a rule ended, with what they said by then, and whether one of their runs was lost: what was said before that by
-- all of them is not in the curve.
SELECT t.number, t.curve, json_extract(t.extra, '$.pruned.epoch'), json_extract(t.extra, '$.pruned.seen'),
       json_extract(t.extra, '$.pruned.why'), s.stop,
       EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id AND r.state = 'failed')
FROM trial t JOIN study s ON s.id = t.study_id
WHERE t.study_id = :study AND s.stop IS NOT NULL AND json_type(t.extra, '$.pruned') = 'object'
ORDER BY t.number

-- name: trial_by_number
SELECT id FROM trial WHERE study_id = :study AND number = :number

-- name: trial_to_tell
-- With what a tell must know of its study.
SELECT t.id, t.state, EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id), s.state,
       (SELECT count(*) FROM objective o WHERE o.experiment_id = s.experiment_id), t.curve,
       EXISTS (SELECT 1 FROM held_trial h WHERE h.trial_id = t.id)
FROM trial t JOIN study s ON s.id = t.study_id
WHERE t.study_id = :study AND t.number = :number

-- name: trials_of_study
SELECT number, params, source, state, vals, epochs, curve, asked_at_ms, ended_at_ms, extra,
       (SELECT s.strategy FROM study s WHERE s.id = :study) AS strategy,
       CASE WHEN epochs IS NOT NULL AND ended_at_ms IS NULL
            THEN (SELECT c.vals FROM study_change c WHERE c.study_id = :study AND c.number = trial.number AND c.state = 'complete'
                  ORDER BY c.seq DESC LIMIT 1) END AS vals_before
FROM trial WHERE study_id = :study

-- name: add_trial
-- Who takes it at once asked for it.
INSERT INTO trial (uid, study_id, number, config_id, params, state, epochs, curve, seen, extra, asked_at_ms, asked_by,
                   changed_at_ms, changed_by)
VALUES (:uid, :study, :number, :config, :params, :state, :epochs, :curve, :seen, :extra, :now_ms,
        CASE :state WHEN 'running' THEN :who END, :now_ms, :who)

-- name: give_trial
INSERT INTO trial (uid, study_id, number, config_id, source, params, state, vals, epochs, curve, seen, extra, asked_at_ms,
                   ended_at_ms, changed_at_ms, changed_by)
VALUES (:uid, :study, :number, :config, 'added', :params, :state, :vals, :epochs, :curve, :seen, :extra, :asked_at_ms,
        :ended_at_ms, :now_ms, :who)

-- name: points_to_try
-- Added without a value or proposed by another program, and not handed out yet.
SELECT t.id, t.number, t.params, t.config_id FROM trial t
WHERE t.study_id = :study AND t.in_queue = 1 AND t.state = 'waiting'
  AND NOT EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id)
ORDER BY t.number LIMIT :limit

-- name: hand_out_trial
UPDATE trial SET state = 'running', changed_at_ms = :now_ms, changed_by = :who WHERE id = :trial AND state = 'waiting'

-- name: end_trial
UPDATE trial SET state = :state, vals = :vals, curve = coalesce(:curve, curve), ended_at_ms = :now_ms,
                 changed_at_ms = :now_ms, changed_by = :who
WHERE id = :trial AND state IN ('waiting', 'running')

-- name: go_on_with_trial
-- With the config of its runs, where it has some from now on: it may have been tried by hand before.
UPDATE trial SET state = :state, config_id = coalesce(:config, config_id), vals = NULL, epochs = :epochs, ended_at_ms = NULL,
                 changed_at_ms = :now_ms, changed_by = :who
WHERE study_id = :study AND number = :number AND ended_at_ms IS NOT NULL

-- name: set_study_state
UPDATE study SET state = :state, changed_at_ms = :now_ms, changed_by = :who WHERE id = :study AND state <> :state

-- name: close_when_done
-- Those at work are mostly the last ones, or the first: both are looked at before all are.
UPDATE study SET state = 'closed', changed_at_ms = :now_ms, changed_by = :who
WHERE id = :study AND state = 'exhausted'
  AND (SELECT max(number) FROM trial WHERE study_id = :study AND ended_at_ms IS NULL
         AND number > (SELECT max(number) - 1000 FROM trial WHERE study_id = :study)) IS NULL
  AND NOT EXISTS (SELECT 1 FROM trial WHERE study_id = :study AND ended_at_ms IS NULL)

-- name: edit_study
UPDATE study SET strategy = :strategy, settings = :settings, space = :space, constraints = :constraints, trial_max = :trial_max
WHERE id = :study

-- name: next_of_study
-- The number of the next trial, and the last change.
SELECT 1 + coalesce((SELECT max(number) FROM trial WHERE study_id = :study), -1),
       coalesce((SELECT max(seq) FROM study_change WHERE study_id = :study), 0)

-- name: count_asked
SELECT count(*) FROM trial WHERE study_id = :study AND source = 'asked'

-- name: reopen_by_study
UPDATE experiment SET state = 'running', ended_at_ms = NULL, error = NULL, changed_at_ms = :now_ms, changed_by = :who
WHERE id = :experiment AND (state = 'complete' OR state = 'failed' OR state = 'cancelled')

-- name: hold_trial
-- Who tries a point; whoever takes it over from one that is gone is one more.
INSERT INTO held_trial (trial_id, process_id)
SELECT id, :process FROM trial WHERE study_id = :study AND number = :number AND state = 'running'
ON CONFLICT DO UPDATE SET process_id = excluded.process_id, take = take + 1

-- name: held_trials
-- Points at work that were asked for without a job.
SELECT t.study_id, e.name, t.number, h.take, p.id, p.host, p.pid, p.process_start, p.seen_at_ms
FROM process p CROSS JOIN held_trial h ON h.process_id = p.id
JOIN trial t ON t.id = h.trial_id AND t.state = 'running'
JOIN study s ON s.id = t.study_id
JOIN experiment e ON e.id = s.experiment_id
WHERE :study IS NULL OR t.study_id = :study
ORDER BY p.id

-- name: trial_to_take_over
SELECT params, epochs, coalesce(json_array_length(curve), 0) > 0 FROM trial WHERE study_id = :study AND number = :number

-- name: let_trial_go
DELETE FROM held_trial WHERE trial_id = :trial

-- name: note_error_of_trial
UPDATE trial SET extra = json_set(extra, '$.error', :error) WHERE study_id = :study AND number = :number
