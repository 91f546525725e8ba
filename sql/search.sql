-- Studies and their trials.

-- name: add_study
INSERT INTO study (uid, experiment_id, state, strategy, settings, space, targets, base, seeds, seed, trial_max,
                   trial_ahead, changed_at_ms, changed_by)
VALUES (:uid, :experiment, 'open', :strategy, :settings, :space, :targets, :base, :seeds, :seed, :trial_max,
        :trial_ahead, :now_ms, :who)

-- name: open_studies
-- Of experiments that are at work.
SELECT s.id, s.experiment_id, s.state, s.strategy, s.settings, s.space, s.seeds, s.seed, s.trial_max, s.trial_ahead,
       e.plan, e.cwd
FROM study s JOIN experiment e ON e.id = s.experiment_id
WHERE s.state <> 'closed' AND e.state = 'running' AND e.deleted_at_ms IS NULL ORDER BY s.id

-- name: pending_trials
SELECT id, number FROM trial WHERE study_id = :study AND state IN ('waiting', 'running') ORDER BY number

-- name: history
SELECT number, params, state, vals FROM trial WHERE study_id = :study ORDER BY number

-- name: runs_of_trial
SELECT id, state FROM run WHERE trial_id = :trial ORDER BY id

-- name: add_trial
INSERT INTO trial (uid, study_id, number, config_id, params, state, seen, asked_at_ms, changed_at_ms, changed_by)
VALUES (:uid, :study, :number, :config, :params, 'waiting', :seen, :now_ms, :now_ms, :who)

-- name: end_trial
UPDATE trial SET state = :state, vals = :vals, ended_at_ms = :now_ms, changed_at_ms = :now_ms, changed_by = :who
WHERE id = :trial AND state IN ('waiting', 'running')

-- name: set_study_state
UPDATE study SET state = :state, changed_at_ms = :now_ms, changed_by = :who WHERE id = :study AND state <> :state
