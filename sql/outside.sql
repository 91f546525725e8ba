-- Trials that another program proposes, and tells.

-- name: propose_trial
INSERT INTO trial (uid, study_id, number, params, state, vals, curve, seen, extra, asked_at_ms, ended_at_ms, changed_at_ms,
                   changed_by)
VALUES (:uid, :study, :number, :params, :state, :vals, :curve, :seen, :extra, :asked_at_ms, :ended_at_ms, :now_ms, :who)

-- name: trial_to_edit
-- With what an edit must know of its study.
SELECT t.study_id, t.state, t.params, t.extra, EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id), s.strategy, s.space, s.state
FROM trial t JOIN study s ON s.id = t.study_id JOIN experiment e ON e.id = s.experiment_id
WHERE t.id = :trial AND e.deleted_at_ms IS NULL

-- name: edit_trial
UPDATE trial SET params = :params, extra = :extra, changed_at_ms = :now_ms, changed_by = :who WHERE id = :trial

-- name: move_trial
UPDATE trial SET params = :params, extra = :extra, state = :state, vals = :vals, curve = coalesce(:curve, curve),
                 ended_at_ms = :ended_at_ms, changed_at_ms = :now_ms, changed_by = :who
WHERE id = :trial

-- name: set_config_of_trial
UPDATE trial SET config_id = :config WHERE id = :trial

-- name: grow_space
UPDATE study SET space = :space, changed_at_ms = :now_ms, changed_by = :who WHERE id = :study

-- name: touch_trial
UPDATE trial SET changed_at_ms = :now_ms WHERE id = :trial

-- name: quiet_trials
-- At work by hand, and not heard of since.
SELECT t.id FROM trial t
WHERE t.study_id = :study AND t.state = 'running' AND t.changed_at_ms < :since_ms
  AND NOT EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id)
ORDER BY t.number

-- name: outline_of_study
SELECT e.id, e.name, e.kind, e.extra, s.state, s.strategy, s.settings, s.space, s.constraints, s.seed, s.trial_max, s.trial_ahead,
       e.state
FROM study s JOIN experiment e ON e.id = s.experiment_id
WHERE s.id = :study AND e.deleted_at_ms IS NULL

-- name: demand_of_study
-- How many were proposed, wait or are at work, and wait for someone to take them.
SELECT (SELECT count(*) FROM trial t WHERE t.study_id = :study AND t.source = 'asked'),
       (SELECT count(*) FROM trial t WHERE t.study_id = :study AND t.ended_at_ms IS NULL),
       (SELECT count(*) FROM trial t WHERE t.study_id = :study AND t.in_queue = 1 AND t.state = 'waiting'
           AND NOT EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id))

-- name: study_is_there
SELECT 1 FROM study s JOIN experiment e ON e.id = s.experiment_id WHERE s.id = :study AND e.deleted_at_ms IS NULL

-- name: studies_by_name
SELECT s.id FROM study s JOIN experiment e ON e.id = s.experiment_id WHERE e.deleted_at_ms IS NULL AND e.name = :name ORDER BY s.id DESC

-- name: studies_there
SELECT s.id FROM study s JOIN experiment e ON e.id = s.experiment_id WHERE e.deleted_at_ms IS NULL ORDER BY s.id

-- name: study_of_trial
SELECT t.study_id, t.number FROM trial t JOIN study s ON s.id = t.study_id JOIN experiment e ON e.id = s.experiment_id
WHERE t.id = :trial AND e.deleted_at_ms IS NULL

-- name: trials_after
-- Those numbered above, and those of a list: what was not seen yet, and what had not ended when it was.
SELECT t.id, t.number, t.state, t.params, t.vals, t.curve, t.extra, t.asked_at_ms, t.ended_at_ms, t.epochs,
       EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id)
FROM trial t WHERE t.study_id = :study AND t.number >= :number
UNION ALL
SELECT t.id, t.number, t.state, t.params, t.vals, t.curve, t.extra, t.asked_at_ms, t.ended_at_ms, t.epochs,
       EXISTS (SELECT 1 FROM run r WHERE r.trial_id = t.id)
FROM json_each(:numbers) n JOIN trial t ON t.study_id = :study AND t.number = n.value
ORDER BY 2
