-- Bytes by content, and the named artifacts that point to them.

-- name: find_blob
SELECT id FROM blob WHERE hash = :hash;

-- name: add_blob
INSERT INTO blob (hash, size_bytes, codec) VALUES (:hash, :size_bytes, :codec);

-- name: add_chunk
INSERT INTO blob_chunk (blob_id, seq, bytes) VALUES (:blob_id, :seq, :bytes);

-- name: show_blob
SELECT hash, size_bytes, codec FROM blob WHERE id = :id;

-- name: list_chunks
SELECT bytes FROM blob_chunk WHERE blob_id = :blob_id ORDER BY seq;

-- name: count_unused_blobs
-- What no artifact and no experiment points to.
SELECT count(*), coalesce(sum(b.size_bytes), 0) FROM blob b
WHERE NOT EXISTS (SELECT 1 FROM artifact a WHERE a.blob_id = b.id)
  AND NOT EXISTS (SELECT 1 FROM experiment e WHERE e.git_diff_blob = b.id)
  AND NOT EXISTS (SELECT 1 FROM experiment e WHERE e.script_blob = b.id);

-- name: delete_unused_blobs
DELETE FROM blob
WHERE NOT EXISTS (SELECT 1 FROM artifact a WHERE a.blob_id = blob.id)
  AND NOT EXISTS (SELECT 1 FROM experiment e WHERE e.git_diff_blob = blob.id)
  AND NOT EXISTS (SELECT 1 FROM experiment e WHERE e.script_blob = blob.id);

-- name: delete_blob_if_unused
DELETE FROM blob
WHERE id = :id
  AND NOT EXISTS (SELECT 1 FROM artifact a WHERE a.blob_id = blob.id)
  AND NOT EXISTS (SELECT 1 FROM experiment e WHERE e.git_diff_blob = blob.id)
  AND NOT EXISTS (SELECT 1 FROM experiment e WHERE e.script_blob = blob.id);

-- name: add_artifact
INSERT INTO artifact (uid, experiment_id, run_id, attempt, name, kind, role, step, value, blob_id, path, size_bytes,
    hash, created_at_ms)
VALUES (:uid, :experiment_id, :run_id, :attempt, :name, :kind, :role, :step, :value, :blob_id, :path, :size_bytes,
    :hash, :now_ms);

-- name: show_artifact
SELECT id, uid, experiment_id, run_id, attempt, name, kind, role, step, value, blob_id, path, size_bytes, hash,
       created_at_ms
FROM artifact WHERE id = :id;

-- name: list_artifacts
SELECT id, uid, experiment_id, run_id, attempt, name, kind, role, step, value, blob_id, path, size_bytes, hash,
       created_at_ms
FROM artifact WHERE id < :before ORDER BY id DESC LIMIT :limit;

-- name: list_artifacts_of_run
SELECT id, uid, experiment_id, run_id, attempt, name, kind, role, step, value, blob_id, path, size_bytes, hash,
       created_at_ms
FROM artifact WHERE run_id = :run_id ORDER BY kind, id LIMIT :limit;

-- name: list_artifacts_of_experiment
SELECT id, uid, experiment_id, run_id, attempt, name, kind, role, step, value, blob_id, path, size_bytes, hash,
       created_at_ms
FROM artifact WHERE experiment_id = :experiment_id ORDER BY kind, id LIMIT :limit;

-- name: list_artifacts_of_runs
-- Those of an experiment's runs, the runs of a config together.
SELECT a.id, a.uid, a.experiment_id, a.run_id, a.attempt, a.name, a.kind, a.role, a.step, a.value, a.blob_id, a.path,
       a.size_bytes, a.hash, a.created_at_ms
FROM run r INDEXED BY run_for_experiment CROSS JOIN artifact a ON a.run_id = r.id
WHERE r.experiment_id = :experiment_id LIMIT :limit;

-- name: latest_artifact_by_name
SELECT id FROM artifact WHERE name = :name ORDER BY id DESC LIMIT 1;

-- name: latest_checkpoint
SELECT id, uid, experiment_id, run_id, attempt, name, kind, role, step, value, blob_id, path, size_bytes, hash,
       created_at_ms
FROM artifact WHERE run_id = :run_id AND kind = 'checkpoint' ORDER BY id DESC LIMIT 1;

-- name: checkpoints_with_role
SELECT id, value FROM artifact
WHERE run_id = :run_id AND kind = 'checkpoint' AND role = :role ORDER BY id;

-- name: delete_artifact
DELETE FROM artifact WHERE id = :id;
